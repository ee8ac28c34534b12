"""Ground locks from the promise to the car: a hub, a gateway and real sockets between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import Table, update

from chargehub.bays.orders import NoLock
from chargehub.bays.service import LockRefused
from chargehub.kit.db import Database
from chargehub.stations.store import charging_stations, evses
from simulators.bays import Trouble
from tests.integration.bays.world import World, bay_world
from tests.integration.reservations.hub import set_status, stored

DONE_UP = ("raise", "hold", "done", "moved")
DONE_DOWN = ("lower", "driver", "done", "moved")


@pytest_asyncio.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with bay_world(database) as opened:
        yield opened
        assert opened.gateway.rose_under_car == 0


async def test_devices_are_asked_when_they_are_registered(world: World) -> None:
    bay = await world.bay()
    assert (bay.lock_state, bay.sensor_state, bay.battery_percent) == ("lowered", "free", 90)
    assert await world.commands() == []


async def test_a_held_gun_is_closed_and_opened_for_its_driver_only(world: World) -> None:
    driver, another = await world.drivers(2)
    held = await world.hold(driver)
    await world.go(seconds=40)
    assert world.device.lock == "raised"
    assert (await world.bay()).lock_state == "raised"
    with pytest.raises(LockRefused) as refused:
        await world.lower(another)
    assert refused.value.facts["rule"] == "promised"
    assert refused.value.facts["passes_at"] == held.hold_until.isoformat().replace("+00:00", "Z")
    await world.lower(driver)
    await world.settle()
    assert world.device.lock == "lowered"
    assert await world.ends() == [DONE_UP, DONE_DOWN]
    world.gateway.park("BAY-1")
    await world.settle()
    await world.go(minutes=4)
    assert world.device.lock == "lowered"
    assert not world.bays.watch.blocked.guns
    assert (await stored(world.database, held.id)).moves == 0
    # Whoever it is, they do not plug in.
    await world.go(minutes=1)
    assert (await stored(world.database, held.id)).moves == 1


async def test_nothing_is_closed_before_the_hold_and_everything_opens_after_it(
    world: World,
) -> None:
    starts = world.wall.at + timedelta(minutes=30)
    driver, another = await world.drivers(2)
    await world.book(driver, gun_code="CS1-1", starts_at=starts)
    await world.go(minutes=9)
    assert await world.commands() == []
    # The gun is nobody's yet: whoever is here may use it.
    await world.lower(another)
    await world.settle()
    assert await world.ends() == [("lower", "driver", "done", "already")]
    await world.go(minutes=3)
    assert world.device.lock == "raised"
    await world.go(minutes=36)
    assert await world.ends() == [
        ("lower", "driver", "done", "already"),
        DONE_UP,
        ("lower", "hold_over", "done", "moved"),
    ]


async def test_a_lock_goes_up_again_when_its_driver_does_not_come_to_it(world: World) -> None:
    (driver,) = await world.drivers(1)
    await world.hold(driver)
    await world.go(seconds=40)
    await world.lower(driver)
    await world.go(seconds=100)
    assert world.device.lock == "lowered"
    await world.go(seconds=60)
    assert await world.ends() == [DONE_UP, DONE_DOWN, DONE_UP]


async def test_raised_when_free_is_a_rule_of_the_location(world: World) -> None:
    await world.set_rules(raised_when_free=True)
    await world.go(minutes=3)
    assert await world.ends() == [("raise", "free", "done", "moved")]
    (driver,) = await world.drivers(1)
    await world.lower(driver)
    await world.settle()
    world.gateway.park("BAY-1")
    await world.go(minutes=10)
    assert world.device.lock == "lowered"
    world.gateway.leave("BAY-1")
    await world.go(seconds=100)
    assert world.device.lock == "lowered"
    await world.go(seconds=60)
    assert world.device.lock == "raised"


@pytest.mark.parametrize("why", ["occupied", "cable", "unknown", "charge"])
async def test_no_lock_rises_where_a_car_may_be(world: World, why: str) -> None:
    if why == "occupied":
        world.gateway.park("BAY-1")
    elif why == "cable":
        await set_status(world.database, (world.stations[1], 1), "Preparing")
    elif why == "charge":
        await world.charge(gun=1)
    else:
        world.device.trouble.dead_battery = True
        await world.set_bay(sensor_state="unknown")
    await world.set_rules(raised_when_free=True)
    await world.go(minutes=4)
    assert world.gateway.orders.count(("BAY-1", "raise")) == 0
    assert ("BAY-2", "raise") in world.gateway.orders


async def test_no_lock_rises_at_a_station_that_does_not_say_at_which_gun_it_charges(
    world: World,
) -> None:
    await world.charge(gun=None)
    await world.set_rules(raised_when_free=True)
    await world.go(minutes=4)
    assert world.gateway.orders == [("BAY-3", "raise")]


async def test_a_car_that_nobody_told_of_is_found_before_the_lock_rises(world: World) -> None:
    world.device.trouble.loses_callbacks = True
    world.gateway.park("BAY-1")
    await world.hold()
    await world.go(seconds=40)
    assert await world.ends() == [("raise", "hold", "refused", "occupied")]
    assert world.gateway.orders == []
    assert (await world.bay()).sensor_state == "occupied"


async def test_what_is_in_the_way_of_a_lock_is_told_and_tried_again(world: World) -> None:
    world.device.trouble.obstructed = True
    await world.hold()
    await world.go(seconds=40)
    obstructed = ("raise", "hold", "failed", "obstructed")
    assert await world.ends() == [obstructed]
    assert (await world.bay()).lock_state == "obstructed"
    await world.go(minutes=4)
    assert await world.ends() == [obstructed]
    world.device.trouble.obstructed = False
    await world.go(minutes=2)
    assert await world.ends() == [obstructed, DONE_UP]


async def test_a_lock_whose_callback_is_lost_is_asked(world: World) -> None:
    world.device.trouble.loses_callbacks = True
    await world.hold()
    await world.go(minutes=1)
    assert await world.ends() == [("raise", "hold", "done", "asked")]
    assert (await world.bay()).lock_state == "raised"


async def test_an_order_whose_answer_is_lost_is_carried_out_once(world: World) -> None:
    (driver,) = await world.drivers(1)
    await world.hold(driver)
    await world.go(seconds=40)
    assert world.bays.client is not None
    world.bays.client.timeout = 0.2
    world.device.trouble.loses_answers = True
    await world.lower(driver)
    await world.go(seconds=20)
    assert world.gateway.orders == [("BAY-1", "raise"), ("BAY-1", "lower")]
    assert (await world.ends())[-1] == DONE_DOWN


async def test_an_empty_battery_moves_the_promise_to_another_gun(world: World) -> None:
    (driver,) = await world.drivers(1)
    held = await world.hold(driver)
    await world.go(seconds=40)
    world.device.trouble.dead_battery = True
    await world.lower(driver)
    await world.go(seconds=80)
    assert (await world.ends())[-1] == ("lower", "driver", "refused", "battery_dead")
    moved = await stored(world.database, held.id)
    assert (moved.station_id, moved.evse_no) != (held.station_id, held.evse_no)
    assert moved.status in {"pending", "active"}
    assert await world.told_staff() == 1
    bay = await world.bay()
    assert (bay.blocked_by, bay.lock_state) == ("lock", "raised")


async def test_a_dead_gateway_ends_the_command_with_a_reason(world: World) -> None:
    (driver,) = await world.drivers(1)
    await world.hold(driver)
    await world.go(seconds=40)
    await world.restart("http://127.0.0.1:9")
    await world.lower(driver)
    await world.go(seconds=80)
    assert (await world.ends())[-1] == ("lower", "driver", "failed", "gateway_silent")
    assert (await world.commands())[-1].attempts == 3
    # What it told before is believed for a while, and no longer.
    assert (await world.bay()).sensor_state == "free"
    await world.go(minutes=16)
    assert (await world.bay()).sensor_state == "unknown"


async def test_a_car_that_stands_there_moves_the_promise(world: World) -> None:
    starts = world.wall.at + timedelta(minutes=30)
    held = await world.book(gun_code="CS1-1", starts_at=starts)
    world.gateway.park("BAY-1")
    await world.go(minutes=11)
    moved = await stored(world.database, held.id)
    assert (moved.station_id, moved.evse_no) != (held.station_id, held.evse_no)
    assert "reservation_moved" in [kind for kind, _ in world.inbox]
    assert ("BAY-1", "raise") not in world.gateway.orders
    assert await world.told_staff() == 1
    # No new promise is made of it either.
    refused = await world.refused(gun_code="CS1-1")
    assert refused["rule"] == "gun_free"
    world.gateway.leave("BAY-1")
    await world.go(seconds=20)
    await world.hold()


async def test_a_car_that_comes_during_a_hold_and_is_not_plugged_in_moves_the_promise(
    world: World,
) -> None:
    held = await world.hold()
    world.gateway.park("BAY-1")
    await world.settle()
    await world.go(seconds=100)
    assert (await stored(world.database, held.id)).moves == 0
    assert await world.told_staff() == 0
    await world.go(seconds=20)
    moved = await stored(world.database, held.id)
    assert (moved.station_id, moved.evse_no) != (held.station_id, held.evse_no)
    kind, facts = world.inbox[-1]
    assert (kind, facts["reason"]) == ("reservation_moved", "bay_blocked")
    assert await world.told_staff() == 1
    bay = await world.bay()
    assert (bay.blocked_by, bay.blocked_reservation_id) == ("car", held.id)
    # It is written down as long as the car stands there, and staff hear of it once.
    await world.go(minutes=6)
    assert (await world.bay()).blocked_reservation_id == held.id
    assert await world.told_staff() == 1
    world.gateway.leave("BAY-1")
    await world.settle()
    assert (await world.bay()).blocked_reservation_id is None


async def test_whose_cable_did_not_do_at_first_keeps_the_gun_a_while_longer(world: World) -> None:
    held = await world.hold()
    world.gateway.park("BAY-1")
    await world.go(seconds=60)
    for status in ("Preparing", "Available"):
        await set_status(world.database, (held.station_id, held.evse_no), status, world.wall.at)
        await world.go(seconds=20)
    await world.go(seconds=80)
    assert (await stored(world.database, held.id)).moves == 0
    await world.go(seconds=20)
    assert (await stored(world.database, held.id)).moves == 1


async def test_who_waits_for_a_blocked_gun_is_told_why_and_called_as_the_car_leaves(
    world: World,
) -> None:
    held = await world.hold()
    mine = (held.station_id, held.evse_no)
    others = {(station, evse) for station in world.stations for evse in (1, 2)} - {mine}
    world.occupied.guns |= others
    world.gateway.park("BAY-1")
    await world.settle()
    await world.go(minutes=2)
    kind, facts = world.inbox[-1]
    assert (kind, facts["reason"]) == ("reservation_waiting", "bay_blocked")
    world.gateway.leave("BAY-1")
    await world.settle()
    assert world.inbox[-1][0] == "reservation_called"
    assert (await stored(world.database, held.id)).called_at is not None


async def test_nobody_in_the_queue_is_called_to_a_gun_that_a_car_blocks(world: World) -> None:
    gun, others = (world.stations[1], 1), set(world.stations)
    world.occupied.guns |= {(station, evse) for station in others for evse in (1, 2)}
    first, second = await world.join(), await world.join()
    world.gateway.park("BAY-1")
    await world.settle()
    world.occupied.guns.discard(gun)
    await world.go(minutes=1)
    assert await world.held_guns() == []
    # Its car leaves: whoever joined first is called, by what the sensor tells alone.
    world.gateway.leave("BAY-1")
    await world.settle()
    assert await world.held_guns() == [(first, gun)]
    # Its lock is up and does not go down: the turn is not lost, and nobody else gets the gun.
    await world.go(seconds=40)
    assert world.device.lock == "raised"
    world.device.trouble.dead_battery = True
    await world.lower(first)
    await world.go(seconds=20)
    assert await world.held_guns() == []
    assert await world.waiting() == [(first, 0), (second, 0)]
    other = (world.stations[3], 1)
    world.occupied.guns.discard(other)
    await world.go(seconds=40)
    assert await world.held_guns() == [(first, other)]


async def test_a_car_that_comes_while_the_lock_rises_sends_it_down(world: World) -> None:
    world.gateway.devices["BAY-1"].trouble = replace(Trouble(), loses_callbacks=True)
    await world.hold()
    world.wall.go(seconds=40)
    await world.worker.run_once()
    await world.worker.run_once()
    (rising,) = await world.commands()
    assert (rising.outcome, rising.sent_at is not None) == ("pending", True)
    world.device.trouble.loses_callbacks = False
    await world.gateway.quiet()
    world.gateway.park("BAY-1")
    await world.settle()
    assert await world.ends() == [
        ("raise", "hold", "superseded", "other_command"),
        ("lower", "safety", "done", "moved"),
    ]
    assert world.device.lock == "lowered"


async def test_a_command_goes_on_over_a_restart(world: World) -> None:
    (driver,) = await world.drivers(1)
    await world.hold(driver)
    await world.go(seconds=40)
    await world.lower(driver)
    await world.restart()
    await world.settle()
    assert (await world.ends())[-1] == DONE_DOWN
    world.gateway.park("BAY-2")
    await world.settle()
    assert world.bays.watch.blocked.guns == {(world.stations[1], 2)}
    await world.restart()
    assert world.bays.watch.blocked.guns == {(world.stations[1], 2)}


async def test_a_command_that_could_not_be_sent_in_time_is_not_sent_at_all(world: World) -> None:
    (driver,) = await world.drivers(1)
    await world.hold(driver)
    await world.go(seconds=40)
    await world.lower(driver)
    world.wall.go(minutes=2)
    await world.settle()
    assert await world.ends() == [DONE_UP, ("lower", "driver", "timeout", "too_late")]
    assert world.device.lock == "raised"


@pytest.mark.parametrize("what", [evses, charging_stations])
async def test_no_lock_opens_to_a_gun_that_is_out_of_service(world: World, what: Table) -> None:
    (driver,) = await world.drivers(1)
    async with world.database.write() as connection:
        await connection.execute(update(what).values(wanted_operative=False))
    with pytest.raises(LockRefused) as refused:
        await world.lower(driver)
    assert refused.value.facts["rule"] == "in_service"
    assert await world.commands() == []


async def test_a_lock_that_waits_for_a_silent_gateway_is_raised_when_it_answers(
    world: World,
) -> None:
    """Nothing is ordered while nobody says whether a car stands there."""
    assert world.bays.client is not None
    world.bays.client.timeout = 0.2
    await world.hold()
    world.device.trouble.silent = True
    world.wall.go(seconds=40)
    await world.worker.run_once()
    await world.worker.run_once()
    (asked,) = await world.commands()
    assert (asked.outcome, asked.sent_at, asked.attempts) == ("pending", None, 1)
    world.device.trouble.silent = False
    await world.go(seconds=20)
    assert await world.ends() == [DONE_UP]


async def test_one_driver_opens_one_lock_at_a_time_and_only_where_there_is_one(
    world: World,
) -> None:
    (driver,) = await world.drivers(1)
    await world.set_rules(raised_when_free=True, free_for_s=30)
    await world.go(minutes=1)
    first = await world.lower(driver)
    assert (await world.lower(driver)).id == first.id
    with pytest.raises(LockRefused) as refused:
        await world.lower(driver, gun=2)
    assert refused.value.facts["rule"] == "one_at_a_time"
    await world.settle()
    await world.lower(driver, gun=2)
    with pytest.raises(NoLock):
        await world.lower_at(driver, (world.stations[4], 1))
