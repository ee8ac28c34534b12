"""A station's end of a socket, down to the bytes: it can send what no WebSocket library would.

It answers nothing by itself. Texts of the hub go to `heard`; its CALLs to `asked`.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable, Mapping
from typing import cast

import orjson

from tests.fuzz.frames import Sent, pieces_of
from tests.hub_fixtures import DEADLINE_S

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
KEY = base64.b64encode(b"sixteen bytes...").decode()


def frame(
    opcode: int, data: bytes, *, fin: bool = True, masked: bool = True, bits: int = 0
) -> bytes:
    """Write one WebSocket frame; its mask is zero, so the data stays readable."""
    head = bytes([(fin << 7) | bits | opcode])
    mask = masked << 7
    if len(data) < 126:
        head += bytes([mask | len(data)])
    elif len(data) < 1 << 16:
        head += bytes([mask | 126]) + len(data).to_bytes(2, "big")
    else:
        head += bytes([mask | 127]) + len(data).to_bytes(8, "big")
    return head + (bytes(4) if masked else b"") + data


def on_the_wire(sent: Sent) -> bytes:
    pieces = list(pieces_of(sent)) or [b""]
    last = len(pieces) - 1
    return b"".join(
        frame(sent.opcode if place == 0 else 0, piece, fin=place == last)
        for place, piece in enumerate(pieces)
    )


def upgrade(path: str, headers: Mapping[str, str], version: str) -> bytes:
    lines = {
        "Host": "hub",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Protocol": version,
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()


class Wire(asyncio.Protocol):
    """One TCP connection."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.raw = bytearray()
        """What came and is not read yet."""
        self.heard: list[str] = []
        self.asked: list[tuple[str, str]] = []
        """Ids and actions of the hub's CALLs."""
        self.close_code: int | None = None
        self.upgraded = False
        self.ended = self.loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    @classmethod
    async def open(cls, host: str, port: int, tls: ssl.SSLContext | None = None) -> Wire:
        loop = asyncio.get_running_loop()
        name = "localhost" if tls is not None else None
        _, wire = await loop.create_connection(cls, host, port, ssl=tls, server_hostname=name)
        return wire

    @classmethod
    async def connect(
        cls, address: tuple[str, int], path: str, headers: Mapping[str, str], version: str
    ) -> Wire:
        wire = await cls.open(*address)
        wire.write(upgrade(path, headers, version))
        await wire.until(lambda: b"\r\n\r\n" in wire.raw)
        status, _, rest = bytes(wire.raw).partition(b"\r\n\r\n")
        assert status.startswith(b"HTTP/1.1 101 "), status
        wire.raw = bytearray(rest)
        wire.upgraded = True
        wire.data_received(b"")
        return wire

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def end(self) -> None:
        """Say that nothing more comes."""
        assert self._transport is not None
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def read_nothing(self) -> None:
        """Take nothing more from the network."""
        assert self._transport is not None
        self._transport.pause_reading()

    def abort(self) -> None:
        assert self._transport is not None
        self._transport.abort()

    @property
    def address(self) -> tuple[str, int]:
        """Return our own, by which the hub knows us."""
        assert self._transport is not None
        address: tuple[str, int] = self._transport.get_extra_info("sockname")
        return address

    async def until(self, question: Callable[[], bool]) -> None:
        """Wait until it is so, or the connection is over."""
        if question() or self.ended.done():
            return
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._waiters.append((question, waiter))
        async with asyncio.timeout(DEADLINE_S):
            await waiter

    # What the loop calls -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no base class.

    def data_received(self, data: bytes) -> None:
        self.raw += data
        if self.upgraded:
            self._read_frames()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(exc)
        self._wake(over=True)

    def _wake(self, *, over: bool = False) -> None:
        waiting, self._waiters = self._waiters, []
        for question, waiter in waiting:
            if waiter.done():
                continue
            if over or question():
                waiter.set_result(None)
            else:
                self._waiters.append((question, waiter))

    def _read_frames(self) -> None:
        raw, at = self.raw, 0
        while len(raw) - at >= 2:
            size, start = raw[at + 1], at + 2
            if size >= 126:
                wide = 2 if size == 126 else 8
                start += wide
                if len(raw) < start:
                    break
                size = int.from_bytes(raw[start - wide : start], "big")
            if len(raw) < start + size:
                break
            self._take(raw[at] & 15, bytes(raw[start : start + size]))
            at = start + size
        del raw[:at]

    def _take(self, opcode: int, data: bytes) -> None:
        if opcode == TEXT:
            text = data.decode()
            if text.startswith("[2,"):
                call = orjson.loads(text)
                self.asked.append((call[1], call[2]))
            else:
                self.heard.append(text)
        elif opcode == PING:
            self.write(frame(PONG, data))
        elif opcode == CLOSE:
            self.close_code = int.from_bytes(data[:2], "big") if data else 1005
