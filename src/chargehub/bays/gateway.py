"""The adapter to a vendor's gateway that speaks HTTP and JSON, signed both ways.

    POST {url}/v1/devices/{device}/lock   {"request_id", "action": "raise"|"lower", "expires_at"}
         202: taken; 409 {"reason"}: refused; 404: no such device
    POST {url}/v1/devices/{device}/read   {}
         200 {"device_id", "sequence", "at", "lock", "battery_percent", "sensor"}; 404

Events come to `callbacks_api.py`. An answer that is not signed with the key is no answer: what a
read says decides whether a lock goes up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from chargehub.bays.ports import DeviceRefused, DeviceReport, GatewaySilent, LockOrder
from chargehub.bays.rules import LockAction, LockState, Position, SensorState, Why
from chargehub.bays.signing import NONCE_HEADER, SIGNATURE_HEADER, headers_for, is_answer_signed
from chargehub.kit.clock import wall_now
from chargehub.kit.fields import MAX_INT64, UtcTime

ANSWER_WITHIN_S = 5.0
"""Wall seconds; a lock that takes longer to move tells of it by an event."""
ANSWER_BYTES = 65_536
REFUSALS = {
    "obstructed": Why.OBSTRUCTED,
    "fault": Why.FAULT,
    "battery_dead": Why.BATTERY_DEAD,
    "occupied": Why.OCCUPIED,
    "expired": Why.TOO_LATE,
}


class ReadAnswer(BaseModel):
    """What a gateway answers to a read; members that we do not know are left alone."""

    model_config = ConfigDict(extra="ignore")

    device_id: str
    sequence: StrictInt = Field(ge=0, le=MAX_INT64)
    at: UtcTime
    lock: LockState | None = None
    battery_percent: StrictInt | None = Field(None, ge=0, le=100)
    sensor: SensorState | None = None


@dataclass(frozen=True, slots=True)
class HttpGateway:
    """Implements ports.BayDevices for one Location."""

    client: httpx.AsyncClient
    url: str
    key: bytes
    wall: Callable[[], datetime] = wall_now

    async def raise_lock(self, order: LockOrder) -> None:
        await self._order(LockAction.RAISE, order)

    async def lower_lock(self, order: LockOrder) -> None:
        await self._order(LockAction.LOWER, order)

    async def read(self, device_id: str) -> DeviceReport:
        status, body = await self._ask(device_id, "read", b"{}")
        if status != httpx.codes.OK:
            raise self._refused(status, body)
        try:
            told = ReadAnswer.model_validate_json(body)
        except ValidationError as error:
            raise GatewaySilent("the answer cannot be read") from error
        if told.device_id != device_id:
            raise GatewaySilent("the answer is another device's")
        return DeviceReport(
            device_id,
            Position(told.at, told.sequence),
            told.lock,
            told.battery_percent,
            told.sensor,
        )

    async def _order(self, action: LockAction, order: LockOrder) -> None:
        body = _Order(
            request_id=str(order.request_id), action=action.value, expires_at=order.expires_at
        )
        status, answer = await self._ask(order.device_id, "lock", body.model_dump_json().encode())
        if status != httpx.codes.ACCEPTED:
            raise self._refused(status, answer)

    async def _ask(self, device_id: str, what: str, body: bytes) -> tuple[int, bytes]:
        url = f"{self.url.rstrip('/')}/v1/devices/{quote(device_id, safe='')}/{what}"
        path = urlsplit(url).path
        headers = headers_for(self.key, "POST", path, body, self.wall().timestamp())
        nonce = headers[NONCE_HEADER]
        headers["Content-Type"] = "application/json"
        try:
            async with (
                # Each part in time is not enough: a gateway may send its answer drop by drop.
                asyncio.timeout(2 * ANSWER_WITHIN_S),
                self.client.stream("POST", url, content=body, headers=headers) as response,
            ):
                answer = await _read_limited(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise GatewaySilent(type(error).__name__) from error
        signature = response.headers.get(SIGNATURE_HEADER, "")
        if not is_answer_signed(self.key, response.status_code, nonce, answer, signature):
            raise GatewaySilent("the answer is not signed with the key")
        return response.status_code, answer

    def _refused(self, status: int, body: bytes) -> Exception:
        if status == httpx.codes.NOT_FOUND:
            return DeviceRefused(Why.UNKNOWN_DEVICE)
        if status != httpx.codes.CONFLICT:
            return GatewaySilent(f"the answer was {status}")
        try:
            reason = _Refusal.model_validate_json(body).reason
        except ValidationError:
            reason = ""
        return DeviceRefused(REFUSALS.get(reason, Why.DEVICE_REFUSED))


class _Order(BaseModel):
    request_id: str
    action: str
    expires_at: datetime


class _Refusal(BaseModel):
    reason: str


async def _read_limited(response: httpx.Response) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > ANSWER_BYTES:
            raise GatewaySilent("the answer is too long")
        parts.append(part)
    return b"".join(parts)


def new_client(**more: Any) -> httpx.AsyncClient:
    """Return the client of all gateways; close it at the end."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=16)
    return httpx.AsyncClient(
        timeout=ANSWER_WITHIN_S, limits=limits, trust_env=False, follow_redirects=False, **more
    )
