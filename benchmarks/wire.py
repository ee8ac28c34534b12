"""A lean websocket client for load: one TCP connection, text frames, no compression.

It costs the generator about a quarter of the CPU of a full client library, which matters where the
server shares the machine. It checks the handshake and answers pings; it does not fragment, and it
treats everything a server should not send as a broken connection.
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from abc import ABC, abstractmethod
from typing import cast

from websockets.speedups import apply_mask
from websockets.utils import accept_key

TEXT = 0x81
CLOSE = 0x88
PING = 0x89
PONG = 0x8A
NORMAL_CLOSURE = struct.pack("!H", 1000)


def masked_frame(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """Build one final client frame (RFC 6455 5.2: clients mask)."""
    size = len(payload)
    if size < 126:
        head = bytes((opcode, 0x80 | size))
    elif size < 65536:
        head = struct.pack("!BBH", opcode, 0xFE, size)
    else:
        head = struct.pack("!BBQ", opcode, 0xFF, size)
    return head + mask + apply_mask(payload, mask)


class StationSocket(asyncio.Protocol, ABC):
    """Subclasses say what happens when it opens, when a text arrives, and when it is lost."""

    def __init__(self, host: str, path: str, subprotocol: str, authorization: bytes) -> None:
        key = base64.b64encode(os.urandom(16))
        self._accept = accept_key(key.decode()).encode()
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key.decode()}\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {subprotocol}\r\n"
        ).encode()
        if authorization:
            self._request += b"Authorization: Basic " + base64.b64encode(authorization) + b"\r\n"
        self._request += b"\r\n"
        self._subprotocol = subprotocol.encode()
        # One mask for the connection: the generator has no proxy to protect from cache poisoning,
        # and the server unmasks at the same cost whatever the mask.
        self._mask = os.urandom(4)
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.is_open = False
        self.closing = False

    @abstractmethod
    def opened(self) -> None: ...

    @abstractmethod
    def text_received(self, text: bytes) -> None: ...

    @abstractmethod
    def lost(self, reason: str) -> None: ...

    def send_text(self, text: bytes) -> None:
        if self._transport is not None:
            self._transport.write(masked_frame(TEXT, text, self._mask))

    def close(self) -> None:
        self.closing = True
        if self._transport is not None:
            if self.is_open:
                self._transport.write(masked_frame(CLOSE, NORMAL_CLOSURE, self._mask))
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._transport = None
        if not self.closing:
            self.closing = True
            self.lost(f"connection lost: {exc!r}")

    def data_received(self, data: bytes) -> None:
        # The common case by far: one short text frame, alone.
        if (
            not self._buffer
            and self.is_open
            and data[0] == TEXT
            and len(data) > 1
            and data[1] < 126
            and len(data) == data[1] + 2
        ):
            self.text_received(data[2:])
            return
        self._buffer += data
        if not self.is_open and not self._take_handshake():
            return
        while not self.closing and self._take_frame():
            pass

    def _take_handshake(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        if not head.startswith(b"HTTP/1.1 101 "):
            self._fail(f"refused: {head.splitlines()[0].decode(errors='replace')}")
            return False
        # Header names are case-insensitive, the accept value is not.
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.splitlines()[1:])
        }
        if fields.get(b"sec-websocket-accept") != self._accept:
            self._fail("refused: wrong Sec-WebSocket-Accept")
            return False
        if fields.get(b"sec-websocket-protocol") != self._subprotocol:
            self._fail("refused: subprotocol not agreed")
            return False
        self.is_open = True
        self.opened()
        return True

    def _take_frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, start = buffer[1], 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start + size:
            return False
        payload, self._buffer = buffer[start : start + size], buffer[start + size :]
        self._frame_received(buffer[0], payload)
        return True

    def _frame_received(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self.text_received(payload)
        elif opcode == PING:
            if self._transport is not None:
                self._transport.write(masked_frame(PONG, payload, self._mask))
        elif opcode == PONG:
            pass
        elif opcode == CLOSE:
            self._fail(f"closed by the server: {payload[2:].decode(errors='replace')!r}")
        else:
            self._fail(f"unexpected frame {opcode:#x}")

    def _fail(self, reason: str) -> None:
        if self._transport is not None:
            self._transport.close()
        if not self.closing:
            self.closing = True
            self.lost(reason)
