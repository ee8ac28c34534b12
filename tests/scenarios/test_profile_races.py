"""What becomes of a profile when the database fails, a request is given up, or words meet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.db import Database
from chargehub.smart_charging.service import ProfileWanted, SmartCharging
from chargehub.stations import dispatch
from chargehub.stations.commands import (
    ClearChargingProfile,
    CommandAnswer,
    StationOffline,
    StationTimeout,
)
from chargehub.stations.dispatch import CommandDesk
from chargehub.stations.profiles import ChargingProfile, RateUnit
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.profile_setting import (
    ACTOR,
    DEFAULT,
    MAX,
    TX,
    a_profile,
    a_station,
    ask,
    clear,
    known_to_be,
    page,
    set_profile,
    settled,
    states,
    told,
)
from tests.scenarios.speech import V16
from tests.scenarios.stage import RawStation, Stage

CUT = "chargehub_profile_reports_cut_total"
SILENT = frozenset((Misbehaviour.SILENT_TO_CALLS,))
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


async def come_true(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - rows have no event.
            await asyncio.sleep(0.01)


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
    station.wire.quirks = SILENT
    with stage.patience(3):
        if given_up == "clear":
            command = ClearChargingProfile(purpose=MAX)
            asking: asyncio.Task[Any] = asyncio.create_task(
                smart.clear_profiles(station.identity, command, actor=ACTOR)
            )
        else:
            asking = asyncio.create_task(set_profile(stage, station, 0, profile))
        await sent(stage, station, f"{given_up.title()}ChargingProfile")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert [state for _, state in await states(stage, station)] == ["unknown"]
    station.wire.quirks = frozenset()
    station.asked.clear()
    await settled(stage)
    assert len(told(station, "GetChargingProfiles")) == (version != V16)


async def sent(stage: Stage, station: RawStation, action: str) -> None:
    """Return when the command is on its way."""
    query = (
        "SELECT 1 FROM station_commands WHERE station_id = :station AND action = :action"
        " AND outcome = 'pending'"
    )

    async def is_pending() -> bool:
        return bool(await stage.rows(query, station=station.station_id, action=action))

    await come_true(is_pending)


class OvertakenDesk(CommandDesk):
    """Something else happens just before a command is recorded."""

    before: Callable[[], Awaitable[Any]]

    async def send(self, *args: Any, **more: Any) -> tuple[UUID, CommandAnswer]:
        await self.before()
        return await super().send(*args, **more)


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


FOREIGN = 999_001


def foreign(stage: Stage) -> ChargingProfile:
    """Return a profile that another backend has set: no page is empty."""
    return a_profile(stage, DEFAULT, 10_000, level=7, id=FOREIGN)


# --- What was decided at or after the question outranks the report --------------------------------


async def test_statement_85_what_was_replaced_after_the_question_stays_replaced(
    stage: Stage, version_2x: str
) -> None:
    station = await a_station(stage, version_2x)
    old = await set_profile(stage, station, 0, a_profile(stage, MAX, 10_000))
    stage.pass_time(1)
    number = await ask(stage, station)
    stage.pass_time(1)
    await station.say(page(number, 0, old.profile, more=True))
    await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000), replace=True)
    await station.say(page(number, 0, old.profile))
    await stage.work()
    ours = await stage.hub.smart.comparison.our_schedule(station.identity, 0, 600, RateUnit.W)
    assert [period.limit for period in ours.periods] == [60_000]


@pytest.mark.parametrize("attempt", ["unsent", "rejected"])
async def test_statement_85_what_came_to_nothing_after_the_question_outranks_no_report(
    stage: Stage, version_2x: str, attempt: str
) -> None:
    station = await a_station(stage, version_2x)
    old = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    stage.pass_time(1)
    number = await ask(stage, station)
    stage.pass_time(1)
    if attempt == "rejected":
        station.answers["SetChargingProfile"] = {"status": "Rejected"}
        await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000), replace=True)
    else:
        await station.wire.close(abruptly=True)
        await known_to_be(stage, station, here=False)
        with pytest.raises(StationOffline):
            await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000), replace=True)
        await station.wire.open()
    await station.say(page(number, 0, old.profile))
    await stage.work()
    ours = await stage.hub.smart.comparison.our_schedule(station.identity, 0, 600, RateUnit.W)
    assert [period.limit for period in ours.periods] == [10_000]  # As all pages here say.


async def test_statement_85_what_was_cleared_after_the_question_stays_cleared(
    stage: Stage, version_2x: str
) -> None:
    station = await a_station(stage, version_2x)
    station.answers["ClearChargingProfile"] = {"status": "Accepted"}
    old = await set_profile(stage, station, 0, a_profile(stage, MAX, 10_000))
    stage.pass_time(1)
    number = await ask(stage, station)
    stage.pass_time(1)
    await station.say(page(number, 0, old.profile, more=True))
    await clear(stage, station, profile_id=old.profile.id)
    await station.say(page(number, 0, old.profile))
    await stage.work()
    assert await states(stage, station) == [(old.profile.id, "cleared")]


async def test_statement_85_what_is_under_way_when_it_is_reported_settles_itself(
    stage: Stage, version_2x: str
) -> None:
    """No second row, whose setter nobody would know; where no answer comes it is asked again."""
    station = await a_station(stage, version_2x)
    number = await ask(stage, station)
    profile = a_profile(stage, MAX, 10_000)
    station.wire.quirks = SILENT
    with stage.patience(2):
        setting = asyncio.create_task(set_profile(stage, station, 0, profile))
        await sent(stage, station, "SetChargingProfile")
    ((named_so, _),) = await states(stage, station)
    profile = replace(profile, id=named_so)
    station.wire.quirks = frozenset()
    await station.say(page(number, 0, profile))
    await stage.work()
    with pytest.raises(StationTimeout):
        await setting
    assert await states(stage, station) == [(named_so, "unknown")]
    station.asked.clear()
    await settled(stage)
    (question,) = told(station, "GetChargingProfiles")
    await station.say(page(question["requestId"], 0, profile))
    await stage.work()
    assert await states(stage, station) == [(named_so, "installed")]


async def test_statement_85_what_is_in_doubt_since_the_question_is_not_lost_by_its_report(
    stage: Stage, version_2x: str
) -> None:
    """Both are asked for anew; then what the station had taken is set again, not the other."""
    station = await a_station(stage, version_2x)
    old = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    stage.pass_time(1)
    number = await ask(stage, station)
    stage.pass_time(1)
    station.answers["SetChargingProfile"] = {"status": "Perhaps"}
    await set_profile(stage, station, 0, a_profile(stage, MAX, 50_000), replace=True)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    await station.say(page(number, 1, foreign(stage)))
    await stage.work()
    name = old.profile.id
    assert (await states(stage, station))[:2] == [(name, "installed"), (name, "unknown")]
    station.answers["GetChargingProfiles"] = {"status": "NoProfiles"}
    await settled(stage, 11, 1)
    assert await states(stage, station) == [
        (name, "lost"),
        (name, "lost"),
        (FOREIGN, "lost"),
        (name, "installed"),
    ]
    ours = await stage.hub.smart.comparison.our_schedule(station.identity, 0, 600, RateUnit.W)
    assert [period.limit for period in ours.periods] == [60_000]


async def test_statement_85_what_is_set_while_a_loss_is_noticed_is_not_undone(
    stage: Stage, version_2x: str
) -> None:
    station = await a_station(stage, version_2x)
    old = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    stage.pass_time(1)
    number = await ask(stage, station)
    await station.say(page(number, 1, foreign(stage)))
    smart = stage.hub.smart.smart
    desk = OvertakenDesk(stage.database, stage.hub.connections, smart.clock)

    async def notice() -> None:
        stage.pass_time(1)
        await stage.hub.smart.reconciling.take_over(station.station_id, number)

    desk.before = notice
    wanted = ProfileWanted(0, a_profile(stage, MAX, 50_000), replace=True)
    await replace(smart, desk=desk).set_profile(station.identity, wanted, actor=ACTOR)
    await settled(stage, 1)
    name = old.profile.id
    assert [row for row in await states(stage, station) if row[0] == name] == [
        (name, "lost"),
        (name, "installed"),
    ]
    assert len(told(station, "SetChargingProfile")) == 2


# --- How much a report may hold -------------------------------------------------------------------


async def test_a_report_without_end_is_cut_and_costs_us_none_of_ours(
    stage: Stage, version_2x: str
) -> None:
    station = await a_station(stage, version_2x)
    old = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    before = REGISTRY.get_sample_value(CUT)
    for first in (0, 10_000):
        stage.pass_time(1)
        number = await ask(stage, station)
        for n in range(3):
            ids = range(1_000_000 + first + n * 150, 1_000_000 + first + n * 150 + 150)
            foreign = [a_profile(stage, DEFAULT, 10_000, level=7, id=one) for one in ids]
            await station.say(page(number, 1, *foreign, more=n < 2))
        await stage.work()
    known = await states(stage, station)
    assert known[0] == (old.profile.id, "installed")
    # What others had set and is told no more is gone: that too does not grow.
    assert [state for _, state in known[1:]] == ["lost"] * 200 + ["installed"] * 200
    assert REGISTRY.get_sample_value(CUT) == (before or 0) + 2
