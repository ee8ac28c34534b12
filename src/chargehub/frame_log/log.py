"""The frame log's buffer: frames wait here until a batch takes them along into its own COMMIT.

It knows nothing of OCPP: it is given text without secrets, with what is known of it. A frame is
durable no later than what it caused; where nothing is caused (a Heartbeat, an answer), within
`FLUSH_EVERY_S`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import structlog
from prometheus_client import Counter, Gauge

from chargehub.frame_log.store import INSERT_FRAMES, INSERT_FRAMES_AGAIN
from chargehub.kit.datetimes import microseconds
from chargehub.kit.group_commit import BatchStatement, Row

log = structlog.get_logger(__name__)

FLUSH_EVERY_S = 0.5
ROW_BYTES = 200
"""What a waiting row costs beside its text."""
PORTION_BYTES = 1_572_864
"""What one COMMIT takes along: more, as after an outage, would hold the event loop too long.

So much holds a thousand stations' messages and answers, which then need no COMMIT of their own.
"""

LOGGED = Counter("chargehub_frame_log_frames_total", "Frames written into the frame log")
LOST = Counter(
    "chargehub_frame_log_lost_total", "Frames that are missing in the frame log", ["why"]
)
WAITING = Gauge(
    "chargehub_frame_log_waiting_bytes", "What waits to be written, about, at the last flush"
)

_FULL = LOST.labels("full")
_REFUSED = LOST.labels("refused")


class Flusher(Protocol):
    def flush(self) -> None:
        """Commit what waits, though nothing else asks for a COMMIT."""


class FrameLog:
    """Implements `kit.group_commit.SideRows`."""

    def __init__(self, *, text_max: int | None, waiting_max_bytes: int) -> None:
        """Keep `text_max` characters of a frame, None: all of it.

        What waits beyond the bytes is lost, and counted.
        """
        self._text_max = sys.maxsize if text_max is None else text_max
        self._waiting_max = waiting_max_bytes
        self._rows: list[Row] = []
        self._bytes = 0
        self._losing = False
        # The oldest so many that wait may have been committed already.
        self._doubtful = 0
        self.statement: BatchStatement = INSERT_FRAMES
        # The last time that was handed in: all frames of a turn of the event loop have the same.
        self._at: datetime | None = None
        self._at_us = 0
        self._timer: asyncio.Task[None] | None = None

    def add(  # noqa: PLR0913, PLR0917 - a row's columns; a dataclass would cost as much as the rest
        self,
        at: datetime,
        station_id: int,
        epoch: int,
        number: int,
        message_type: int | None,
        direction: str,
        protocol: str,
        message_id: str | None,
        action: str | None,
        text: str,
    ) -> None:
        """Keep a frame; its text holds no secret any more."""
        cut_from = None
        if len(text) > self._text_max:
            cut_from = len(text)
            text = text[: self._text_max]
        if "\0" in text:  # PostgreSQL keeps every character but this one.
            text = text.replace("\0", "\ufffd")
        # Now, while it is at hand: until the COMMIT thousands of others come.
        encoded = text.encode("utf-8", "replace")
        size = len(encoded) + ROW_BYTES
        self._bytes += size
        if self._bytes > self._waiting_max:
            self._lose(size)
            return
        if at is not self._at:
            self._at, self._at_us = at, microseconds(at)
        self._rows.append(
            (
                self._at_us,
                station_id,
                epoch,
                number,
                message_type,
                cut_from,
                direction,
                protocol,
                message_id,
                action,
                encoded,
            )
        )

    def _lose(self, size: int) -> None:
        self._bytes -= size
        _FULL.inc()
        if not self._losing:
            self._losing = True
            log.error("frame_log_full", waiting_frames=len(self._rows))

    @property
    def portions(self) -> int:
        return -(-self._bytes // PORTION_BYTES)

    def take(self) -> list[Row]:
        """Hand over a portion of what waits, in the order in which it came."""
        if not self._rows:
            return []  # Not the list itself: what comes while the batch is read would be in both.
        self.statement = INSERT_FRAMES_AGAIN if self._doubtful else INSERT_FRAMES
        WAITING.set(self._bytes)
        if self._bytes > PORTION_BYTES:
            return self._take_portion()
        rows = self._rows
        self._rows, self._bytes, self._doubtful = [], 0, 0
        return rows

    def _take_portion(self) -> list[Row]:
        size, count = 0, 0
        for row in self._rows:
            size += len(row[-1]) + ROW_BYTES
            count += 1
            if size >= PORTION_BYTES:
                break
        taken = self._rows[:count]
        del self._rows[:count]
        self._bytes -= size
        self._doubtful = max(0, self._doubtful - count)
        return taken

    def committed(self, rows: Sequence[Row]) -> None:
        LOGGED.inc(len(rows))
        self._losing = False

    def give_back(self, rows: Sequence[Row]) -> None:
        """Keep what could not be committed for the next time."""
        self._rows[:0] = rows
        self._doubtful += len(rows)
        self._bytes += sum(len(row[-1]) + ROW_BYTES for row in rows)
        while self._rows and self._bytes > self._waiting_max:
            self._lose(len(self._rows.pop()[-1]) + ROW_BYTES)

    def refused(self, row: Row, error: Exception) -> None:
        """Go on without a row that the database never takes."""
        _REFUSED.inc()
        log.error(
            "frame_not_logged", station=row[1], epoch=row[2], number=row[3], why=repr(error)[:500]
        )

    def start(self, flusher: Flusher) -> None:
        self._timer = asyncio.create_task(self._flush_often(flusher), name="frame-log")

    async def stop(self) -> None:
        """End the timer; the group committer takes what waits along when it stops."""
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)

    async def _flush_often(self, flusher: Flusher) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            WAITING.set(self._bytes)
            if self._rows:
                flusher.flush()
