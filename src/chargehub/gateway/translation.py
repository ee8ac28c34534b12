"""The shape of a translator: two tables, one per direction. Pure.

A version is a `Translator`; `translate_v16` and `translate_v201` each build one. A later version is
the older one's tables plus additions (`Translator.extended`), as `translate_v21` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from chargehub.devices.reports import VariablesReported, VariablesWritten
from chargehub.reservations.reports import ReservationStatusReported
from chargehub.smart_charging.reports import (
    EvNeedsReported,
    EvScheduleReported,
    LimitCleared,
    LimitReported,
    ProfilesReported,
)
from chargehub.stations.commands import Command
from chargehub.stations.reports import BootReported, NoticeReported, StatusReported
from chargehub.transactions.reports import (
    AuthorizeRequested,
    SamplesReported,
    TransactionReported,
)

Payload = dict[str, Any]

Report = (
    BootReported
    | StatusReported
    | NoticeReported
    | VariablesReported
    | VariablesWritten
    | AuthorizeRequested
    | TransactionReported
    | SamplesReported
    | ReservationStatusReported
    | ProfilesReported
    | LimitReported
    | LimitCleared
    | EvNeedsReported
    | EvScheduleReported
)


class Untranslatable(Exception):
    """A payload from which not even the essentials can be read; kept raw and acknowledged."""


class Context(NamedTuple):
    """What a translation may know besides the payload."""

    station_id: int
    received_at: datetime
    valid: bool = True
    """False when the payload failed its schema: read field by field, and flag."""
    asked: Payload | None = None
    """Our request, where its answer is read."""


Reader = Callable[[Payload, Context], Sequence[Report]]
Answer = Callable[[Sequence[Any], datetime], Payload]


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One row of the inbound table.

    `read` gives the reports to submit, in order (none for Heartbeat). `answer` builds the reply
    from the submitted reports' replies and the time of the answer; None marks a one-way message,
    which is never answered and so never refused either. `tolerant` messages are billing
    data: when their schema check fails they are read all the same (16 4.8, E-block remarks).
    """

    read: Reader
    answer: Answer | None
    tolerant: bool = False

    def reports_of(
        self, action: str, payload: Payload, context: Context
    ) -> tuple[Sequence[Report], bool]:
        """Return the reports to submit, and whether `answer` may be told of their replies.

        What cannot be translated is kept as it is; the answer is then the one that needs to know
        nothing.
        """
        try:
            return self.read(payload, context), True
        except Untranslatable as error:
            what = {"untranslatable": str(error), "payload": payload}
            notice = NoticeReported(
                context.station_id, context.received_at, action, what, flagged=True
            )
            return (notice,), False


@dataclass(frozen=True, slots=True)
class Request:
    action: str
    payload: Payload


Encoder = Callable[[Any], Request]


@dataclass(frozen=True, slots=True)
class Translator:
    inbound: Mapping[str, InboundMessage]
    encoders: Mapping[type, Encoder]
    """By command type; a missing row is UnsupportedByStation. RawCommand needs none."""
    trigger_answers: Mapping[str, frozenset[str]]
    """Our request -> the station's messages it allows before acceptance (B02.FR.09, E16J 3.10)."""
    allowed_while_pending: frozenset[str]
    """Requests we may send to a Pending station (B02.FR.01)."""
    results: Mapping[str, Reader] = field(default_factory=dict)
    """Our request -> how its answer is read, where the answer itself reports something."""
    told: Mapping[type, Callable[[Payload, Context], Any]] = field(default_factory=dict)
    """By command type: what its answer tells whoever sent it (`CommandAnswer.told`)."""

    @property
    def tolerant(self) -> frozenset[str]:
        return frozenset(action for action, message in self.inbound.items() if message.tolerant)

    def encode(self, command: Command) -> Request | None:
        encoder = self.encoders.get(type(command))
        return None if encoder is None else encoder(command)

    def extended(
        self,
        inbound: Mapping[str, InboundMessage] | None = None,
        encoders: Mapping[type, Encoder] | None = None,
    ) -> Translator:
        """Return this table with rows added or replaced: how a later version is made."""
        return replace(
            self,
            inbound={**self.inbound, **(inbound or {})},
            encoders={**self.encoders, **(encoders or {})},
        )
