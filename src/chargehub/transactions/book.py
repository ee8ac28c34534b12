"""The transactions that are open now, in memory: a copy of the database, changed after COMMIT.

Owns look-up by station reference, by EVSE and by token. The database is the truth:
`recall` rebuilds the book from it, meter tracks included.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from chargehub.telemetry.readings import Flag
from chargehub.transactions.meter import MeterTrack

KeyT = TypeVar("KeyT")


@dataclass(slots=True, eq=False)
class OpenTransaction:
    id: int
    station_id: int
    ref: str
    evse_no: int | None
    connector_no: int | None
    id_token: str | None
    group_id_token: str | None
    authorized: bool
    started_at: datetime
    track: MeterTrack
    heard_at: datetime
    """When its station last spoke of it, by our clock."""
    flags: Flag = Flag.NONE
    charging_state: str | None = None
    told_at: datetime | None = None
    """The station's time of the newest event."""
    shown_at: datetime | None = None
    """The station's time of the newest reading, with a register or without."""
    remote_start_id: int | None = None
    reservation_id: int | None = None


@dataclass(slots=True)
class Book:
    _by_id: dict[int, OpenTransaction] = field(default_factory=dict)
    _by_ref: dict[tuple[int, str], OpenTransaction] = field(default_factory=dict)
    _by_evse: dict[tuple[int, int], dict[int, OpenTransaction]] = field(default_factory=dict)
    _by_token: dict[str, dict[int, OpenTransaction]] = field(default_factory=dict)
    _filed_under: dict[int, tuple[tuple[int, int] | None, str | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_id)

    def by_id(self, transaction_id: int) -> OpenTransaction | None:
        return self._by_id.get(transaction_id)

    def by_ref(self, station_id: int, ref: str) -> OpenTransaction | None:
        return self._by_ref.get((station_id, ref))

    def at_evse(self, station_id: int, evse_no: int) -> OpenTransaction | None:
        """Return the open transaction of the EVSE that began last; an old one may be told late."""
        found = self._by_evse.get((station_id, evse_no))
        if not found:
            return None
        return max(found.values(), key=lambda opened: (opened.started_at, opened.id))

    def all_at_station(self, station_id: int) -> list[OpenTransaction]:
        return [found for found in self._by_id.values() if found.station_id == station_id]

    def charging_with(
        self,
        token: str,
        *,
        besides: int | None = None,
        not_at_station: int | None = None,
        not_at_evse: tuple[int, int | None] | None = None,
    ) -> OpenTransaction | None:
        """Return an open transaction that this token was accepted for."""
        for found in self._by_token.get(token, {}).values():
            if found.id == besides or found.station_id == not_at_station:
                continue
            if (found.station_id, found.evse_no) != not_at_evse:
                return found
        return None

    def put(self, transaction: OpenTransaction) -> None:
        """Add, or file anew after its EVSE, token or flags have changed."""
        self.remove(transaction.id)
        self._by_id[transaction.id] = transaction
        self._by_ref[transaction.station_id, transaction.ref] = transaction
        evse = token = None
        if transaction.evse_no is not None:
            evse = (transaction.station_id, transaction.evse_no)
            self._by_evse.setdefault(evse, {})[transaction.id] = transaction
        if transaction.authorized and _holds_token(transaction):
            token = transaction.id_token
            if token is not None:
                self._by_token.setdefault(token, {})[transaction.id] = transaction
        self._filed_under[transaction.id] = (evse, token)

    def remove(self, transaction_id: int) -> None:
        transaction = self._by_id.pop(transaction_id, None)
        if transaction is None:
            return
        self._by_ref.pop((transaction.station_id, transaction.ref), None)
        evse, token = self._filed_under.pop(transaction_id)
        if evse is not None:
            _take_out(self._by_evse, evse, transaction_id)
        if token is not None:
            _take_out(self._by_token, token, transaction_id)


def _holds_token(transaction: OpenTransaction) -> bool:
    """Tell whether its token may not charge elsewhere: not for what is no real charge."""
    if transaction.flags & (Flag.SUSPECT | Flag.UNKNOWN_EVSE):
        return False
    return transaction.evse_no is not None or not transaction.flags & Flag.INVALID_PAYLOAD


def _take_out(index: dict[KeyT, dict[int, OpenTransaction]], key: KeyT, number: int) -> None:
    del index[key][number]
    if not index[key]:
        del index[key]
