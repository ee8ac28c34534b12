"""A viewer as a browser is one: reads event-stream text, applies snapshots and changes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class StreamEvent:
    event_id: str
    kind: str
    data: dict[str, Any]


@dataclass
class EventReader:
    """Splits the stream into events; keeps what is not complete yet."""

    rest: bytes = b""
    comments: int = 0
    retry_ms: int | None = None

    def feed(self, chunk: bytes) -> Iterator[StreamEvent]:
        *blocks, self.rest = (self.rest + chunk).split(b"\n\n")
        for block in blocks:
            event = self._read(block.decode())
            if event is not None:
                yield event

    def _read(self, block: str) -> StreamEvent | None:
        fields = {"event": "message", "id": "", "data": ""}
        for line in block.split("\n"):
            if line.startswith(":"):
                self.comments += 1
                continue
            name, _, value = line.partition(": ")
            if name == "retry":
                self.retry_ms = int(value)
            else:
                assert name in fields, line
                fields[name] = value
        if not fields["data"]:
            return None
        return StreamEvent(fields["id"], fields["event"], json.loads(fields["data"]))


@dataclass
class Viewer:
    """What a page knows: the newest value of each key, and the id of the last event."""

    last_event_id: str | None = None
    stations: dict[int, dict[str, Any]] = field(default_factory=dict)
    evses: dict[str, dict[str, Any]] = field(default_factory=dict)
    hub: dict[str, Any] = field(default_factory=dict)
    snapshots: int = 0
    changes: int = 0
    beats: int = 0
    gaps: int = 0

    def apply_text(self, text: bytes) -> None:
        for event in EventReader().feed(text):
            self.apply(event)

    def apply(self, event: StreamEvent) -> None:
        if event.kind == "snapshot":
            self.snapshots += 1
            self.stations, self.evses, self.hub = {}, {}, {}
        elif event.kind == "beat":
            self.beats += 1
        else:
            self.changes += 1
            assert self.last_event_id is not None, "changes before any snapshot"
            self.gaps += _seq(event.event_id) != _seq(self.last_event_id) + 1
        self._merge(event.data)
        self.last_event_id = event.event_id

    def _merge(self, data: dict[str, Any]) -> None:
        for topic in ("board", "power"):
            part = data.get(topic, {})
            for station in part.get("stations", ()):
                self.stations.setdefault(station["id"], {}).update(station)
            for evse in part.get("evses", ()):
                self.evses.setdefault(evse["id"], {}).update(evse)
            self.hub.update(part.get("hub", {}))


@dataclass
class RawStream:
    """A live stream on a bare socket, so that not reading it means just that."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def chunk(self) -> bytes:
        """Return the next HTTP chunk; empty at the end."""
        size = int(await self.reader.readline(), 16)
        text = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return text

    async def close(self) -> None:
        self.writer.transport.abort()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


async def open_raw(
    base_url: str, cookie: str, *, last_event_id: str | None = None, limit: int = 65536
) -> RawStream:
    """Connect and read the answer's head; `limit` bounds what this side buffers."""
    address = urlsplit(base_url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limit)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, (address.hostname, address.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=limit)
    resume = "" if last_event_id is None else f"Last-Event-ID: {last_event_id}\r\n"
    writer.write(
        f"GET /api/v1/live HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Cookie: {cookie}=raw\r\n{resume}\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return RawStream(reader, writer)


def view_of(snapshot: bytes) -> Viewer:
    """Return what a viewer knows who has just read this snapshot document."""
    viewer = Viewer()
    viewer.apply(StreamEvent("", "snapshot", json.loads(snapshot)))
    return viewer


def _seq(event_id: str) -> int:
    return int(event_id.rpartition("-")[2])
