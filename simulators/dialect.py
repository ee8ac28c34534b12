"""What a station needs of an OCPP version: its words for what happens, and for what is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Protocol

from simulators.car import Car
from simulators.client import Payload, Reply
from simulators.clock import rfc3339
from simulators.gun import GunState, StopCause, Transaction, Verdict
from simulators.metering import Sample
from simulators.misbehaviour import Misbehaviour, Quirks
from simulators.outbox import Message

SKEW_S = 3600.0

VENDOR = "ChargeHub Simulators"
MODEL = "DC-120-2"
FIRMWARE = "1.4.2"


class Dialect(Protocol):
    subprotocol: str
    presenting_uses_reservation: bool
    """Whether a token that is presented has used its reservation though no car comes."""

    def word(self, state: GunState) -> str:
        """Return the status word for a state."""

    def boot(self, reason: str) -> Message: ...

    def heartbeat(self) -> Message: ...

    def status(self, evse_no: int, word: str, at: float, fault: str | None) -> Message: ...

    def station_status(self, at: float) -> Message | None:
        """Return the status of the station as a whole, where the version has one."""

    def authorize(self, token: str) -> Message: ...

    def car_token(self, car: Car) -> str | None:
        """Return what a car presents of itself, in the version's words; None: it says nothing."""

    def verdict(self, answer: Payload) -> Verdict: ...

    def started(self, transaction: Transaction, sample: Sample) -> Message: ...

    def start_verdict(self, transaction: Transaction, answer: Payload) -> Verdict: ...

    def charging(self, transaction: Transaction, at: float) -> Message | None:
        """Return the news that energy flows, where the version has it apart from the status."""

    def sampled(self, transaction: Transaction, sample: Sample) -> Message: ...

    def ended(
        self, transaction: Transaction, sample: Sample, cause: StopCause, token: str | None
    ) -> Message: ...

    def bare_samples(self, evse_no: int, sample: Sample) -> Message:
        """Return MeterValues of no transaction."""

    def reservation_over(self, reservation_id: int, word: str) -> Message | None: ...

    def answer(self, action: str, payload: Payload) -> Reply:
        """Act on a call of the hub. Raises client.Refusal."""


class Timestamps:
    """Words a time, well or badly."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._first: float | None = None

    def __call__(self, at: float) -> str:
        if Misbehaviour.CLOCK_SKEW in self._quirks:
            at -= SKEW_S
        if Misbehaviour.CLOCK_OF_1970 in self._quirks:
            self._first = at if self._first is None else self._first
            at -= self._first
        if Misbehaviour.LOCAL_TIME_ZONE in self._quirks:
            here = datetime.fromtimestamp(at, UTC).astimezone(timezone(timedelta(hours=8)))
            return f"{here:%Y-%m-%dT%H:%M:%S}.{here.microsecond:06d}000+08:00"
        text = rfc3339(at)
        return text.removesuffix("Z") if Misbehaviour.NO_TIME_ZONE in self._quirks else text


def parse_time(text: str) -> float:
    """Read an RFC 3339 time. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
