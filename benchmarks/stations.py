"""Load stations: what one does after its boot was accepted, and what it remembers of the answers.

Owns the order of one station's calls (never two open at once, as OCPP demands) and the checksum of
what was acknowledged to it. When load starts and stops, and what is measured, is `load`.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import inf

from benchmarks import payloads
from benchmarks.wire import StationSocket


@dataclass(slots=True)
class Tally:
    """What all stations of a run saw, and the window (perf_counter) that is measured."""

    window_begin: float = inf
    window_end: float = inf
    stopping: bool = False
    sent: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    window_acknowledged: int = 0
    latencies_s: array[float] = field(default_factory=lambda: array("d"))
    calls_answered: int = 0


@dataclass(slots=True)
class Acknowledged:
    """What one station may rely on: the database must hold exactly this."""

    samples: int = 0
    sample_ms_sum: int = 0
    """Sum of the acknowledged sampled times in Unix milliseconds: a lost or doubled row shows."""
    starts: int = 0
    stops: int = 0
    statuses: int = 0


class LoadStation(StationSocket):
    """Connects, boots, then waits for `begin`. Subclasses decide what follows an answer."""

    subprotocol = "ocpp1.6"
    boot = payloads.BOOT

    def __init__(self, identity: str, host: str, path: str, password: bytes, tally: Tally) -> None:
        authorization = identity.encode() + b":" + password if password else b""
        super().__init__(host, path + identity, self.subprotocol, authorization)
        self.identity = identity
        self.id_tag = f"tag-{identity}"
        self.tally = tally
        self.kept = Acknowledged()
        self.on_end_of_boot: Callable[[bool], None] | None = None
        self.transaction_id = ""
        self.last_ms = 0
        self.begin_ms = 0
        self._sample_ms = 0
        self._action = ""
        self._message_no = 0
        self._expected = b""
        self._intended = 0.0

    # The socket's side.

    def opened(self) -> None:
        self.call("BootNotification", self.boot % self.identity)

    def lost(self, reason: str) -> None:
        self.tally.errors[reason] += 1
        self._expected = b""
        if self.on_end_of_boot is not None:
            self.on_end_of_boot(False)

    @property
    def waits(self) -> bool:
        """A call is open."""
        return bool(self._expected)

    def call(self, action: str, payload: str, intended: float = 0.0) -> None:
        """Send a CALL; its latency counts from `intended` (perf_counter), or from now."""
        assert not self._expected, "two calls open at once"
        self._message_no += 1
        message_id = f"{self._message_no}"
        self._expected = f'"{message_id}"'.encode()
        self._action = action
        tally = self.tally
        tally.sent[action] += 1
        self._intended = intended or time.perf_counter()
        self.send_text(f'[2,"{message_id}","{action}",{payload}]'.encode())

    def text_received(self, text: bytes) -> None:
        if text.startswith(b"[2,"):
            self._answer_call(text)
            return
        expected, action = self._expected, self._action
        # [3,"<id>",{...}]; another spelling of white space is still JSON, so cut, then strip.
        kind, message_id, payload = text.split(b",", 2)
        if not expected or message_id.strip() != expected:
            self.tally.errors["answer to no call of ours"] += 1
            return
        self._expected = b""
        tally = self.tally
        if kind == b"[3":
            tally.acknowledged[action] += 1
            now = time.perf_counter()
            if tally.window_begin <= now < tally.window_end:
                tally.window_acknowledged += 1
            # By the intended time: an answer that comes after the window's end still counts, or
            # the slowest would be left out (coordinated omission).
            if tally.window_begin <= self._intended < tally.window_end:
                tally.latencies_s.append(now - self._intended)
            self.answered(action, payload)
        else:
            tally.errors[f"{action}: {text[:200].decode(errors='replace')}"] += 1
        # After an error too: a loop that stood still would flatter the others' figures.
        self.proceed(action)

    def _answer_call(self, text: bytes) -> None:
        """The server asks something of its own: say no, as the load is not about that."""
        message_id = text.split(b'"', 2)[1].decode()
        self.tally.calls_answered += 1
        self.send_text(f'[4,"{message_id}","NotSupported","",{{}}]'.encode())

    # The station's side.

    @property
    def is_done(self) -> bool:
        """Nothing is open any more, once the load has stopped."""
        return not self.waits

    def begin(self) -> None:
        """Start the load; called once when all stations are there."""

    def finish(self) -> None:
        """Leave nothing open behind; called once when the load is over and all is answered."""

    def answered(self, action: str, payload: bytes) -> None:
        """Remember what was acknowledged."""
        if action == "BootNotification":
            if b'"Pending"' in payload or b'"Rejected"' in payload:
                self.tally.errors["boot not accepted"] += 1
            if self.on_end_of_boot is not None:
                self.on_end_of_boot(True)

    def proceed(self, action: str) -> None:
        """Do what follows this action."""

    def next_ms(self, moments: int = 1) -> int:
        """Return this station's next sampled time: now, but never one it has used already."""
        at_ms = max(int(time.time() * 1000), self.last_ms + 1)
        self.last_ms = at_ms + moments - 1
        return at_ms

    def register_mwh(self, at_ms: int) -> int:
        return 1_000_000 + (at_ms - self.begin_ms) * payloads.REGISTER_MWH_PER_MS

    def start_transaction(self) -> None:
        self.begin_ms = self.next_ms()
        stamp = payloads.timestamp(self.begin_ms)
        self.call("StartTransaction", payloads.START % (self.id_tag, 1000, stamp))

    def note_started(self, payload: bytes) -> None:
        self.kept.starts += 1
        self.transaction_id = "1"
        _, found, rest = payload.partition(b'"transactionId":')
        if found:
            digits = rest.lstrip().split(b",", 1)[0].split(b"}", 1)[0]
            self.transaction_id = digits.strip().decode()

    def note_samples(self, moments: int) -> None:
        self.kept.samples += moments
        self.kept.sample_ms_sum += self._sample_ms * moments + moments * (moments - 1) // 2

    def send_meter_values(
        self, build: Callable[[str, int, int], str], moments: int, intended: float = 0.0
    ) -> None:
        at_ms = self._sample_ms = self.next_ms(moments)
        payload = build(self.transaction_id, at_ms, self.register_mwh(at_ms))
        self.call("MeterValues", payload, intended)

    def stop_transaction(self) -> None:
        at_ms = self.next_ms()
        stop = payloads.STOP % (
            self.transaction_id,
            self.id_tag,
            self.register_mwh(at_ms) // 1000,
            payloads.timestamp(at_ms),
        )
        self.call("StopTransaction", stop)


class MeteringStation(LoadStation):
    """Starts a transaction, then sends MeterValues: as fast as answered, or when told to."""

    def __init__(
        self,
        identity: str,
        host: str,
        path: str,
        password: bytes,
        tally: Tally,
        *,
        moments: int = 1,
        closed_loop: bool = True,
    ) -> None:
        super().__init__(identity, host, path, password, tally)
        self._moments = moments
        self._build = payloads.five_values if moments == 1 else payloads.five_moments
        self._closed_loop = closed_loop
        self._due: deque[float] = deque()
        self.ready = False

    def begin(self) -> None:
        self.start_transaction()

    def answered(self, action: str, payload: bytes) -> None:
        if action == "MeterValues":
            self.note_samples(self._moments)
        elif action == "StartTransaction":
            self.note_started(payload)
        elif action == "StopTransaction":
            self.kept.stops += 1
        else:
            super().answered(action, payload)

    def proceed(self, action: str) -> None:
        if action in ("BootNotification", "StopTransaction"):
            return
        self.ready = True
        if self._closed_loop:
            if not self.tally.stopping:
                self._send(0.0)
        elif self._due:
            self._send(self._due.popleft())

    def due(self, intended: float) -> None:
        """Open loop: send now, or as soon as the open call is answered."""
        if self.closing:
            self.tally.errors["not sent: connection lost"] += 1
        elif self.waits or not self.ready:
            self._due.append(intended)
        else:
            self._send(intended)

    @property
    def is_done(self) -> bool:
        return not self.waits and not self._due

    def finish(self) -> None:
        if self.ready:
            self.stop_transaction()

    def _send(self, intended: float) -> None:
        self.send_meter_values(self._build, self._moments, intended)


class EventStation(LoadStation):
    """Starts a transaction of 2.x, then sends TransactionEvents as fast as they are answered."""

    subprotocol = "ocpp2.0.1"
    boot = payloads.BOOT_2

    def __init__(self, identity: str, host: str, path: str, password: bytes, tally: Tally) -> None:
        super().__init__(identity, host, path, password, tally)
        self._seq_no = 0
        self._kind = ""

    def begin(self) -> None:
        self.begin_ms = self.next_ms()
        # Unique over runs on one database: the time tells them apart.
        self.transaction_id = f"{self.identity}-{self.begin_ms}"
        register = self.register_mwh(self.begin_ms)
        started = payloads.event_started(*self._now(self.begin_ms), self.id_tag, register)
        self._tell("Started", started)

    def answered(self, action: str, payload: bytes) -> None:
        match self._kind:
            case "Started":
                self.kept.starts += 1
            case "Updated":
                self.note_samples(1)
            case "Ended":
                self.kept.stops += 1
            case _:
                super().answered(action, payload)

    def proceed(self, action: str) -> None:
        goes_on = self._kind != "Ended" and not self.tally.stopping
        if action == "TransactionEvent" and goes_on:
            at_ms = self._sample_ms = self.next_ms()
            register = self.register_mwh(at_ms)
            self._tell("Updated", payloads.event_sampled(*self._now(at_ms), register))

    def finish(self) -> None:
        if self._kind:
            self._tell("Ended", payloads.event_ended(*self._now(self.next_ms())))

    def _now(self, at_ms: int) -> tuple[str, int, int]:
        self._seq_no += 1
        return self.transaction_id, at_ms, self._seq_no - 1

    def _tell(self, kind: str, payload: str) -> None:
        self._kind = kind
        self.call("TransactionEvent", payload)


class EventStation21(EventStation):
    subprotocol = "ocpp2.1"


class SessionStation(LoadStation):
    """Whole charging sessions, one after another, as fast as they are answered."""

    SAMPLES = 5

    def __init__(self, identity: str, host: str, path: str, password: bytes, tally: Tally) -> None:
        super().__init__(identity, host, path, password, tally)
        self._steps: tuple[Callable[[], None], ...] = (
            partial(self._report_status, "Preparing"),
            partial(self.call, "Authorize", payloads.AUTHORIZE % self.id_tag),
            self.start_transaction,
            partial(self._report_status, "Charging"),
            *[partial(self.send_meter_values, payloads.five_values, 1)] * self.SAMPLES,
            self.stop_transaction,
            partial(self._report_status, "Finishing"),
            partial(self._report_status, "Available"),
        )
        self._next_step = 0

    def begin(self) -> None:
        self._step()

    def answered(self, action: str, payload: bytes) -> None:
        if action == "MeterValues":
            self.note_samples(1)
        elif action == "StartTransaction":
            self.note_started(payload)
        elif action == "StopTransaction":
            self.kept.stops += 1
        elif action == "StatusNotification":
            self.kept.statuses += 1
        else:
            super().answered(action, payload)

    def proceed(self, action: str) -> None:
        # A session that has begun is finished after the load's end.
        if action != "BootNotification" and not (self.tally.stopping and self._next_step == 0):
            self._step()

    @property
    def is_done(self) -> bool:
        return not self.waits and self._next_step == 0

    def _step(self) -> None:
        step = self._steps[self._next_step]
        self._next_step = (self._next_step + 1) % len(self._steps)
        step()

    def _report_status(self, status: str) -> None:
        stamp = payloads.timestamp(self.next_ms())
        self.call("StatusNotification", payloads.STATUS % (status, stamp))
