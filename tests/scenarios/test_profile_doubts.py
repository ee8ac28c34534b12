"""What a report of profiles says of what was decided since, and how long doubts are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from chargehub.kit.worker import Worker
from chargehub.smart_charging.ledger import ASK_PROFILES
from chargehub.smart_charging.queries import read_held
from chargehub.smart_charging.service import ProfileWanted
from chargehub.stations.commands import (
    StationOffline,
    StationTimeout,
)
from chargehub.stations.profiles import ChargingProfile, RateUnit
from tests.scenarios.profile_setting import (
    ACTOR,
    DEFAULT,
    MAX,
    TX,
    OvertakenDesk,
    a_profile,
    a_station,
    ask,
    clear,
    known_to_be,
    page,
    set_profile,
    settled,
    silently,
    states,
    told,
)
from tests.scenarios.speech import V16
from tests.scenarios.stage import Stage

CUT = "chargehub_profile_reports_cut_total"
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
    with stage.patience(2):
        setting = await silently(station, set_profile(stage, station, 0, profile))
    ((named_so, _),) = await states(stage, station)
    profile = replace(profile, id=named_so)
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


async def test_statement_85_a_doubt_that_arises_while_a_station_is_asked_is_asked_about(
    stage: Stage, version_2x: str
) -> None:
    station = await a_station(stage, version_2x)
    first = await set_profile(stage, station, 2, a_profile(stage, DEFAULT, 20_000))
    station.answers["SetChargingProfile"] = {"status": "Perhaps"}
    await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 20_000))
    stage.pass_time(11)
    restoring, smart = stage.hub.smart.restoring, stage.hub.smart.smart
    desk = OvertakenDesk(stage.database, stage.hub.connections, smart.clock)
    desk.before = lambda: set_profile(stage, station, 0, a_profile(stage, MAX, 10_000))
    reconciling = replace(restoring.reconciling, desk=desk)
    asking = replace(restoring, reconciling=reconciling).ask
    station.asked.clear()
    await Worker(stage.database, smart.clock, {ASK_PROFILES: asking}, {}).run_once()
    (question,) = told(station, "GetChargingProfiles")
    await station.say(page(question["requestId"], 2, first.profile))
    await stage.work()
    assert [state for _, state in await states(stage, station)] == ["installed", "lost", "unknown"]
    station.asked.clear()
    await settled(stage)
    assert len(told(station, "GetChargingProfiles")) == 1


# --- How long something is waited for -------------------------------------------------------------


@pytest.mark.parametrize("away_h", [23, 25])
async def test_statement_85_what_was_lost_more_than_a_day_ago_is_not_set_again(
    stage: Stage, version_2x: str, away_h: int
) -> None:
    station = await a_station(stage, version_2x)
    station.answers["GetChargingProfiles"] = {"status": "NoProfiles"}
    await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    stage.pass_time(1)
    await ask(stage, station)
    await station.wire.close(abruptly=True)
    await known_to_be(stage, station, here=False)
    station.asked.clear()
    await settled(stage, 1, away_h * 3_600)
    await station.wire.open()
    await known_to_be(stage, station, here=True)
    await settled(stage, 601)
    assert len(told(station, "SetChargingProfile")) == (away_h == 23)


@pytest.mark.parametrize(("waited_min", "awaited"), [(59, True), (61, False)])
async def test_statement_74_a_starts_profile_is_not_awaited_for_ever(
    stage: Stage, version: str, waited_min: int, *, awaited: bool
) -> None:
    """No transaction followed: it may not be in the way of another start any more."""
    station = await a_station(stage, version)
    action = "RemoteStartTransaction" if version == V16 else "RequestStartTransaction"
    station.answers[action] = {"status": "Accepted"}
    await stage.hub.smart.smart.start_under_profile(
        station.identity,
        ProfileWanted(1, a_profile(stage, TX, 25_000)),
        await stage.new_token(),
        actor=ACTOR,
    )
    stage.pass_time(waited_min * 60)
    async with stage.database.read() as connection:
        held = await read_held(connection, station.station_id, stage.clock.date())
    assert bool(held) is awaited
