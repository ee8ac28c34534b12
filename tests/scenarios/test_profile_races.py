"""What becomes of a profile when the database fails, a request is given up, or two meet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.db import Database
from chargehub.smart_charging.ledger import Attempt, lock_station, write_attempt
from chargehub.smart_charging.service import ProfileWanted, SmartCharging
from chargehub.stations import dispatch
from chargehub.stations.commands import (
    ClearChargingProfile,
)
from chargehub.stations.dispatch import CommandDesk
from tests.scenarios.profile_setting import (
    ACTOR,
    MAX,
    TX,
    OvertakenDesk,
    a_profile,
    a_station,
    clear,
    come_true,
    set_profile,
    settled,
    silently,
    states,
    told,
)
from tests.scenarios.speech import V16
from tests.scenarios.stage import RawStation, Stage

DONE, REFUSED, UNHEARD = "done", "refused", "unheard"
"""What becomes of a transaction: unheard, it is committed and nobody is told."""


class FaultyDatabase(Database):
    """Another's, whose writes may fail."""

    def __init__(self, database: Database) -> None:
        self.url, self.engine = database.url, database.engine
        self.ends: deque[str] = deque()
        """Of the next writes; any other is done."""

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        end = self.ends.popleft() if self.ends else DONE
        async with super().write() as connection:
            yield connection
            if end == REFUSED:
                raise OSError("the database is away")
        if end == UNHEARD:
            raise OSError("the answer to COMMIT got lost")


@pytest.fixture
def faulty(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> FaultyDatabase:
    monkeypatch.setattr(dispatch, "STORE_AGAIN_S", 0.01)
    return FaultyDatabase(stage.database)


def smart_on(stage: Stage, faulty: FaultyDatabase) -> SmartCharging:
    """Return smart charging whose commands are recorded by a database with faults."""
    smart = stage.hub.smart.smart
    return replace(smart, desk=CommandDesk(faulty, stage.hub.connections, smart.clock))


async def come_to(stage: Stage, station: RawStation, *expected: str) -> None:
    """Return when the states of a station's profiles are these."""

    async def are_these() -> bool:
        return [state for _, state in await states(stage, station)] == list(expected)

    await come_true(are_these)


async def accepted(stage: Stage, model: str) -> int:
    rows = await stage.rows(
        "SELECT accepted FROM profile_observations WHERE model = :model", model=model
    )
    return sum(row.accepted for row in rows)


async def named(stage: Stage, station: RawStation) -> str:
    """Give the station a model of its own and return its name."""
    model = f"RACES-{station.identity}"
    async with stage.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE charging_stations SET model = %s WHERE id = %s", (model, station.station_id)
        )
    return model


@pytest.mark.parametrize("fault", [REFUSED, UNHEARD])
async def test_statement_85_an_accepted_profile_is_on_record_when_the_database_is_back(
    stage: Stage, version: str, faulty: FaultyDatabase, fault: str
) -> None:
    station = await a_station(stage, version)
    model = await named(stage, station)
    faulty.ends.extend([DONE, fault])
    wanted = ProfileWanted(0, a_profile(stage, MAX, 10_000))
    with pytest.raises(OSError, match="the"):
        await smart_on(stage, faulty).set_profile(station.identity, wanted, actor=ACTOR)
    await come_to(stage, station, "installed")
    assert await accepted(stage, model) == 1


@pytest.mark.parametrize("fault", [REFUSED, UNHEARD])
async def test_statement_85_an_accepted_clear_is_on_record_when_the_database_is_back(
    stage: Stage, version: str, faulty: FaultyDatabase, fault: str
) -> None:
    station = await a_station(stage, version)
    station.answers["ClearChargingProfile"] = {"status": "Accepted"}
    await set_profile(stage, station, 0, a_profile(stage, MAX, 10_000))
    faulty.ends.extend([DONE, fault])
    with pytest.raises(OSError, match="the"):
        await smart_on(stage, faulty).clear_profiles(
            station.identity, ClearChargingProfile(purpose=MAX), actor=ACTOR
        )
    await come_to(stage, station, "cleared")


async def test_a_profile_that_could_not_be_recorded_in_time_is_not_sent(
    stage: Stage, version: str, faulty: FaultyDatabase
) -> None:
    station = await a_station(stage, version)
    faulty.ends.append(UNHEARD)
    wanted = ProfileWanted(0, a_profile(stage, MAX, 10_000))
    with pytest.raises(OSError, match="COMMIT"):
        await smart_on(stage, faulty).set_profile(station.identity, wanted, actor=ACTOR)
    await come_to(stage, station, "unsent")
    assert told(station, "SetChargingProfile") == []


async def test_statement_85_of_two_that_were_accepted_the_later_stays_whatever_is_stored_first(
    stage: Stage, version: str, faulty: FaultyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = await a_station(stage, version)
    monkeypatch.setattr(dispatch, "STORE_AGAIN_S", 0.5)
    faulty.ends.extend([DONE, REFUSED])
    wanted = ProfileWanted(0, a_profile(stage, MAX, 10_000))
    with pytest.raises(OSError, match="away"):
        await smart_on(stage, faulty).set_profile(station.identity, wanted, actor=ACTOR)
    later = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000), replace=True)

    async def is_stored() -> bool:
        return not await stage.rows(
            "SELECT 1 FROM station_commands WHERE station_id = :station AND outcome = 'pending'",
            station=station.station_id,
        )

    assert not await is_stored()
    await come_true(is_stored)
    number = later.profile.id
    assert await states(stage, station) == [(number, "replaced"), (number, "installed")]


@pytest.mark.parametrize("given_up", ["set", "clear"])
async def test_statement_85_what_was_given_up_unanswered_is_in_doubt(
    stage: Stage, version: str, given_up: str
) -> None:
    station = await a_station(stage, version)
    smart = stage.hub.smart.smart
    profile = a_profile(stage, MAX, 10_000)
    if given_up == "clear":
        await set_profile(stage, station, 0, profile)
    if given_up == "clear":
        command = ClearChargingProfile(purpose=MAX)
        request: Any = smart.clear_profiles(station.identity, command, actor=ACTOR)
    else:
        request = set_profile(stage, station, 0, profile)
    with stage.patience(3):
        asking = await silently(station, request)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert [state for _, state in await states(stage, station)] == ["unknown"]
    station.asked.clear()
    await settled(stage)
    assert len(told(station, "GetChargingProfiles")) == (version != V16)


async def test_statement_85_what_is_set_while_a_clear_is_prepared_is_cleared_too(
    stage: Stage, version: str
) -> None:
    """It reached the station before the clear did."""
    station = await a_station(stage, version)
    station.answers["ClearChargingProfile"] = {"status": "Accepted"}
    smart = stage.hub.smart.smart
    desk = OvertakenDesk(stage.database, stage.hub.connections, smart.clock)
    desk.before = lambda: set_profile(stage, station, 0, a_profile(stage, MAX, 10_000))
    _, _, cleared = await replace(smart, desk=desk).clear_profiles(
        station.identity, ClearChargingProfile(purpose=MAX), actor=ACTOR
    )
    assert [action for action, _ in station.asked[-2:]] == [
        "SetChargingProfile",
        "ClearChargingProfile",
    ]
    assert cleared == 1
    assert [state for _, state in await states(stage, station)] == ["cleared"]


async def test_capability_nothing_is_learned_from_a_start_under_a_profile(
    stage: Stage, version: str
) -> None:
    """K05.FR.04: it is accepted also by stations that ignore the profile."""
    station = await a_station(stage, version)
    action = "RemoteStartTransaction" if version == V16 else "RequestStartTransaction"
    station.answers[action] = {"status": "Accepted"}
    model = await named(stage, station)
    _, done = await stage.hub.smart.smart.start_under_profile(
        station.identity,
        ProfileWanted(1, a_profile(stage, TX, 25_000)),
        await stage.new_token(),
        actor=ACTOR,
    )
    assert done.outcome.state == "installed"
    assert await accepted(stage, model) == 0


async def test_statement_85_a_clear_waits_until_a_set_beside_it_is_recorded(
    stage: Stage, version: str
) -> None:
    station = await a_station(stage, version)
    station.answers["ClearChargingProfile"] = {"status": "Accepted"}
    attempt = Attempt(
        station.station_id, 0, a_profile(stage, MAX, 10_000, id=4_711), None, set_by=ACTOR
    )

    async def one_waits() -> bool:
        query = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
        return bool(await stage.rows(query))

    async with stage.database.write() as connection:
        await lock_station(connection, station.station_id)
        clearing = asyncio.create_task(clear(stage, station, purpose=MAX))
        await come_true(one_waits)
        await write_attempt(connection, attempt, uuid4(), stage.clock.date())
    assert await clearing == 1
    assert await states(stage, station) == [(4_711, "cleared")]
