"""The listener, its connections and translators on a real port, without a database behind them.

The fakes are what stands for the database: who is known (`KnownStations`) and what becomes of a
report (`PromptCommitter`). The same conversations run against a whole hub too (`test_fuzz_hub.py`).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import AsyncIterator, Collection, Hashable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import structlog

from chargehub.authorization.decision import Authorization, AuthorizationStatus
from chargehub.frame_log.log import FrameLog
from chargehub.gateway.connections import Connections
from chargehub.gateway.handlers import report_handlers
from chargehub.gateway.intake import Intake
from chargehub.gateway.listener import Listener, ListenerLimits
from chargehub.gateway.tls import TlsOptions
from chargehub.gateway.translators import TRANSLATORS
from chargehub.kit.clock import ClockPair, HubClock
from chargehub.kit.db import Database
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import (
    BatchHandler,
    ConnectionSource,
    Decided,
    Fence,
    GroupCommitter,
)
from chargehub.smart_charging.composite import Supply
from chargehub.smart_charging.reports import EvNeedsReported, EvScheduleReported, NeedsStatus
from chargehub.stations.admission import Admission
from chargehub.stations.credentials import hash_credential
from chargehub.stations.entry import Candidate
from chargehub.stations.reports import (
    BootReply,
    BootReported,
    Connected,
    ConnectionGranted,
    RegistrationStatus,
)
from chargehub.transactions.book import Book
from chargehub.transactions.reports import (
    AuthorizeRequested,
    TransactionReply,
    TransactionReported,
)
from tests.fuzz.wire import Wire
from tests.hub_fixtures import PASSWORD, basic_auth, eventually

KEY = b"k" * 32
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LIMITS = {
    "max_frame_bytes": 256 * 1024,
    "max_connections": 200,
    "max_handshakes": 100,
    "messages_per_s": 1e9,
    "messages_burst": 10**9,
    "messages_asked_factor": 1.0,
    "message_characters": 4_096,
    "outbound_waiting": 32,
    "inbound_waiting": 64,
    "handshake_timeout_s": 2.0,
    "ping_interval_s": 600.0,
    "ping_timeout_s": 600.0,
}


class KnownStations(Admission):
    """Everyone whose identity begins so is known, with one password; the rules are the hub's."""

    async def _look_up(self, names: Collection[str]) -> dict[str, Candidate]:
        secret = hash_credential(KEY, PASSWORD.encode())
        known: dict[str, Candidate] = {}
        for name in names:
            kind, _, number = name.partition("-")
            if kind in {"cs", "pending"} and number.isdecimal() and number.isascii():
                station_id = int(number) + (1_000_000 if kind == "pending" else 0)
                known[name] = Candidate(station_id, name.upper(), secret)
        return known


def registration_of(station_id: int) -> RegistrationStatus:
    pending = station_id >= 1_000_000
    return RegistrationStatus.PENDING if pending else RegistrationStatus.ACCEPTED


@dataclass
class PromptCommitter(GroupCommitter):
    """Takes reports as the group commit does: one of a station a batch, answered a turn later.

    It keeps nothing and decides nothing: its replies go through all words that there are.
    """

    reports: int = 0
    _kept: list[Any] | None = None
    _handed_in: list[tuple[Any, Any, Decided]] = field(default_factory=list)
    _epochs: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _committing: bool = False

    def hand_in(
        self,
        key: Hashable,
        _fence: int | None,
        _handler: BatchHandler[Any, Any, Any],
        report: Any,
        decided: Decided,
    ) -> None:
        self._handed_in.append((key, report, decided))
        self.flush()

    def flush(self) -> None:
        """Commit soon what waits, if only of the frame log."""
        if not self._committing:
            self._committing = True
            asyncio.get_running_loop().call_soon(self._commit_at_once)

    @contextmanager
    def keeping(self) -> Iterator[list[Any]]:
        """Leak: keep every report meanwhile."""
        kept: list[Any] = []
        self._kept = kept
        yield kept
        self._kept = None

    def _commit_at_once(self) -> None:
        self._committing = False
        batch, self._handed_in = self._handed_in, []
        assert self.side_rows is not None
        for row in self.side_rows.take():
            assert b"\0" not in row[-1]
        for station_id, report, decided in batch:
            self.reports += 1
            if self._kept is not None:
                self._kept.append(report)
            decided(self._reply(station_id, report), None)

    def _reply(self, station_id: int, report: Any) -> Any:
        reply: Any = None
        match report:
            case Connected():
                reply = ConnectionGranted(next(self._epochs), registration_of(station_id))
            case BootReported():
                reply = BootReply(registration_of(station_id), 60)
            case AuthorizeRequested():
                reply = self._authorization()
            case TransactionReported():
                decided = self._authorization() if report.id_token else None
                reply = TransactionReply(self.reports % (2**31 - 1) + 1, decided)
            case EvNeedsReported():
                reply = NeedsStatus.PROCESSING
            case EvScheduleReported():
                reply = True
            case _:
                pass
        return reply

    def _authorization(self) -> Authorization:
        statuses = tuple(AuthorizationStatus)
        status = statuses[self.reports % len(statuses)]
        group = ("g" * 30, "GROUP", None)[self.reports % 3]
        return Authorization(status, group, NOW if self.reports % 2 else None)


class Alarms:
    """Lines of the log that must not be there: exceptions and errors. Counts the others."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.others: Counter[str] = Counter()

    def __call__(
        self, _logger: Any, method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        if method in {"exception", "error", "critical"} or line.get("exc_info"):
            if line.get("exc_info") is True:
                line = structlog.processors.format_exc_info(None, method, dict(line))
            self.lines.append(dict(line))
        else:
            self.others[str(line.get("event"))] += 1
        raise structlog.DropEvent


class _OfLibraries(logging.Handler):
    """Hands on what libraries log as errors."""

    def __init__(self, heard: Alarms) -> None:
        super().__init__(logging.WARNING)
        self.heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            text = logging.Formatter().format(record)
            self.heard.lines.append({"event": record.name, "text": text})
        else:
            self.heard.others[record.name] += 1


@contextmanager
def alarms() -> Iterator[Alarms]:
    """Listen to the log of all that happens within."""
    heard = Alarms()
    before = structlog.get_config()
    structlog.configure(processors=[heard])
    libraries = _OfLibraries(heard)
    logging.getLogger().addHandler(libraries)
    try:
        yield heard
    finally:
        logging.getLogger().removeHandler(libraries)
        structlog.configure(**before)


@dataclass
class Stage:
    listener: Listener
    connections: Connections
    committer: PromptCommitter
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.listener.bound_port

    async def connect(self, version: str, *, accepted: bool = True) -> tuple[int, Wire]:
        """Let a new station in; return its id and its end of the socket."""
        number = next(self._numbers)
        identity = f"{'CS' if accepted else 'PENDING'}-{number}"
        headers = basic_auth(identity, PASSWORD)
        wire = await Wire.connect(self.address, f"/ocpp/{identity}", headers, version)
        station_id = number if accepted else number + 1_000_000
        await eventually(lambda: self.connections.has(station_id))
        return station_id, wire


@asynccontextmanager
async def open_stage(tls: TlsOptions | None = None, **limits: Any) -> AsyncIterator[Stage]:
    seconds = NOW.timestamp()
    clock = HubClock(ClockPair(seconds, seconds, 1))
    frame_log = FrameLog(text_max=16_384, waiting_max_bytes=8 << 20)
    committer = PromptCommitter(
        cast(ConnectionSource, None), cast(Fence, None), side_rows=frame_log
    )
    handlers = report_handlers(
        Book(), EventBus(), cast(Supply, None), 60, station_variables=20_000, limit_sources=8
    )
    connections = Connections(call_timeout_s=20.0)
    listener = Listener(
        "127.0.0.1",
        0,
        "/ocpp",
        KnownStations(cast(Database, None), clock, KEY),
        Intake(committer, handlers),
        connections,
        clock,
        TRANSLATORS,
        ListenerLimits(**{**LIMITS, **limits}),
        frame_log,
        tls,
    )
    frame_log.start(committer)
    await listener.start()
    try:
        yield Stage(listener, connections, committer)
    finally:
        await listener.stop()
        await frame_log.stop()
