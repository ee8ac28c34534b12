"""What becomes of a reservation whose gun is parked up, refused or used before the lead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update

from chargehub.kit import jobs
from chargehub.kit.db import Database
from chargehub.reservations.rules import Terms
from chargehub.reservations.store import ASK, reservations
from tests.integration.reservations.hub import NOON, Charge
from tests.integration.reservations.test_life import World, place


@pytest_asyncio.fixture
async def world(database: Database) -> World:
    made = World(database, Terms(held_share_percent=100))
    await made.open()
    return made


async def test_a_car_that_comes_to_a_called_gun_may_be_its_drivers_for_two_minutes(
    world: World,
) -> None:
    made = await world.book(gun_code="CS1-1")
    await world.settle()
    await world.go(minutes=5)
    await world.see(place(made), "Occupied")
    # 2.x may begin a transaction with the cable, before anybody shows a card.
    plugged = Charge(id_token=None, authorized=False, started_at=world.wall.at)
    world.occupied.charges[place(made)] = plugged
    await world.go(minutes=1)
    row = await world.row(made)
    assert (place(row), row.called_at) == (place(made), NOON)
    assert world.told == ["reservation_called"]
    # It does not charge: somebody has parked there. To repeat the status is not to come anew.
    del world.occupied.charges[place(made)]
    await world.see(place(made), "Occupied")
    await world.go(minutes=1)
    assert place(await world.row(made)) == (made.station_id, 2)
    assert world.told == ["reservation_called", "reservation_moved"]
    assert world.inbox[-1][1]["reason"] == "occupied"


async def test_whose_gun_is_parked_up_and_no_other_is_free_gets_no_no_show(world: World) -> None:
    made = await world.book(gun_code="CS1-1")
    await world.settle()
    world.occupied.guns |= {(station, evse) for station in world.stations for evse in (1, 2)}
    world.occupied.guns.discard(place(made))
    await world.go(minutes=3)
    await world.see(place(made), "Occupied")
    await world.go(minutes=13)
    row = await world.row(made)
    assert (row.status, row.end_reason) == ("failed", "no_gun_free")
    assert world.told == ["reservation_called", "reservation_waiting", "reservation_failed"]


@pytest.mark.parametrize("answer", ["Occupied", "Faulted", "Unavailable"])
async def test_to_a_gun_that_its_station_refuses_nobody_is_called(
    world: World, answer: str
) -> None:
    made = await world.book(gun_code="CS1-1")
    world.at_stations.answers[place(made)] = answer
    world.occupied.guns |= {(station, evse) for station in world.stations for evse in (1, 2)}
    world.occupied.guns.discard(place(made))
    await world.go(minutes=5)
    row = await world.row(made)
    assert (row.status, row.station_answer, row.called_at) == ("pending", answer, None)
    assert world.told == ["reservation_called", "reservation_waiting"]
    assert world.inbox[-1][1]["reason"] == answer.lower()
    del world.at_stations.answers[place(made)]
    await world.go(minutes=1)
    row = await world.row(made)
    assert (row.status, row.called_at) == ("active", NOON + timedelta(minutes=6, milliseconds=1))
    world.at_stations.answers[place(made)] = answer
    async with world.database.write() as connection:
        await jobs.schedule(connection, ASK, str(made.id), world.wall.at)
    await world.go(minutes=10)
    assert (await world.row(made)).status == "failed"


async def test_who_began_before_the_lead_has_used_the_reservation(world: World) -> None:
    made = await world.book(gun_code="CS1-1", starts_at=NOON + timedelta(hours=2))
    await world.go(minutes=95)
    charge = Charge(77, made.id_token, made.group_token, started_at=world.wall.at)
    world.occupied.charges[place(made)] = charge
    await world.go(minutes=60)
    row = await world.row(made)
    assert (row.status, row.end_reason, row.transaction_id) == ("used", "charged", 77)
    assert world.told == []
    assert world.at_stations.holds(made.id) == []
    assert await world.due() == []


@pytest.mark.parametrize(
    ("gun", "early_arrival", "charge", "used"),
    [
        ("CS1-2", True, {}, True),
        ("CS1-2", True, {"id_token": "card", "group_id_token": "of the driver"}, True),
        ("CS1-2", True, {"id_token": "card", "group_id_token": "another"}, False),
        ("CS1-2", True, {"id_token": "card"}, False),
        ("CS1-2", True, {"authorized": False}, False),
        # Weaker; elsewhere though the rules bind to the gun; begun before the booking.
        ("CS0-1", True, {}, False),
        ("CS1-2", False, {}, False),
        ("CS1-1", False, {}, True),
        ("CS1-2", True, {"started_at": NOON - timedelta(minutes=1)}, False),
    ],
)
async def test_which_charge_has_used_it_as_its_lead_begins(
    world: World, gun: str, charge: dict[str, Any], *, early_arrival: bool, used: bool
) -> None:
    world.wall.go(minutes=1)
    await world.set_terms(replace(world.terms, early_arrival=early_arrival))
    world.wall.go(minutes=-1)
    made = await world.book(gun_code="CS1-1", starts_at=NOON + timedelta(hours=2))
    if not early_arrival:
        async with world.database.write() as connection:
            await connection.execute(update(reservations).values(binds_any=False))
    facts = {"id_token": made.id_token, "started_at": NOON + timedelta(minutes=5)} | charge
    if facts.get("group_id_token") == "of the driver":
        facts["group_id_token"] = made.group_token.swapcase()
    key = (world.stations[int(gun[2])], int(gun[-1]))
    world.occupied.charges[key] = Charge(77, **facts)
    await world.go(minutes=101)
    assert ((await world.row(made)).status == "used") is used


async def test_a_promise_that_cannot_be_kept_is_the_hubs_failure_and_no_no_show(
    world: World,
) -> None:
    made = await world.book(gun_code="CS1-1", starts_at=NOON + timedelta(hours=2))
    world.occupied.guns |= {(station, evse) for station in world.stations for evse in (1, 2)}
    await world.go(minutes=136)
    row = await world.row(made)
    assert (row.status, row.end_reason) == ("failed", "no_gun_free")
    assert world.told[-1] == "reservation_failed"
