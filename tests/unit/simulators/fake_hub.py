"""A small central system for the simulators' tests.

It checks every message of a station against the official schemas, keeps what it received, and
answers as a test tells it to.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

Payload = dict[str, Any]
V16, V201, V21 = "ocpp1.6", "ocpp2.0.1", "ocpp2.1"
VERSIONS = (V16, V201, V21)
V2X = (V201, V21)
FOLDERS = {V16: "v16", V201: "v201", V21: "v21"}
DEADLINE_S = 30.0
NOW = "2026-11-23T04:00:00.000Z"


class Silence:
    """An answer that never comes."""


@dataclass
class CallError:
    code: str


Answer = Payload | Silence | CallError


class HubCallRefused(Exception):
    def __init__(self, code: str, frame: list[Any]) -> None:
        super().__init__(code)
        self.code = code
        self.frame = frame


@dataclass
class Received:
    action: str
    payload: Payload
    message_id: str


@dataclass
class FakeHub:
    url: str = ""
    passwords: dict[str, bytes] = field(default_factory=dict)
    """Checked where given."""
    received: list[Received] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    broken_frames: list[str] = field(default_factory=list)
    answers: dict[str, Callable[[Payload], Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    outstanding: int = 0
    most_outstanding: int = 0
    held: asyncio.Event | None = None
    """While it is set up and not set, no call is answered."""
    _sockets: dict[str, ServerConnection] = field(default_factory=dict)
    _calls: dict[str, asyncio.Future[list[Any]]] = field(default_factory=dict)
    _last_number: int = 100

    # What a test asks.

    def actions(self) -> list[str]:
        return [received.action for received in self.received]

    def payloads(self, action: str) -> list[Payload]:
        return [r.payload for r in self.received if r.action == action]

    def statuses(self, evse_no: int) -> list[str]:
        if any("connectorStatus" in p for p in self.payloads("StatusNotification")):
            chosen = [p for p in self.payloads("StatusNotification") if p["evseId"] == evse_no]
            return [p["connectorStatus"] for p in chosen]
        chosen = [p for p in self.payloads("StatusNotification") if p["connectorId"] == evse_no]
        return [p["status"] for p in chosen]

    def forget(self) -> None:
        self.received.clear()

    async def call(self, identity: str, action: str, payload: Payload) -> Payload:
        """Call a station; its answer is checked against its schema."""
        frame = await self.call_raw(identity, action, payload)
        if frame[0] == 4:
            raise HubCallRefused(frame[2], frame)
        version = str(self._sockets[identity].subprotocol)
        self._check(version, action, frame[2], answer=True)
        answer: Payload = frame[2]
        return answer

    async def call_raw(self, identity: str, action: str, payload: Payload) -> list[Any]:
        message_id = f"hub-{len(self._calls)}"
        future = asyncio.get_running_loop().create_future()
        self._calls[message_id] = future
        await self._sockets[identity].send(json.dumps([2, message_id, action, payload]))
        async with asyncio.timeout(DEADLINE_S):
            frame: list[Any] = await future
        return frame

    def drop(self, identity: str) -> None:
        self._sockets[identity].transport.abort()

    # The server.

    def screen(self, _connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        identity = _identity(request.path)
        expected = self.passwords.get(identity)
        if expected is None:
            return None
        text = request.headers.get("Authorization", "").removeprefix("Basic ")
        if base64.b64decode(text) == identity.encode() + b":" + expected:
            return None
        return _connection.respond(401, "wrong password")

    async def handle(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        identity = _identity(socket.request.path)
        self._sockets[identity] = socket
        answering: set[asyncio.Task[None]] = set()
        try:
            async for text in socket:
                assert isinstance(text, str), "OCPP is text"
                task = asyncio.create_task(self._receive(socket, text))
                answering.add(task)
                task.add_done_callback(answering.discard)
        except ConnectionClosed:
            return

    async def _receive(self, socket: ServerConnection, text: str) -> None:
        try:
            kind, message_id, *rest = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            self.broken_frames.append(text)
            return
        if kind in {3, 4} and message_id in self._calls:
            self._calls[message_id].set_result([kind, message_id, *rest])
        elif kind == 2 and len(rest) == 2 and isinstance(rest[1], dict):
            await self._answer(socket, message_id, rest[0], rest[1])
        else:
            self.broken_frames.append(text)

    async def _answer(
        self, socket: ServerConnection, message_id: str, action: str, payload: Payload
    ) -> None:
        self.outstanding += 1
        self.most_outstanding = max(self.most_outstanding, self.outstanding)
        self.received.append(Received(action, payload, message_id))
        self._check(str(socket.subprotocol), action, payload)
        if self.held is not None:
            await self.held.wait()
        answer = self.answers.get(action, self._ordinary(action))(payload)
        self.outstanding -= 1
        frame: list[Any]
        match answer:
            case Silence():
                return
            case CallError(code):
                frame = [4, message_id, code, "", {}]
            case _:
                frame = [3, message_id, answer]
        await socket.send(json.dumps(frame))

    def _check(self, version: str, action: str, payload: Payload, *, answer: bool = False) -> None:
        validator = _validator(version, action, answer)
        if validator is None:
            self.violations.append(f"{action}: unknown")
            return
        self.violations += [
            f"{action}: {error.message}" for error in validator.iter_errors(payload)
        ]

    def _ordinary(self, action: str) -> Callable[[Payload], Answer]:
        accepted = {"status": "Accepted"}

        def answer(payload: Payload) -> Answer:
            match action:
                case "BootNotification":
                    return {**accepted, "currentTime": NOW, "interval": 300}
                case "Heartbeat":
                    return {"currentTime": NOW}
                case "Authorize":
                    return {"idTokenInfo" if "idToken" in payload else "idTagInfo": accepted}
                case "StartTransaction":
                    self._last_number += 1
                    return {"transactionId": self._last_number, "idTagInfo": accepted}
                case "TransactionEvent" if "idToken" in payload:
                    return {"idTokenInfo": accepted}
                case _:
                    return {}

        return answer


@asynccontextmanager
async def running_hub() -> AsyncIterator[FakeHub]:
    hub = FakeHub()
    async with serve(
        hub.handle,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol(version) for version in VERSIONS],
        process_request=hub.screen,
        close_timeout=1,
        max_size=4 * 2**20,
    ) as server:
        hub.url = f"ws://127.0.0.1:{_port(server)}/ocpp"
        yield hub


def _port(server: Server) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


def _identity(path: str) -> str:
    return unquote(path.removeprefix("/ocpp/"))


@cache
def _validator(version: str, action: str, answer: bool) -> jsonschema_rs.Draft4Validator | Any:
    folder = resources.files("ocpp") / FOLDERS[version] / "schemas"
    suffix = "Response" if answer else ("" if version == V16 else "Request")
    file = folder / f"{action}{suffix}.json"
    if not file.is_file():
        return None
    return jsonschema_rs.validator_for(json.loads(file.read_text(encoding="utf-8-sig")))
