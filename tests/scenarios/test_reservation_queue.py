"""One turn in the queue on every version: from a full hub to the charge of who was called."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import insert, update

from chargehub.drivers.accounts import open_account
from chargehub.drivers.inbox import read_messages
from chargehub.drivers.store import id_tokens
from chargehub.reservations.guard import EvseHeld
from chargehub.reservations.queue.line import newest_of
from chargehub.reservations.queue.outlook import Place
from chargehub.reservations.queue.service import Joining
from chargehub.reservations.queue.store import queue_entries
from chargehub.stations.store import charging_stations, locations
from tests.scenarios.speech import V16, Session
from tests.scenarios.stage import MAX_POWER_W, RawStation, Stage


class FullHub:
    """A Location of its own with one station, at both of whose guns somebody charges."""

    def __init__(self, stage: Stage, station: RawStation) -> None:
        self.stage = stage
        self.station = station
        self.location = f"full {station.identity}"
        self.sessions: list[Session] = []

    async def open(self) -> None:
        async with self.stage.database.write() as connection:
            await connection.execute(
                insert(locations).values(id=self.location, name="full", latitude=29, longitude=119)
            )
            here = charging_stations.c.id == self.station.station_id
            values = {"location_id": self.location}
            await connection.execute(update(charging_stations).where(here).values(values))
        for evse_no in (1, 2):
            token = await self.stage.new_token()
            await self.station.report(evse_no, "Available", self.station.now)
            await self.station.report(evse_no, occupied(self.station), self.station.now)
            self.sessions.append(await self.station.begin(token, evse_no=evse_no))

    async def new_driver(self) -> tuple[UUID, str]:
        """Open an account; return its id and the app token."""
        phone = f"+86137{next(self.stage.numbers):08d}"
        stage = self.stage
        async with stage.database.write() as connection:
            at = stage.clock.date()
            driver_id = await open_account(connection, at, stage.hub.features.seal, phone=phone)
            assert driver_id is not None
            query = id_tokens.select().where(id_tokens.c.driver_id == driver_id)
            token = (await connection.execute(query)).one()
        return driver_id, str(token.display)

    async def join(self, driver_id: UUID) -> None:
        async with self.stage.database.write() as connection:
            wish = Joining(driver_id, self.location, MAX_POWER_W)
            await self.stage.hub.features.queue.join(connection, wish)

    async def place(self, driver_id: UUID) -> Place:
        async with self.stage.database.read() as connection:
            entry = await newest_of(connection, driver_id)
            assert entry is not None
            now = self.stage.clock.date()
            return await self.stage.hub.features.queue.outlook.of_entry(connection, entry, now)

    async def told(self, driver_id: UUID) -> list[str]:
        async with self.stage.database.read() as connection:
            rows = await read_messages(connection, driver_id, after=None, limit=None)
        return [row.kind for row in reversed(rows)]

    async def unplug(self, evse_no: int) -> None:
        """Let the car at a gun leave, and the hub act."""
        await self.station.end(self.sessions[evse_no - 1], 9_000)
        await self.station.report(evse_no, "Available", self.station.now)
        await self.stage.work()


def version_of(station: RawStation) -> str:
    return station.wire.account.subprotocol


def occupied(station: RawStation) -> str:
    return "Charging" if version_of(station) == V16 else "Occupied"


async def start(station: RawStation, token: str, evse_no: int) -> str | None:
    session = Session(evse_no, token)
    answer = await station.say(station.speech.started(session, station.now, 5_000))
    station.speech.learn(session, answer)
    return station.speech.verdict(answer).status


async def full_hub(stage: Stage, version: str) -> FullHub:
    station = await stage.raw(version)
    station.answers = {
        "ReserveNow": {"status": "Accepted"},
        "CancelReservation": {"status": "Accepted"},
    }
    hub = FullHub(stage, station)
    await hub.open()
    return hub


async def test_a_full_hub_calls_the_next_when_a_gun_is_free(stage: Stage, version: str) -> None:
    hub = await full_hub(stage, version)
    station, (first, token), (second, later) = (
        hub.station,
        *[await hub.new_driver() for _ in range(2)],
    )
    await hub.join(first)
    await hub.join(second)
    place = await hub.place(first)
    assert (place.status, place.position, place.waiting) == ("waiting", 1, 2)
    await stage.work()
    assert await hub.told(first) == []
    stage.pass_time(60)
    await hub.unplug(2)
    # Called: told in the inbox, and the gun is held at the station too.
    place = await hub.place(first)
    assert place.status == "called"
    assert place.call is not None
    assert (place.call.evse_no, place.call.station_answer) == (2, "Accepted")
    assert await hub.told(first) == ["your_turn"]
    (asked,) = [payload for action, payload in station.asked if action == "ReserveNow"]
    assert place.call.id in {asked.get("reservationId"), asked.get("id")}
    assert (await hub.place(second)).position == 1
    # A foreign card is refused there, over the app and at the gun, and so is who is next.
    refused = "Blocked" if version == V16 else "NotAtThisTime"
    stranger = await stage.new_token()
    assert await start(station, stranger, 2) == refused
    assert await start(station, later, 2) == refused
    with pytest.raises(EvseHeld):
        await stage.hub.features.remote.request_start(station.station_id, 2, stranger, "test")
    # Who was called begins, and that uses the call up.
    assert await start(station, token, 2) == "Accepted"
    await stage.work()
    place = await hub.place(first)
    assert (place.status, place.entry.end_reason) == ("served", "charged")
    assert (await hub.place(second)).status == "waiting"


async def test_who_does_not_come_makes_room_for_the_next_over_a_restart(
    stage: Stage, version: str
) -> None:
    hub = await full_hub(stage, version)
    (first, _), (second, token) = [await hub.new_driver() for _ in range(2)]
    await hub.join(first)
    await hub.join(second)
    await hub.unplug(1)
    assert (await hub.place(first)).status == "called"
    await stage.restart()
    await hub.station.reconnect()
    stage.pass_time(300)
    await stage.work()
    assert await hub.told(first) == ["your_turn", "turn_missed"]
    assert (await hub.place(first)).position == 1
    place = await hub.place(second)
    assert place.call is not None
    assert place.call.evse_no == 1
    assert await start(hub.station, token, 1) == "Accepted"


async def test_what_frees_a_gun_has_the_queue_looked_at(stage: Stage, version: str) -> None:
    """Each in its turn: the end of a transaction, a status, a connection, a charge elsewhere."""
    hub = await full_hub(stage, version)
    driver, token = await hub.new_driver()
    await hub.join(driver)
    station = hub.station
    at = "SELECT due_at FROM due_actions WHERE kind = 'queue.look' AND subject = :place"
    await stage.work()

    async def looked_at() -> bool:
        found = bool(await stage.rows(at, place=hub.location))
        await stage.work()
        return found

    assert not await looked_at()
    await station.end(hub.sessions[0], 9_000)
    assert await looked_at()
    await station.report(1, "Available", station.now)
    assert await looked_at()
    assert (await hub.place(driver)).status == "called"
    await station.reconnect()
    await station.report(2, occupied(station), station.now)  # It is here, once this is answered.
    assert await looked_at()
    assert await start(station, token, 1) == "Accepted"
    assert await looked_at()
    assert (await hub.place(driver)).status == "served"
    async with stage.database.read() as connection:
        left = await connection.execute(
            queue_entries.select().where(
                queue_entries.c.location_id == hub.location, queue_entries.c.ended_at.is_(None)
            )
        )
    assert left.all() == []
    # Where nobody waits nobody looks.
    await station.end(hub.sessions[1], 9_000)
    assert not await looked_at()
