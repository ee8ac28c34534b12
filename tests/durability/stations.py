"""Stations that trust nobody: they repeat what was not acknowledged and remember what was.

A dialogue of its own for the durability proof: one message at a time, the same content again after
every lost connection, and a record of every acknowledgement to hold against the database.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

Payload = dict[str, Any]
EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Acknowledged:
    """What one station was promised."""

    starts: dict[str, str] = field(default_factory=dict)
    """Our name of a transaction -> the id the server knows it by."""
    stops: dict[str, int] = field(default_factory=dict)
    """The id the server knows -> end register."""
    statuses: list[tuple[str, datetime]] = field(default_factory=list)
    samples: list[tuple[str, datetime, int]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.starts) + len(self.stops) + len(self.statuses) + len(self.samples)


@dataclass
class TrustlessStation:
    identity: str
    password: str
    subprotocol: str
    url: Callable[[], str]
    acknowledged: Acknowledged = field(default_factory=Acknowledged)
    repeats: int = 0
    _socket: ClientConnection | None = None
    _number: int = 0
    _seconds: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Charge, one transaction after another, until told to stop; then end in order."""
        await self.call("BootNotification", self._boot())
        count = 0
        while not stop.is_set():
            count += 1
            await self._transact(f"{self.identity}-{count}")
        if self._socket is not None:
            await self._socket.close()

    async def _transact(self, name: str) -> None:
        register = 1_000 * self._seconds
        await self._status("Preparing" if self.is_16 else "Occupied")
        ref = await self._start(name, register)
        self.acknowledged.starts[name] = ref
        for _ in range(4):
            register += 200
            await self._meter(ref, register)
        await self._stop(ref, register)
        self.acknowledged.stops[ref] = register
        await self._status("Available")

    @property
    def is_16(self) -> bool:
        return self.subprotocol.endswith("1.6")

    def _boot(self) -> Payload:
        if self.is_16:
            return {"chargePointVendor": "Test", "chargePointModel": "T1"}
        return {
            "reason": "PowerUp",
            "chargingStation": {"vendorName": "Test", "model": "T1"},
        }

    def _tick(self) -> tuple[datetime, str]:
        self._seconds += 10
        at = EPOCH + timedelta(seconds=self._seconds)
        return at, at.strftime("%Y-%m-%dT%H:%M:%SZ")

    async def _status(self, status: str) -> None:
        at, text = self._tick()
        payload: Payload = {"connectorId": 1, "status": status, "timestamp": text}
        if self.is_16:
            payload["errorCode"] = "NoError"
        else:
            payload = {
                "timestamp": text,
                "connectorStatus": status,
                "evseId": 1,
                "connectorId": 1,
            }
        await self.call("StatusNotification", payload)
        self.acknowledged.statuses.append((status, at))

    async def _start(self, name: str, register: int) -> str:
        at, text = self._tick()
        if self.is_16:
            answer = await self.call(
                "StartTransaction",
                {"connectorId": 1, "idTag": "ANY", "meterStart": register, "timestamp": text},
            )
            ref = str(answer["transactionId"])
        else:
            ref = name
            await self.call("TransactionEvent", self._event("Started", name, 0, at, register))
        self.acknowledged.samples.append((ref, at, register))
        return ref

    async def _meter(self, ref: str, register: int) -> None:
        at, text = self._tick()
        if self.is_16:
            value = {"value": str(register), "unit": "Wh"}
            await self.call(
                "MeterValues",
                {
                    "connectorId": 1,
                    "transactionId": int(ref),
                    "meterValue": [{"timestamp": text, "sampledValue": [value]}],
                },
            )
        else:
            await self.call(
                "TransactionEvent", self._event("Updated", ref, self._seconds, at, register)
            )
        self.acknowledged.samples.append((ref, at, register))

    async def _stop(self, ref: str, register: int) -> None:
        at, text = self._tick()
        if self.is_16:
            await self.call(
                "StopTransaction",
                {"transactionId": int(ref), "meterStop": register, "timestamp": text},
            )
        else:
            event = self._event("Ended", ref, self._seconds, at, register)
            await self.call("TransactionEvent", event)
        self.acknowledged.samples.append((ref, at, register))

    def _event(self, kind: str, ref: str, seq_no: int, at: datetime, register: int) -> Payload:
        text = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind)
        value: Payload = {"value": register, "unitOfMeasure": {"unit": "Wh"}}
        if context is not None:
            value["context"] = context
        return {
            "eventType": kind,
            "timestamp": text,
            "triggerReason": "MeterValuePeriodic" if kind == "Updated" else "CablePluggedIn",
            "seqNo": seq_no,
            "transactionInfo": {"transactionId": ref},
            "evse": {"id": 1, "connectorId": 1},
            "meterValue": [{"timestamp": text, "sampledValue": [value]}],
        }

    async def call(self, action: str, payload: Payload) -> Payload:
        """Send until acknowledged: the same content, each time under a new message id."""
        while True:
            try:
                return await self._try(action, payload)
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                self.repeats += 1
                self._socket = None
                await asyncio.sleep(0.05)

    async def _try(self, action: str, payload: Payload) -> Payload:
        if self._socket is None:
            token = base64.b64encode(f"{self.identity}:{self.password}".encode()).decode()
            self._socket = await connect(
                f"{self.url()}/{self.identity}",
                subprotocols=[Subprotocol(self.subprotocol)],
                additional_headers={"Authorization": f"Basic {token}"},
                compression=None,
                proxy=None,
                open_timeout=5,
            )
        self._number += 1
        number = str(self._number)
        await self._socket.send(json.dumps([2, number, action, payload]))
        async with asyncio.timeout(20):
            while True:
                frame = json.loads(await self._socket.recv())
                if frame[0] == 2:
                    await self._socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
                elif frame[1] == number:
                    assert frame[0] == 3, f"{action} was refused: {frame}"
                    answer: Payload = frame[2]
                    return answer
