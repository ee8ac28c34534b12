"""The station's end of the OCPP-J socket: frames, message ids, time-outs. It knows no action.

It follows one connection at a time; when to connect again is the station's matter.
"""

from __future__ import annotations

import asyncio
import base64
import random
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from simulators.misbehaviour import NO_QUIRKS, Misbehaviour, Quirks
from simulators.statistics import Statistics

Payload = dict[str, Any]


class ConnectionRefusedByHub(Exception):
    """The hub turned the handshake down, or did not answer it."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class CallFailed(Exception):
    """A call of ours brought no result."""


class Disconnected(CallFailed):
    """The socket went away before the answer came."""


class CallTimedOut(CallFailed):
    """No answer came in time."""


class CallRefused(CallFailed):
    """The hub answered with a CALLERROR."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code


class Refusal(Exception):
    """Our CALLERROR to a call of the hub."""

    def __init__(self, code: str, description: str = "") -> None:
        super().__init__(description)
        self.code = code


@dataclass(slots=True)
class Reply:
    """A CALLRESULT's payload, and what to do once it has left."""

    payload: Payload = field(default_factory=dict)
    afterwards: Callable[[], None] | None = None


class Wire(Protocol):
    """How a station reaches its hub: a socket, or a hub within the process."""

    @property
    def connected(self) -> bool: ...

    async def open(self) -> None:
        """Connect once. Raises ConnectionRefusedByHub."""

    async def call(self, action: str, payload: Payload, *, lose_answer: bool = False) -> Payload:
        """Send one CALL and wait for its result. Raises CallFailed."""

    async def close(self, *, abruptly: bool = False) -> None: ...

    async def wait_lost(self) -> None:
        """Wait until there is no connection."""


@dataclass(frozen=True, slots=True)
class WireOptions:
    call_timeout_s: float = 30.0
    lost_answer_timeout_s: float | None = None
    """For calls whose answer is lost on purpose; None is the same."""
    late_answer_s: float = 5.0
    """For answers that come late on purpose."""
    open_timeout_s: float = 20.0
    ping_interval_s: float | None = 30.0
    tls: ssl.SSLContext | None = None
    """For a URL that begins with wss."""


@dataclass(slots=True)
class Account:
    """Who a station is at its hub."""

    url: str
    """Of the hub's endpoint, without the identity."""
    identity: str
    password: str | None
    subprotocol: str


class SocketWire:
    def __init__(
        self,
        account: Account,
        *,
        answer: Callable[[str, Payload], Reply],
        settled: Callable[[], Awaitable[None]],
        quirks: Quirks = NO_QUIRKS,
        options: WireOptions | None = None,
        statistics: Statistics | None = None,
    ) -> None:
        self.account = account
        self.options = options or WireOptions()
        self.quirks = quirks
        self._answer = answer
        self._settled = settled
        self._statistics = statistics or Statistics()
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._side_tasks: set[asyncio.Task[None]] = set()
        self._open_calls: dict[str, asyncio.Future[Payload]] = {}
        self._turn = asyncio.Semaphore(2 if Misbehaviour.TWO_CALLS_AT_ONCE in quirks else 1)
        self._lost = asyncio.Event()
        self._lost.set()
        self._next_id = _id_source(quirks)

    @property
    def connected(self) -> bool:
        return not self._lost.is_set()

    async def open(self) -> None:
        if self.connected:
            return
        account = self.account
        compression = "deflate" if Misbehaviour.COMPRESSION in self.quirks else None
        try:
            self._socket = await connect(
                f"{account.url.rstrip('/')}/{quote(account.identity, safe='')}",
                subprotocols=[Subprotocol(account.subprotocol)],
                additional_headers=self._headers(),
                user_agent_header=None,
                compression=compression,
                open_timeout=self.options.open_timeout_s,
                close_timeout=2,
                ping_interval=self.options.ping_interval_s,
                proxy=None,
                ssl=self.options.tls,
            )
        except InvalidStatus as refused:
            status = refused.response.status_code
            raise ConnectionRefusedByHub(f"HTTP {status}", status) from refused
        except (OSError, InvalidHandshake, TimeoutError, EOFError) as failed:
            raise ConnectionRefusedByHub(str(failed) or type(failed).__name__) from failed
        if self._socket.subprotocol != account.subprotocol:
            await self._socket.close()
            raise ConnectionRefusedByHub(f"the hub does not speak {account.subprotocol}")
        self._next_id = _id_source(self.quirks)
        self._lost.clear()
        self._reader = asyncio.create_task(self._read(self._socket))

    async def close(self, *, abruptly: bool = False) -> None:
        socket, reader = self._socket, self._reader
        if socket is None or reader is None:
            return
        if abruptly:
            # A pulled cable: no close frame, whatever was in the pipe is gone.
            socket.transport.abort()
        else:
            await socket.close(CloseCode.GOING_AWAY)
        await asyncio.wait([reader], timeout=5)

    async def wait_lost(self) -> None:
        await self._lost.wait()

    async def call(self, action: str, payload: Payload, *, lose_answer: bool = False) -> Payload:
        async with self._turn:
            socket = self._socket
            if socket is None or not self.connected:
                raise Disconnected(f"{action}: not connected")
            message_id = self._next_id()
            result: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            # Under another key the answer finds nobody, yet a lost connection ends the wait.
            key, timeout_s = message_id, self.options.call_timeout_s
            if lose_answer:
                key = f"deaf to {message_id}"
                timeout_s = self.options.lost_answer_timeout_s or timeout_s
            self._open_calls[key] = result
            began = time.perf_counter()
            try:
                await socket.send(orjson.dumps([2, message_id, action, payload]), text=True)
                self._statistics.messages_sent += 1
                async with asyncio.timeout(timeout_s):
                    answer = await result
            except TimeoutError:
                if not lose_answer:
                    self._statistics.count_error(f"{action} timed out")
                raise CallTimedOut(action) from None
            except ConnectionClosed:
                raise Disconnected(action) from None
            finally:
                self._open_calls.pop(key, None)
            self._statistics.reply_times.add(time.perf_counter() - began)
            return answer

    async def send_raw(self, text: str | bytes) -> None:
        """Send anything at all as one text frame."""
        if self._socket is None or not self.connected:
            raise Disconnected("not connected")
        try:
            await self._socket.send(text, text=True)
        except ConnectionClosed:
            raise Disconnected("closed") from None

    def _headers(self) -> list[tuple[str, str]]:
        foreign = Misbehaviour.FOREIGN_HEADERS in self.quirks
        headers = []
        if self.account.password is not None:
            password = self.account.password.encode()
            if Misbehaviour.HEX_PASSWORD in self.quirks:
                # 16J 6.2.2: the key is set as hex digits and sent as the bytes they stand for.
                password = bytes.fromhex(self.account.password)
            token = base64.b64encode(self.account.identity.encode() + b":" + password).decode()
            headers.append(("authorization" if foreign else "Authorization", f"Basic {token}"))
        if foreign:
            headers += [
                ("Origin", "http://station.invalid"),
                ("Pragma", "no-cache"),
                ("Cache-Control", "no-cache"),
                ("User-Agent", "node"),
            ]
        return headers

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                await self._receive(socket, text)
        except ConnectionClosed:
            pass
        finally:
            self._lost.set()
            for result in self._open_calls.values():
                if not result.done():
                    result.set_exception(Disconnected("the connection was lost"))

    async def _receive(self, socket: ClientConnection, text: str | bytes) -> None:
        try:
            frame = orjson.loads(text)
            kind, message_id = frame[0], frame[1]
            if kind == 2:
                await self._receive_call(socket, message_id, frame[2], frame[3])
            elif kind == 3:
                self._finish(message_id, frame[2])
            elif kind == 4:
                self._fail(message_id, CallRefused(str(frame[2]), str(frame[3])))
            elif kind == 5:
                self._statistics.count_error(f"CALLRESULTERROR {frame[2]}")
            else:
                self._statistics.count_error(f"message type {kind} received")
        except (orjson.JSONDecodeError, LookupError, TypeError):
            self._statistics.count_error("broken frame received")

    def _finish(self, message_id: str, payload: Payload) -> None:
        result = self._open_calls.get(message_id)
        if result is not None and not result.done():
            result.set_result(payload)

    def _fail(self, message_id: str, error: CallRefused) -> None:
        # Broken frames of ours are answered under an id that no call has.
        result = self._open_calls.get(message_id)
        if result is not None and not result.done():
            self._statistics.count_error(f"CALLERROR {error.code}")
            result.set_exception(error)

    async def _receive_call(
        self, socket: ClientConnection, message_id: str, action: str, payload: Payload
    ) -> None:
        self._statistics.calls_received += 1
        if Misbehaviour.SILENT_TO_CALLS in self.quirks:
            return
        if Misbehaviour.ERROR_TO_CALLS in self.quirks:
            await socket.send(
                orjson.dumps([4, message_id, "SomethingElse", "line one\nline two", "details"]),
                text=True,
            )
            return
        try:
            reply = self._answer(action, payload)
        except Refusal as refusal:
            frame = [4, message_id, refusal.code, str(refusal)[:255], {}]
            await socket.send(orjson.dumps(frame), text=True)
            return
        late = Misbehaviour.LATE_RESERVATIONS in self.quirks and action == "ReserveNow"
        if late or (Misbehaviour.ANSWERS_LAST in self.quirks and reply.afterwards is not None):
            # In a task: what it does first needs this very reader for its answers.
            delay_s = self.options.late_answer_s if late else 0.0
            self._spawn(self._act_then_answer(socket, message_id, reply, delay_s))
            return
        await self._send_result(socket, message_id, reply)
        if reply.afterwards is not None:
            reply.afterwards()

    async def _act_then_answer(
        self, socket: ClientConnection, message_id: str, reply: Reply, delay_s: float
    ) -> None:
        if reply.afterwards is not None:
            reply.afterwards()
        await self._settled()
        await asyncio.sleep(delay_s)
        try:
            await self._send_result(socket, message_id, reply)
        except ConnectionClosed:
            self._statistics.count_error("connection lost before an answer")

    async def _send_result(self, socket: ClientConnection, message_id: str, reply: Reply) -> None:
        payload = reply.payload
        if Misbehaviour.INVALID_ANSWERS in self.quirks:
            payload = {**payload, "status": 7, "unheardOf": None}
        await socket.send(orjson.dumps([3, message_id, payload]), text=True)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)


def _id_source(quirks: Quirks) -> Callable[[], str]:
    if Misbehaviour.COUNTING_IDS in quirks:
        count = iter(range(1, 2**31))
        return lambda: str(next(count))
    if Misbehaviour.CLOCK_SEEDED_IDS in quirks:
        # Two stations that connect in the same second send identical ids.
        rng = random.Random(int(time.time()))
        return lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4))
    return lambda: str(uuid.uuid4())
