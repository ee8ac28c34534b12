"""Which presented idTokens are cars, and at which gun one stands that only its station told of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chargehub.authorization import Authorization, AuthorizationStatus, TokenFact
from chargehub.drivers.sightings import WRITE_SIGHTING
from chargehub.drivers.vehicle_identity import CarNames
from chargehub.kit import jobs
from chargehub.kit.group_commit import Decision, Writes
from chargehub.kit.sealing import Seal
from chargehub.telemetry.readings import Flag
from chargehub.transactions.book import Book, OpenTransaction
from chargehub.transactions.cars import CarFacts, cars_among, tell_refusal, with_car
from chargehub.transactions.meter import begin_track
from chargehub.transactions.reports import (
    EventKind,
    IdToken,
    TransactionReply,
    TransactionReported,
)

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
NAMES = CarNames(Seal(b"a hub"))
CERTAIN, UNCERTAIN = IdToken("VID:0A1B2C3D4EF5"), IdToken("0A1B2C3D4EF5")
GOOD, BLOCKED = TokenFact(blocked=False), TokenFact(blocked=True)
REFUSED = Authorization(AuthorizationStatus.INVALID)


def name_of(token: IdToken) -> str:
    car = NAMES.presented(token.text, token.kind)
    assert car is not None
    return car.token


def report(token: IdToken | None = CERTAIN, **more: Any) -> TransactionReported:
    values: dict[str, Any] = {
        "kind": EventKind.STARTED,
        "at": NOW,
        "transaction_ref": "t",
        "evse_no": 1,
    } | more
    return TransactionReported(7, NOW, id_token=token, **values)


@pytest.mark.parametrize(
    ("token", "known", "is_car"),
    [
        (CERTAIN, {}, True),
        (CERTAIN, {name_of(CERTAIN): GOOD}, True),
        (UNCERTAIN, {name_of(CERTAIN): GOOD}, True),
        (UNCERTAIN, {name_of(CERTAIN): BLOCKED}, True),
        # Nobody knows it: it stays as it came, for who looks for a lost card.
        (UNCERTAIN, {}, False),
        # Staff have entered just this text.
        (CERTAIN, {"vid:0a1b2c3d4ef5": GOOD}, False),
        (UNCERTAIN, {"0a1b2c3d4ef5": GOOD, name_of(CERTAIN): GOOD}, False),
        (IdToken("TAXI-1"), {}, False),
        (None, {}, False),
    ],
)
def test_a_car_goes_by_its_name_here(
    token: IdToken | None, known: dict[str, TokenFact], *, is_car: bool
) -> None:
    facts = cars_among(NAMES, [token])
    told, car = with_car(report(token), facts, known)
    if not is_car:
        assert (told, car) == (report(token), None)
        return
    assert token is not None
    assert told.id_token == IdToken(name_of(CERTAIN), token.kind, presented=token.text)
    assert car is not None
    assert car.token == name_of(CERTAIN)


def test_our_name_of_a_car_is_no_card_though_it_is_known() -> None:
    thief = IdToken(name_of(CERTAIN))
    told, car = with_car(report(thief), cars_among(NAMES, [thief]), {thief.text: GOOD})
    assert car is not None
    assert told.id_token is not None
    assert told.id_token.text not in {thief.text, name_of(CERTAIN)}


def test_without_names_nothing_is_a_car() -> None:
    assert cars_among(None, [CERTAIN]) == CarFacts()


def open_at(book: Book, evse_no: int) -> None:
    book.put(
        OpenTransaction(
            id=evse_no,
            station_id=7,
            ref=f"{evse_no}",
            evse_no=evse_no,
            connector_no=1,
            id_token="card",
            group_id_token=None,
            authorized=True,
            started_at=NOW,
            track=begin_track(0, NOW, 120_000),
            heard_at=NOW,
        )
    )


@pytest.mark.parametrize(
    ("guns", "charging", "gun"),
    [
        ({1: True, 2: False}, [], 1),
        ({1: True, 2: True}, [1], 2),
        # Either may be meant.
        ({1: True, 2: True}, [], None),
        ({1: False, 2: False}, [], None),
        ({1: True, 2: True}, [1, 2], None),
        # There is no other, also when its car is named late.
        ({1: False}, [], 1),
        ({1: True}, [1], 1),
        ({}, [], None),
    ],
)
def test_the_gun_is_told_only_where_it_is_sure(
    guns: dict[int, bool], charging: list[int], gun: int | None
) -> None:
    book = Book()
    for evse_no in charging:
        open_at(book, evse_no)
    assert CarFacts(guns={7: guns}).gun_of(7, book) == gun
    assert CarFacts(guns={7: guns}).gun_of(8, book) is None


def rows_of(
    told: TransactionReported,
    answer: Authorization | None = REFUSED,
    known: dict[str, TokenFact] | None = None,
) -> dict[str, list[Any]]:
    facts = cars_among(NAMES, [told.id_token])
    named, car = with_car(told, facts, known or {})
    assert car is not None
    writes, decision = Writes(), Decision(TransactionReply(1, answer))
    tell_refusal(named, car, decision, facts, known or {}, writes, NAMES)
    return {statement.name: rows for statement, rows in writes.statements()}


def test_a_refused_stranger_is_remembered_for_minutes() -> None:
    rows = rows_of(report())
    ((station_id, evse_no, token, kind, sealed, at),) = rows[WRITE_SIGHTING.name]
    assert (station_id, evse_no, token, kind, at) == (7, 1, name_of(CERTAIN), "MacAddress", NOW)
    assert NAMES.opened(kind, sealed, token).text == "0A1B2C3D4EF5"
    ((_, subject, due_at, _),) = rows[jobs.SCHEDULE.name]
    assert (subject, due_at) == ("7:1", NOW + timedelta(minutes=15))


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        (report(), None),
        (report(), Authorization(AuthorizationStatus.ACCEPTED)),
        # The car is somebody's; it may only not charge here now.
        (report(), Authorization(AuthorizationStatus.NOT_AT_THIS_TIME)),
        (report(), Authorization(AuthorizationStatus.CONCURRENT_TX)),
        # It says nothing of which car stands there now.
        (report(kind=EventKind.ENDED), REFUSED),
        (report(offline=True), REFUSED),
        (report(flags=Flag.CLOCK_SKEW), REFUSED),
        (report(at=NOW - timedelta(minutes=3)), REFUSED),
        (report(evse_no=None), REFUSED),
        (report(IdToken(name_of(CERTAIN))), REFUSED),
    ],
)
def test_nothing_else_is_remembered(
    told: TransactionReported, answer: Authorization | None
) -> None:
    assert rows_of(told, answer) == {}


def test_a_car_whose_binding_has_ended_may_be_bound_again() -> None:
    blocked = Authorization(AuthorizationStatus.BLOCKED)
    assert WRITE_SIGHTING.name in rows_of(report(), blocked, {name_of(CERTAIN): BLOCKED})
