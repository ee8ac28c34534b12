"""A vendor's gateway of ground locks and bay sensors, with the cars that park over them.

Speaks the contract of the hub's HTTP adapter and nothing else of the hub: takes signed orders,
moves its locks in the hub's time, and tells what happened in signed callbacks until they are
answered. What goes wrong is in `Trouble`. A lock that rises under a car is what must never be; it
is counted.

`POST /simulator/devices/{device}/car {"present": true}` parks a car or drives it away.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulators.clock import Clock, rfc3339, sleep_until

SKEW_S = 300
AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Wall seconds until a callback that was not answered is sent again."""
MOVE_S = 4.0


@dataclass(slots=True)
class Trouble:
    """What goes wrong at one device."""

    latency_s: float = 0.0
    """Wall seconds before the gateway answers."""
    obstructed: bool = False
    """Something that the sensor does not see is in the way of the lock."""
    dead_battery: bool = False
    silent: bool = False
    """The gateway takes what comes and does not answer."""
    loses_answers: bool = False
    """It does what is asked, and its answer is lost."""
    loses_callbacks: bool = False


@dataclass(slots=True)
class Device:
    """An integrated lock and sensor."""

    name: str
    lock: str = "lowered"
    car: bool = False
    battery_percent: int = 90
    sequence: int = 0
    trouble: Trouble = field(default_factory=Trouble)
    moving: asyncio.Task[None] | None = None
    results: dict[str, str | None] = field(default_factory=dict)
    """Of orders, by request id; None: under way."""


class BayGateway:
    """One gateway, its devices and what it has yet to tell."""

    def __init__(
        self,
        clock: Clock,
        key: bytes,
        devices: Iterable[str],
        callback: Callable[[], str] | None = None,
        move_s: float = MOVE_S,
    ) -> None:
        self.clock = clock
        self.devices = {name: Device(name) for name in devices}
        self.callback = callback
        """Where events go; None: nowhere."""
        self.rose_under_car = 0
        self.told: list[dict[str, Any]] = []
        """Events that the hub acknowledged."""
        self.orders: list[tuple[str, str]] = []
        """Device and action of each order that was carried out or refused by the lock."""
        self._key = key
        self._move_s = move_s
        self._nonces: dict[str, float] = {}
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._client = httpx.AsyncClient(timeout=10, trust_env=False)
        self._delivering: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        """Until then an answer that is to be lost is kept."""
        self.app = Starlette(
            routes=[
                Route("/v1/devices/{device}/read", self._read, methods=["POST"]),
                Route("/v1/devices/{device}/lock", self._order, methods=["POST"]),
                Route("/simulator/devices/{device}/car", self._car, methods=["POST"]),
            ]
        )

    def start(self) -> None:
        self._delivering = asyncio.create_task(self._deliver(), name="bay-callbacks")

    async def stop(self) -> None:
        self._stopped.set()
        tasks = [device.moving for device in self.devices.values()]
        ending = [task for task in (self._delivering, *tasks) if task is not None]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await self._client.aclose()

    # The world

    def park(self, name: str) -> None:
        device = self.devices[name]
        if not device.car:
            device.car = True
            self._tell(device, sensor=True)

    def leave(self, name: str) -> None:
        device = self.devices[name]
        if device.car:
            device.car = False
            self._tell(device, sensor=True)

    def tell_all(self) -> None:
        """Have every device say how it is, as at a gateway's start."""
        for device in self.devices.values():
            self._tell(device, lock=True, sensor=True)

    async def quiet(self) -> None:
        """Wait until everything was told and no lock moves."""
        for device in self.devices.values():
            if device.moving is not None:
                await device.moving
        await self._outbox.join()

    # What the hub asks

    async def _read(self, request: Request) -> Response:
        device, _body, refusal = await self._admit(request)
        if device is None:
            return refusal or self._answer(request, 404, {"reason": "unknown_device"})
        if device.trouble.dead_battery:
            return self._answer(request, 409, {"reason": "battery_dead"})
        device.sequence += 1
        return self._answer(request, 200, self._state(device))

    async def _order(self, request: Request) -> Response:
        device, body, refusal = await self._admit(request)
        if device is None:
            return refusal or self._answer(request, 404, {"reason": "unknown_device"})
        order = json.loads(body)
        request_id, action = order["request_id"], order["action"]
        if request_id not in device.results:
            if device.trouble.dead_battery:
                return self._answer(request, 409, {"reason": "battery_dead"})
            if datetime.fromisoformat(order["expires_at"]).timestamp() < self.clock.now():
                return self._answer(request, 409, {"reason": "expired"})
            self._begin(device, request_id, action)
        if device.trouble.loses_answers:
            await self._stopped.wait()
        return self._answer(request, 202, {"status": "accepted"})

    def _begin(self, device: Device, request_id: str, action: str) -> None:
        if device.moving is not None:
            device.moving.cancel()
        device.results[request_id] = None
        self.orders.append((device.name, action))
        device.moving = asyncio.create_task(self._move(device, request_id, action))

    async def _move(self, device: Device, request_id: str, action: str) -> None:
        device.lock = "moving"
        self._tell(device, lock=True)
        await sleep_until(self.clock, self.clock.now() + self._move_s)
        result = "done"
        if action == "raise" and device.car:
            self.rose_under_car += 1
        if action == "raise" and (device.car or device.trouble.obstructed):
            device.lock, result = "obstructed", "obstructed"
        else:
            device.lock = "raised" if action == "raise" else "lowered"
        device.results[request_id] = result
        self._tell(device, lock=True, request_id=request_id, result=result)

    async def _car(self, request: Request) -> Response:
        name = request.path_params["device"]
        if name not in self.devices:
            return Response(status_code=404)
        if (await request.json())["present"]:
            self.park(name)
        else:
            self.leave(name)
        return Response(json.dumps(self._state(self.devices[name])), media_type="application/json")

    # Signatures

    async def _admit(self, request: Request) -> tuple[Device | None, bytes, Response | None]:
        body = await request.body()
        headers = request.headers
        timestamp, nonce = headers.get("x-bay-timestamp", ""), headers.get("x-bay-nonce", "")
        path = request.scope["raw_path"].decode("latin-1")
        expected = self._sign(
            request.method, path, timestamp, nonce, hashlib.sha256(body).hexdigest()
        )
        good = hmac.compare_digest(expected, headers.get("x-bay-signature", ""))
        if not good or abs(time.time() - int(timestamp)) > SKEW_S or nonce in self._nonces:
            return None, body, Response(status_code=401)
        self._nonces[nonce] = time.time()
        device = self.devices.get(request.path_params["device"])
        if device is not None:
            await asyncio.sleep(device.trouble.latency_s)
            if device.trouble.silent:
                await self._stopped.wait()
        return device, body, None

    def _answer(self, request: Request, status: int, content: dict[str, Any]) -> Response:
        body = json.dumps(content).encode()
        nonce = request.headers["x-bay-nonce"]
        signature = self._sign("answer", str(status), nonce, hashlib.sha256(body).hexdigest())
        return Response(body, status, {"X-Bay-Signature": signature}, media_type="application/json")

    def _sign(self, *lines: str) -> str:
        return hmac.new(self._key, "\n".join(lines).encode(), "sha256").hexdigest()

    def signed(self, path: str, body: bytes) -> dict[str, str]:
        """Return the headers of a callback."""
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        digest = hashlib.sha256(body).hexdigest()
        return {
            "Content-Type": "application/json",
            "X-Bay-Timestamp": timestamp,
            "X-Bay-Nonce": nonce,
            "X-Bay-Signature": self._sign("POST", path, timestamp, nonce, digest),
        }

    # Callbacks

    def _state(self, device: Device) -> dict[str, Any]:
        return {
            "device_id": device.name,
            "sequence": device.sequence,
            "at": rfc3339(self.clock.now()),
            "lock": device.lock,
            "battery_percent": device.battery_percent,
            "sensor": "occupied" if device.car else "free",
        }

    def _tell(
        self, device: Device, *, lock: bool = False, sensor: bool = False, **more: str
    ) -> None:
        device.sequence += 1
        event: dict[str, Any] = {
            "event_id": str(uuid4()),
            "device_id": device.name,
            "sequence": device.sequence,
            "at": rfc3339(self.clock.now()),
            **more,
        }
        if lock:
            event["lock"] = {"state": device.lock, "battery_percent": device.battery_percent}
        if sensor:
            event["sensor"] = {"state": "occupied" if device.car else "free"}
        if not device.trouble.loses_callbacks and self.callback is not None:
            self._outbox.put_nowait(event)

    async def _deliver(self) -> None:
        while True:
            event = await self._outbox.get()
            await self._deliver_one(event)
            self._outbox.task_done()

    async def _deliver_one(self, event: dict[str, Any]) -> None:
        body, attempt = json.dumps({"events": [event]}).encode(), 0
        assert self.callback is not None
        while True:
            url = httpx.URL(self.callback())
            headers = self.signed(url.raw_path.decode(), body)
            try:
                answer = await self._client.post(url, content=body, headers=headers)
            except httpx.HTTPError:
                pass
            else:
                if answer.status_code == 200:
                    self.told.append(event)
                    return
            await asyncio.sleep(AGAIN_S[min(attempt, len(AGAIN_S) - 1)])
            attempt += 1


class _Server(uvicorn.Server):
    """Leaves the process's signals to whoever runs it."""

    def capture_signals(self) -> Any:
        return nullcontext()


def gateway_server(gateway: BayGateway) -> uvicorn.Server:
    """Return the server of a gateway; it takes the sockets to serve on."""
    config = uvicorn.Config(
        gateway.app, log_config=None, access_log=False, lifespan="off", ws="none"
    )
    return _Server(config)
