"""The queue of a full Location, from joining to the end of a call."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.jobs import due_actions, schedule
from chargehub.reservations.queue.of_drivers import QueueOfDriver
from chargehub.reservations.queue.service import Joining
from chargehub.reservations.queue.triggers import LOOK, WATCH
from chargehub.reservations.rules import ReservationRefused, Terms
from chargehub.reservations.store import reservations
from chargehub.stations.store import locations
from tests.integration.reservations.hub import NOON, set_online, set_status
from tests.integration.reservations.queueing import QueueWorld

MANY = 200


@pytest_asyncio.fixture
async def world(database: Database) -> QueueWorld:
    made = QueueWorld(database)
    await made.open()
    await made.fill()
    return made


async def test_who_joined_first_is_called_first_to_the_gun_that_is_free(world: QueueWorld) -> None:
    first, second = await world.join(), await world.join()
    gun = world.guns[4]
    await world.free(gun)
    assert await world.called() == [(first, gun)]
    assert await world.waiting() == [second]
    assert world.mail == [(first, "your_turn")]
    call = await world.call_of(first)
    assert call is not None
    assert call.hold_until == NOON + timedelta(minutes=5)
    assert (call.status, call.station_answer) == ("active", "Accepted")
    assert await world.arrive(first) == gun
    entry = await world.entry(first)
    assert (entry.status, entry.end_reason) == ("served", "charged")
    assert await world.waiting() == [second]


async def test_who_may_not_join(world: QueueWorld) -> None:
    driver = await world.join()
    assert await world.not_joined(driver) == "one_queue"
    assert await world.not_joined(power_w=130_000) == "power"
    await world.leave(driver)
    world.occupied.guns.discard(world.guns[0])
    # A weak gun is free, which is of use to a weak wish only.
    assert await world.not_joined(power_w=60_000) == "gun_free"
    await world.join(driver)
    world.wall.go(minutes=1)
    await world.set_terms(Terms(queue_longest=1))
    assert await world.not_joined() == "queue_longest"


async def test_a_blocked_gun_is_nobody_s_and_shortens_no_wait(world: QueueWorld) -> None:
    gun = world.guns[4]
    world.occupied.blocked.add(gun)
    first = await world.join()
    await world.free(gun)
    await world.free(world.guns[5])
    assert await world.called() == [(first, world.guns[5])]
    # Blocked after the call: the next gun is theirs, and the turn is not lost.
    world.occupied.blocked.add(world.guns[5])
    second = await world.join()
    assert [place.wait_minutes for place in await world.places() if place.position] == [30]
    await world.free(world.guns[6])
    assert await world.called() == [(first, world.guns[6])]
    assert await world.waiting() == [second]
    world.occupied.blocked.discard(gun)
    await world.look()
    assert await world.called() == [(first, world.guns[6]), (second, gun)]


async def test_who_has_a_gun_held_needs_no_place(world: QueueWorld) -> None:
    world.occupied.guns.discard(world.guns[4])
    (driver,) = await world.drivers(1)
    await world.book(driver)
    assert await world.not_joined(driver) == "gun_held"


async def test_to_reserve_now_does_not_overtake_the_queue(world: QueueWorld) -> None:
    await world.join()
    assert (await world.refused(power_w=120_000))["rule"] == "queue"
    assert (await world.refused(gun_code="CS2-1"))["rule"] == "queue"
    # In the moment before the look at the gun that got free, too.
    world.occupied.guns -= {world.guns[4], world.guns[0]}
    assert (await world.refused(power_w=120_000))["rule"] == "queue"
    assert (await world.refused(starts_at=NOON + timedelta(minutes=15), power_w=120_000))[
        "rule"
    ] == "queue"
    # What nobody waits for may be had, and a later window.
    assert (await world.book(power_w=60_000)).station_id == world.stations[0]
    await world.book(power_w=120_000, starts_at=NOON + timedelta(hours=2))


async def test_guns_held_for_the_called_do_not_count_against_the_share(world: QueueWorld) -> None:
    world.wall.go(minutes=1)
    await world.set_terms(Terms(held_share_percent=10))
    driver = await world.join()
    await world.free(world.guns[4], world.guns[5])
    assert [one for one, _ in await world.called()] == [driver]
    await world.book(power_w=120_000)


async def test_who_does_not_come_is_last_then_out_and_no_no_show(world: QueueWorld) -> None:
    first, second = await world.join(), await world.join()
    await world.free(world.guns[4])
    await world.go(minutes=4)
    assert [one for one, _ in await world.called()] == [first]
    await world.go(minutes=1)
    assert [one for one, _ in await world.called()] == [second]
    assert await world.waiting() == [first]
    await world.go(minutes=5)
    assert [one for one, _ in await world.called()] == [first]
    await world.go(minutes=5)
    entry = await world.entry(first)
    assert (entry.status, entry.end_reason, entry.missed) == ("out", "not_come", 2)
    assert [kind for one, kind in world.mail if one == first] == [
        *("your_turn", "turn_missed", "your_turn", "turn_lost")
    ]
    async with world.database.read() as connection:
        query = select(reservations.c.status).where(reservations.c.driver_id == first)
        assert set(await connection.scalars(query)) == {"expired"}


async def test_a_turn_is_skipped_once_before_the_call(world: QueueWorld) -> None:
    first, second, third = [await world.join() for _ in range(3)]
    await world.skip(first)
    assert await world.waiting() == [second, first, third]
    with pytest.raises(ReservationRefused, match="as often as is allowed"):
        await world.skip(first)
    with pytest.raises(ReservationRefused, match="Nobody behind"):
        await world.skip(third)


async def test_a_called_driver_skips_and_the_next_who_can_use_the_gun_is_called(
    world: QueueWorld,
) -> None:
    weak = await world.join(power_w=60_000)
    strong, other = await world.join(), await world.join(power_w=60_000)
    await world.free(world.guns[0])
    assert await world.called() == [(weak, world.guns[0])]
    await world.skip(weak)
    await world.settle()
    assert await world.called() == [(other, world.guns[0])]
    assert await world.waiting() == [strong, weak]
    call = await world.call_of(other)
    assert call is not None
    assert list(world.at_stations.held[world.stations[0]]) == [call.id]


async def test_who_leaves_while_called_gives_the_gun_to_the_next(world: QueueWorld) -> None:
    first, second = await world.join(), await world.join()
    await world.free(world.guns[4])
    await world.leave(first)
    await world.leave(first)
    await world.settle()
    assert await world.called() == [(second, world.guns[4])]
    assert (await world.entry(first)).status == "left"
    with pytest.raises(NotFound):
        await world.leave((await world.drivers(1))[0])


async def test_who_cancels_the_reservation_of_their_call_leaves(world: QueueWorld) -> None:
    first, second = await world.join(), await world.join()
    await world.free(world.guns[4])
    call = await world.call_of(first)
    assert call is not None
    async with world.database.write() as connection:
        with pytest.raises(ReservationRefused, match="not extended"):
            await world.bookings.extend(connection, call.id, first)
        await world.bookings.cancel(connection, call.id, first)
    # They may queue anew at once, though nobody has looked at the queue yet.
    await world.join(first)
    await world.settle()
    assert await world.called() == [(second, world.guns[4])]
    assert await world.waiting() == [first]


async def test_staff_removes_with_a_reason_and_a_gun_taken_back_keeps_the_place(
    world: QueueWorld,
) -> None:
    first, second = await world.join(), await world.join()
    await world.free(world.guns[4])
    call = await world.call_of(first)
    assert call is not None
    world.occupied.guns.add(world.guns[4])  # A car that nobody was told of.
    async with world.database.write() as connection:
        await world.bookings.cancel_by_staff(
            connection, "L1", call.id, reason="cable", actor="staff"
        )
    await world.settle()
    assert await world.waiting() == [first, second]
    assert world.mail[-1] == (first, "turn_postponed")
    number = (await world.entry(first)).id
    async with world.database.write() as connection:
        for _ in range(2):
            await world.queue.remove(connection, "L1", number, reason="asked", actor="staff")
        with pytest.raises(NotFound):
            await world.queue.remove(connection, "L2", number, reason="asked", actor="staff")
    removed = await world.entry(first)
    assert (removed.status, removed.end_reason) == ("out", "removed_by_staff")
    assert await world.waiting() == [second]
    assert [kind for _, kind in world.mail].count("queue_ended") == 1
    kind, facts = world.inbox[-1]
    assert (kind, facts["reason"], facts["note"]) == ("queue_ended", "removed_by_staff", "asked")


@pytest.mark.parametrize("other_free", [True, False])
async def test_a_gun_that_breaks_under_a_call_is_changed_or_the_place_kept(
    world: QueueWorld, *, other_free: bool
) -> None:
    first, second = await world.join(), await world.join()
    await world.free(world.guns[4])
    await set_status(world.database, world.guns[4], "Faulted")
    if other_free:
        world.occupied.guns.discard(world.guns[6])
    await world.go(minutes=1)
    if other_free:
        assert (await world.called())[0][0] == first
        assert (await world.called())[0][1] == world.guns[6]
        return
    assert await world.called() == []
    assert await world.waiting() == [first, second]
    assert world.mail[-1] == (first, "turn_postponed")


async def test_as_many_are_called_as_guns_get_free_at_once(world: QueueWorld) -> None:
    drivers = [await world.join() for _ in range(6)]
    free = world.guns[1:5]  # One of them is too weak.
    await world.free(*free)
    assert await world.called() == list(zip(drivers[:3], free[1:], strict=True))
    assert await world.waiting() == drivers[3:]


async def test_promises_come_first(world: QueueWorld) -> None:
    soon = await world.book(gun_code="CS2-1", starts_at=NOON + timedelta(minutes=30))
    driver = await world.join()
    # Its gun is not given away to who could not have charged before.
    await world.free((soon.station_id, soon.evse_no))
    assert await world.called() == []
    # Its own gun breaks: the next that is free is its own, not the queue's.
    await set_status(world.database, (soon.station_id, soon.evse_no), "Faulted")
    await world.go(minutes=10)
    await world.free(world.guns[6])
    assert await world.called() == []
    assert (await world.row(soon)).station_id == world.guns[6][0]
    await world.free(world.guns[7])
    assert await world.called() == [(driver, world.guns[7])]


async def test_a_gun_whose_window_is_far_off_is_given(world: QueueWorld) -> None:
    later = await world.book(gun_code="CS2-1", starts_at=NOON + timedelta(minutes=36))
    driver = await world.join()
    await world.free((later.station_id, later.evse_no))
    assert await world.called() == [(driver, (later.station_id, later.evse_no))]


async def test_verified_taxi_drivers_have_a_head_start_if_the_rules_say_so(
    world: QueueWorld,
) -> None:
    async def verified(*_: object) -> bool:
        return True

    early, late = await world.join(), None
    world.wall.go(minutes=20)
    late = await world.join()
    world.queue.is_verified = verified
    taxi = await world.join()
    assert await world.waiting() == [early, late, taxi]
    await world.leave(taxi)
    world.wall.go(minutes=1)
    await world.set_terms(Terms(queue_head_start_min=10))
    await world.join(taxi)
    assert await world.waiting() == [early, taxi, late]


async def test_positions_and_waits_are_told(world: QueueWorld) -> None:
    drivers = [await world.join(power_w=power) for power in (120_000, 60_000, 120_000)]
    places = await world.places()
    assert [place.entry.driver_id for place in places] == drivers
    assert [(place.position, place.wait_minutes) for place in places] == [(1, 30), (2, 30), (3, 30)]
    assert {place.waiting for place in places} == {3}
    await world.free(world.guns[4])
    called, *others = await world.places()
    assert (called.position, called.wait_minutes, called.status) == (None, None, "called")
    assert called.call is not None
    assert called.call.gun_code == "CS2-1"
    assert [place.position for place in others] == [1, 2]


async def test_nobody_is_overlooked_without_a_trigger_and_over_a_restart(
    world: QueueWorld,
) -> None:
    driver = await world.join()
    await set_online(world.database, world.stations[2], online=False)
    world.occupied.guns.discard(world.guns[4])
    await world.go(minutes=1)
    assert await world.called() == []
    await set_online(world.database, world.stations[2], online=True)
    world.build()
    await world.go(minutes=1)
    assert await world.called() == [(driver, world.guns[4])]
    await world.arrive(driver)
    await world.go(minutes=2)
    assert await world.due() == []


async def test_a_call_that_ran_out_while_the_hub_was_down_is_made_again(
    world: QueueWorld,
) -> None:
    driver = await world.join()
    await world.free(world.guns[4])
    world.wall.go(minutes=30)
    world.build()
    await world.settle()
    assert (await world.entry(driver)).missed == 0
    assert await world.called() == [(driver, world.guns[4])]
    assert [kind for _, kind in world.mail] == ["your_turn", "turn_postponed", "your_turn"]


async def test_of_200_who_join_at_once_each_has_a_place_of_their_own(world: QueueWorld) -> None:
    drivers = await world.drivers(MANY)
    turns = asyncio.Semaphore(4)

    async def join(driver: UUID) -> str:
        try:
            async with turns, world.database.write() as connection:
                await world.queue.join(connection, Joining(driver, "L1", 0))
        except ReservationRefused as refused:
            return str(refused.facts["rule"])
        return "joined"

    ends = await asyncio.gather(*(join(driver) for driver in drivers * 2))
    assert (ends.count("joined"), ends.count("one_queue")) == (MANY, MANY)
    places = await world.places()
    assert [place.position for place in places] == list(range(1, MANY + 1))
    assert {place.entry.driver_id for place in places} == set(drivers)
    # Several looks at once call nobody twice.
    world.occupied.guns -= set(world.guns[:3])
    await asyncio.gather(*(world.queue.look("L1") for _ in range(4)))
    called = await world.called()
    assert [driver for driver, _ in called] == [place.entry.driver_id for place in places[:3]]
    assert {gun for _, gun in called} == set(world.guns[:3])


async def test_a_closed_account_is_in_no_queue_and_its_export_tells_of_it(
    world: QueueWorld,
) -> None:
    first, second = await world.join(), await world.join()
    part = QueueOfDriver()
    async with world.database.write() as connection:
        await part.erase(connection, first, world.wall.at)
        (told,) = await part.export(connection, first)
        kinds = await connection.scalars(select(due_actions.c.kind))
        assert LOOK in set(kinds)
    assert (told["status"], told["end_reason"]) == ("left", "account_closed")
    assert await world.waiting() == [second]


@pytest.mark.parametrize(("opens", "stay"), [("21:00", True), ("21:30", False)])
async def test_who_waits_as_a_location_closes_is_told_and_not_called_in_the_morning(
    world: QueueWorld, opens: str, stay: bool
) -> None:
    """20:00 there is noon; at 20:05 whoever is called can still come before it closes."""
    hours = [
        {"weekday": day, "period_begin": begin, "period_end": end}
        for day in range(1, 8)
        for begin, end in (("00:00", "20:10"), (opens, "24:00"))
    ]
    async with world.database.write() as connection:
        await connection.execute(update(locations).values(regular_hours=hours))
    first, second = await world.join(), await world.join()
    await world.go(minutes=5)
    assert await world.waiting() == [first, second]
    await world.go(minutes=1)
    await world.free(world.guns[2])
    assert await world.called() == []
    if stay:
        assert await world.waiting() == [first, second]
        return
    assert await world.line() == []
    entry = await world.entry(first)
    assert (entry.status, entry.end_reason) == ("out", "closed")
    assert world.mail == [(first, "queue_ended"), (second, "queue_ended")]
    assert world.inbox[0][1]["opens_at"] == NOON + timedelta(hours=1, minutes=30)


async def test_who_joins_as_the_watch_ends_is_watched_for(world: QueueWorld) -> None:
    """It found nobody, and its row is not gone yet."""
    async with world.database.write() as connection:
        await schedule(connection, WATCH, "L1", world.wall.at)
    await world.join()
    async with world.database.read() as connection:
        query = select(due_actions.c.due_at).where(due_actions.c.kind == WATCH)
        assert await connection.scalar(query) == world.wall.at + timedelta(seconds=30)
