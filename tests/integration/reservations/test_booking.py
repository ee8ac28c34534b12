"""Booking against a real database, also by 200 at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy import Row, func, select, update
from sqlalchemy.exc import OperationalError

from chargehub.devices.store import station_variables
from chargehub.drivers.store import inbox_messages
from chargehub.kit.db import Database
from chargehub.reservations.choice import Wish
from chargehub.reservations.rules import ReservationRefused, Terms
from chargehub.reservations.store import OPEN, reservation_support, reservations
from chargehub.stations.commands import VariableName
from chargehub.stations.store import charging_stations, locations, station_connections
from tests.integration.reservations.hub import (
    NOON,
    Desk,
    set_online,
    set_station_status,
    set_status,
    stored,
)

CALLERS = 200


async def race(desk: Desk, database: Database, **wish: Any) -> Counter[str]:
    """Let 200 drivers book at once, each in a transaction of their own; count what became of it."""
    drivers = await desk.drivers(CALLERS)
    desk.bookings.turns = asyncio.Semaphore(40)

    async def one(driver_id: UUID) -> str:
        try:
            async with desk.bookings.turns, database.write() as connection:
                await desk.bookings.book(connection, Wish(driver_id, **wish))
        except ReservationRefused as refused:
            return str(refused.facts["rule"])
        except OperationalError as failed:
            if not isinstance(failed.orig, DeadlockDetected):
                raise
            return "deadlock"
        return "booked"

    return Counter(await asyncio.gather(*(one(driver_id) for driver_id in drivers)))


async def open_count(database: Database) -> int:
    async with database.read() as connection:
        query = select(func.count()).where(reservations.c.status.in_(OPEN))
        return await connection.scalar(query) or 0


@pytest.mark.parametrize("ahead", [None, timedelta(hours=2)])
async def test_of_200_who_want_one_gun_exactly_one_gets_it(
    desk: Desk, connections: Database, ahead: timedelta | None
) -> None:
    at = None if ahead is None else NOON + ahead
    ends = await race(desk, connections, gun_code="cs1-1", starts_at=at)
    assert ends == {"booked": 1, "gun_free": CALLERS - 1}
    assert await open_count(connections) == 1


async def test_of_200_who_want_any_of_k_guns_exactly_k_get_one(
    desk: Desk, connections: Database
) -> None:
    ends = await race(desk, connections, location_id="L1", power_w=120_000)
    assert ends == {"booked": 8, "gun_free": CALLERS - 8}
    assert await open_count(connections) == 8


async def test_of_200_at_once_no_more_are_let_in_than_the_share(
    desk: Desk, connections: Database
) -> None:
    desk.wall.go(minutes=1)
    await desk.set_terms(Terms())
    ends = await race(desk, connections, location_id="L1")
    assert ends == {"booked": 3, "held_share": CALLERS - 3}


async def test_one_driver_who_asks_20_times_at_once_has_one(
    desk: Desk, connections: Database
) -> None:
    (driver_id,) = await desk.drivers(1)

    async def one() -> str:
        try:
            async with connections.write() as connection:
                await desk.bookings.book(connection, Wish(driver_id, location_id="L1"))
        except ReservationRefused as refused:
            return str(refused.facts["rule"])
        return "booked"

    ends = Counter(await asyncio.gather(*(one() for _ in range(20))))
    assert ends == {"booked": 1, "max_active": 19}


async def test_without_any_lock_the_database_still_promises_a_gun_once(
    desk: Desk, connections: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_lock(*_: object) -> None:
        return None

    monkeypatch.setattr("chargehub.reservations.booking.lock", no_lock)
    ends = await race(desk, connections, location_id="L1")
    # Two rows written at once wait for each other; the database then ends one of them.
    assert set(ends) <= {"booked", "gun_free", "held_share", "deadlock"}
    assert 0 < ends["booked"] <= 10
    assert await open_count(connections) == ends["booked"]
    async with connections.read() as connection:
        gun = (reservations.c.station_id, reservations.c.evse_no)
        guns = await connection.execute(select(*gun).where(reservations.c.status.in_(OPEN)))
        assert len(set(guns)) == ends["booked"]


async def test_any_gun_is_the_weakest_that_will_do(desk: Desk) -> None:
    first = await desk.book()
    assert (first.station_id, first.any_evse, first.wanted_power_w) == (desk.stations[0], True, 0)
    strong = await desk.book(power_w=120_000)
    assert strong.station_id == desk.stations[1]
    assert await desk.refused(power_w=240_000) == {"rule": "power", "passes_at": None}


@pytest.mark.parametrize("why", ["charging", "faulted", "its station is faulted", "offline"])
async def test_a_gun_to_be_held_at_once_is_known_to_be_free(desk: Desk, why: str) -> None:
    key = (desk.stations[1], 1)
    if why == "charging":
        desk.occupied.guns.add(key)
    elif why == "faulted":
        await set_status(desk.database, key, "Faulted")
    elif why != "offline":
        await set_station_status(desk.database, key[0], "Faulted")
    else:
        await set_online(desk.database, key[0], online=False)
    assert await desk.refused(gun_code="CS1-1") == {"rule": "gun_free", "passes_at": None}
    ahead = await desk.book(gun_code="CS1-1", starts_at=NOON + timedelta(hours=3))
    assert (ahead.station_id, ahead.evse_no) == key


@pytest.mark.parametrize("wish", [{"gun_code": "CS1-1"}, {"power_w": 120_000}])
@pytest.mark.parametrize("since", ["its line broke", "it was commissioned"])
async def test_a_gun_that_was_silent_for_long_is_promised_to_nobody(
    desk: Desk, wish: dict[str, Any], since: str
) -> None:
    strong, later = desk.stations[1:], NOON + timedelta(hours=4)
    for station_id in strong:
        await set_online(desk.database, station_id, online=False)
    if since == "it was commissioned":
        async with desk.database.write() as connection:
            mine = station_connections.c.station_id.in_(strong)
            await connection.execute(station_connections.delete().where(mine))
    desk.wall.go(minutes=120)
    short = await desk.book(**wish, starts_at=later)
    desk.wall.go(minutes=1)
    assert await desk.refused(**wish, starts_at=later) == {"rule": "offline", "passes_at": None}
    assert (await desk.refused(**wish))["rule"] == "offline"
    assert (await stored(desk.database, short.id)).status == "requested"
    weak = await desk.book(starts_at=later)
    assert weak.station_id == desk.stations[0]


async def test_where_one_station_is_left_its_guns_are_promised_and_no_silent_ones(
    desk: Desk,
) -> None:
    later = NOON + timedelta(hours=4)
    for station_id in desk.stations[1:]:
        await set_online(desk.database, station_id, online=station_id == desk.stations[3])
    desk.wall.go(minutes=121)
    booked = [await desk.book(power_w=120_000, starts_at=later) for _ in range(2)]
    assert [(row.station_id, row.evse_no) for row in booked] == [
        (desk.stations[3], 1),
        (desk.stations[3], 2),
    ]
    refused = await desk.refused(power_w=120_000, starts_at=later)
    assert (refused["rule"], refused["next_window"]) == ("gun_free", "2026-11-23T16:35:00Z")
    # Who wants the gun of a provisional booking does not send it to a silent one.
    assert (await desk.refused(gun_code="CS3-1", starts_at=later))["rule"] == "gun_free"


async def test_the_refusal_says_when_the_gun_is_promised_no_more(desk: Desk) -> None:
    await desk.book(gun_code="CS1-1")
    assert await desk.refused(gun_code="CS1-1") == {
        "rule": "gun_free",
        "passes_at": "2026-11-23T12:15:00Z",
    }
    desk.wall.go(minutes=15)
    await desk.book(gun_code="CS1-1")


async def test_a_provisional_booking_makes_room_for_who_wants_its_gun(desk: Desk) -> None:
    at = NOON + timedelta(hours=2)
    pool = await desk.book(starts_at=at)
    given = await desk.book(gun_code="CS0-1", starts_at=at)
    assert (pool.station_id, pool.evse_no) == (given.station_id, given.evse_no)
    moved = await stored(desk.database, pool.id)
    assert (moved.station_id, moved.evse_no) == (desk.stations[0], 2)


async def test_a_called_driver_keeps_the_gun(desk: Desk) -> None:
    at = NOON + timedelta(hours=2)
    pool = await desk.book(starts_at=at)
    async with desk.database.write() as connection:
        values = {"called_at": NOON, "status": "pending"}
        await connection.execute(reservations.update().values(values))
    refused = await desk.refused(gun_code="CS0-1", starts_at=at)
    next_window = "2026-11-23T14:35:00Z"
    assert refused == {"rule": "gun_free", "passes_at": None, "next_window": next_window}
    assert (await stored(desk.database, pool.id)).evse_no == 1
    # It is as it says.
    await desk.book(gun_code="CS0-1", starts_at=datetime.fromisoformat(next_window))


@pytest.mark.parametrize("rule", ["gun_free", "held_share"])
async def test_the_window_that_a_refusal_names_is_free_and_no_earlier_one_after_it(
    desk: Desk, rule: str
) -> None:
    desk.wall.go(minutes=1)
    if rule == "held_share":
        await desk.set_terms(Terms(held_share_percent=10))  # One gun.
    pool, given = {"location_id": "L1"}, {"gun_code": "CS1-1"}
    wish: dict[str, Any] = pool if rule == "held_share" else given
    # Between the two is no room; after the second is.
    for minutes in (120, 175):
        await desk.book(**wish, starts_at=NOON + timedelta(minutes=minutes))
    wanted = NOON + timedelta(minutes=125)
    refused = await desk.refused(**wish, starts_at=wanted)
    named = NOON + timedelta(minutes=175 + 15 + 20)
    told = named.isoformat().replace("+00:00", "Z")
    assert refused == {"rule": rule, "passes_at": None, "next_window": told}
    await desk.refused(**wish, starts_at=named - timedelta(minutes=1))
    await desk.book(**wish, starts_at=named)


async def test_a_request_for_now_passes_when_it_is_said_to(desk: Desk) -> None:
    await desk.book(gun_code="CS1-1")
    # Its lead begins right as the first one ends, so there is no room between.
    await desk.book(gun_code="CS1-1", starts_at=NOON + timedelta(minutes=45))
    refused = await desk.refused(gun_code="CS1-1")
    assert refused == {"rule": "gun_free", "passes_at": "2026-11-23T13:00:00Z"}
    desk.wall.go(minutes=60)
    await desk.book(gun_code="CS1-1")


async def test_where_guns_are_in_use_nobody_says_when_one_is_free(desk: Desk) -> None:
    """A promise that ends frees its own gun only."""
    keys = {(station, evse) for station in desk.stations for evse in (1, 2)}
    held = await desk.book(gun_code="CS1-1")
    desk.occupied.guns |= keys
    assert await desk.refused() == {"rule": "gun_free", "passes_at": None}
    desk.occupied.guns.discard((held.station_id, held.evse_no))
    assert await desk.refused() == {"rule": "gun_free", "passes_at": "2026-11-23T12:15:00Z"}


async def test_three_no_shows_keep_a_driver_from_booking(desk: Desk) -> None:
    (driver_id,) = await desk.drivers(1)
    for _ in range(3):
        row = await desk.book(driver_id)
        desk.wall.go(minutes=20)
        async with desk.database.write() as connection:
            ended = {"status": "no_show", "ended_at": desk.wall.at}
            await connection.execute(
                reservations.update().where(reservations.c.id == row.id).values(ended)
            )
    refused = await desk.refused(driver_id)
    assert refused == {"rule": "no_show_limit", "passes_at": "2026-11-30T13:00:00Z"}
    desk.wall.go(days=7)
    await desk.book(driver_id)


async def test_an_extension_holds_the_gun_longer_or_says_who_has_it(desk: Desk) -> None:
    drivers = await desk.drivers(3)
    row = await desk.book(drivers[0], gun_code="CS1-1")

    async def extend(number: int, driver_id: UUID) -> Row[Any]:
        async with desk.database.write() as connection:
            return await desk.bookings.extend(connection, number, driver_id)

    longer = await extend(row.id, drivers[0])
    assert longer.hold_until == NOON + timedelta(minutes=30)
    with pytest.raises(ReservationRefused) as refused:
        await extend(row.id, drivers[0])
    assert refused.value.facts["rule"] == "extensions"
    tight = await desk.book(drivers[1], gun_code="CS1-2")
    next_at = NOON + timedelta(minutes=40)
    await desk.book(drivers[2], gun_code="CS1-2", starts_at=next_at)
    with pytest.raises(ReservationRefused) as refused:
        await extend(tight.id, drivers[1])
    assert refused.value.facts == {
        "rule": "extension_free",
        "passes_at": None,
    }
    assert (await stored(desk.database, tight.id)).hold_until == NOON + timedelta(minutes=15)


async def test_a_window_lies_within_the_opening_times(desk: Desk) -> None:
    """08:00 to 22:00 by the clock there, where it is 20:00 now; tomorrow is a holiday."""
    day = {"period_begin": "08:00", "period_end": "22:00"}
    holiday = {"closed": True, "begin": "2026-11-23T16:00:00Z", "end": "2026-11-24T16:00:00Z"}
    async with desk.database.write() as connection:
        await connection.execute(
            locations.update().values(
                regular_hours=[day | {"weekday": number} for number in range(1, 8)],
                opening_exceptions=[holiday],
            )
        )
    for minutes in (106, 240):
        refused = await desk.refused(starts_at=NOON + timedelta(minutes=minutes))
        assert refused == {
            "rule": "opening_times",
            "passes_at": None,
            "next_window": "2026-11-25T00:00:00Z",
        }
    desk.wall.go(hours=3)
    assert await desk.refused() == {"rule": "opening_times", "passes_at": "2026-11-25T00:00:00Z"}
    desk.wall.go(hours=-3)
    (driver_id,) = await desk.drivers(1)
    row = await desk.book(driver_id, starts_at=NOON + timedelta(minutes=105))
    with pytest.raises(ReservationRefused) as longer:
        async with desk.database.write() as connection:
            await desk.bookings.extend(connection, row.id, driver_id)
    assert longer.value.facts == {"rule": "opening_times", "passes_at": None}


async def test_of_equal_guns_one_that_shows_that_it_is_held_is_taken(desk: Desk) -> None:
    kind = {"vendor": "a vendor", "model": "a model", "firmware_version": "1"}
    learned = {"vendor": "a vendor", "model": "a model", "firmware": "1"}
    async with desk.database.write() as connection:
        await connection.execute(
            update(charging_stations).where(charging_stations.c.id == desk.stations[1]).values(kind)
        )
        await connection.execute(
            reservation_support.insert().values(learned | {"supported": False, "learned_at": NOON})
        )
        says_so = VariableName("", "SupportedFeatureProfiles")
        await connection.execute(
            station_variables.insert().values(
                station_id=desk.stations[2],
                key=says_so.key,
                path=says_so.key,
                component="",
                variable="SupportedFeatureProfiles",
                attribute="Actual",
                value="Core,RemoteTrigger",
            )
        )
    taken = [(await desk.book(power_w=120_000)).station_id for _ in range(8)]
    assert taken == [desk.stations[number] for number in (3, 3, 4, 4, 1, 1, 2, 2)]


async def test_whose_reservation_staff_cancels_is_told_once_and_why(desk: Desk) -> None:
    row = await desk.book()
    for _ in range(2):
        async with desk.database.write() as connection:
            await desk.bookings.cancel_by_staff(
                connection, "L1", row.id, reason="The cable is replaced", actor="ann"
            )
    async with desk.database.read() as connection:
        (told,) = await connection.execute(select(inbox_messages))
    assert (told.driver_id, told.kind) == (row.driver_id, "reservation_cancelled")
    assert (told.facts["reservation_id"], told.facts["reason"]) == (row.id, "The cable is replaced")
