"""What a station's report of its profiles says of those that we believe in: statement 85."""

from __future__ import annotations

from typing import Any

import pytest

from chargehub.stations.profiles import ChargingProfile
from tests.scenarios.profile_setting import ACTOR, DEFAULT, MAX, a_profile, set_profile, states
from tests.scenarios.speech import Message
from tests.scenarios.stage import RawStation, Stage


async def a_station(stage: Stage, version: str) -> RawStation:
    """Return a station that takes every profile, and says that it will report."""
    station = await stage.raw(version)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    station.answers["GetChargingProfiles"] = {"status": "Accepted"}
    await stage.work()
    stage.pass_time(1)
    return station


async def ask(stage: Stage, station: RawStation, evse_no: int | None = None) -> int:
    _, _, number = await stage.hub.smart.reconciling.ask(station.identity, evse_no, actor=ACTOR)
    return number


def page(number: int, evse_no: int, *profiles: ChargingProfile, more: bool = False) -> Message:
    told: list[dict[str, Any]] = [
        {
            "id": profile.id,
            "stackLevel": profile.stack_level,
            "chargingProfilePurpose": profile.purpose.value,
            "chargingProfileKind": "Absolute",
            "chargingSchedule": [
                {
                    "id": 1,
                    "chargingRateUnit": "W",
                    "startSchedule": "2026-11-23T00:00:00Z",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10_000}],
                }
            ],
        }
        for profile in profiles
    ]
    return Message(
        "ReportChargingProfiles",
        {
            "requestId": number,
            "chargingLimitSource": "CSO",
            "evseId": evse_no,
            "chargingProfile": told,
            "tbc": more,
        },
    )


async def test_statement_85_what_was_set_after_the_question_is_not_lost(
    stage: Stage, version_2x: str
) -> None:
    """The report may have been put together before it came."""
    station = await a_station(stage, version_2x)
    before = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    gone = await set_profile(stage, station, 2, a_profile(stage, DEFAULT, 60_000))
    stage.pass_time(1)
    number = await ask(stage, station)
    stage.pass_time(1)
    after = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 60_000))
    await station.say(page(number, 0, before.profile))
    await stage.work()
    known = dict(await states(stage, station))
    assert known[before.profile.id] == known[after.profile.id] == "installed"
    assert known[gone.profile.id] == "lost"


async def test_statement_85_a_question_about_one_evse_says_nothing_of_the_others(
    stage: Stage, version_2x: str
) -> None:
    station = await a_station(stage, version_2x)
    asked = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 60_000))
    kept = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 60_000, level=1))
    other = await set_profile(stage, station, 2, a_profile(stage, DEFAULT, 60_000))
    stage.pass_time(1)
    number = await ask(stage, station, 1)
    await station.say(page(number, 1, kept.profile))
    await stage.work()
    known = dict(await states(stage, station))
    assert known[asked.profile.id] == "lost"
    assert known[kept.profile.id] == known[other.profile.id] == "installed"


@pytest.mark.parametrize("late", ["answered", "old", "never asked"])
async def test_statement_85_pages_that_nobody_waits_for_are_not_kept(
    stage: Stage, version_2x: str, late: str
) -> None:
    station = await a_station(stage, version_2x)
    done = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    stage.pass_time(1)
    number = await ask(stage, station)
    if late == "answered":
        await station.say(page(number, 0, done.profile))
        await stage.work()
    elif late == "old":
        stage.pass_time(3_601)
    else:
        number += 1
    await station.say(page(number, 0, done.profile, more=True))
    kept = await stage.rows(
        "SELECT 1 FROM profile_reports WHERE station_id = :station", station=station.station_id
    )
    assert list(kept) == []
    assert await states(stage, station) == [(done.profile.id, "installed")]
