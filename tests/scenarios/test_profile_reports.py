"""What models of stations obey, and what stations tell of limits and cars: statement 86."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from chargehub.smart_charging.capabilities import ProfileNotObeyed, Seen
from chargehub.smart_charging.rules import InvalidChargingProfile
from chargehub.stations.commands import (
    UnsupportedByStation,
    VariableName,
)
from chargehub.stations.profiles import (
    RateUnit,
)
from simulators.misbehaviour import Misbehaviour
from simulators.station import SimulatedStation
from tests.scenarios.profile_setting import (
    ACTOR,
    DEFAULT,
    MAX,
    TX,
    a_profile,
    charging,
    set_profile,
    states,
)
from tests.scenarios.speech import V16, V21, Message
from tests.scenarios.stage import RawStation, Stage

# --- What models obey -----------------------------------------------------------------------------


async def rename_model(stage: Stage, station: SimulatedStation | RawStation, model: str) -> None:
    """Give the station a model of its own, so that scenarios do not learn from each other."""
    async with stage.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE charging_stations SET model = %s WHERE identity = %s", (model, station.identity)
        )


async def test_capability_a_unit_refused_again_and_again_is_not_sent_again(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version, Misbehaviour.WATTS_ONLY)
    await rename_model(stage, station, f"WATTS-{version}")
    watts = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    assert watts.outcome.state == "installed"
    amperes = a_profile(stage, MAX, 32, level=1, unit=RateUnit.A)
    for _ in range(3):
        done = await set_profile(stage, station, 0, amperes)
        assert (done.outcome.state, done.answer.status) == ("rejected", "Rejected")
    # Another station of the model profits from it.
    other = await stage.simulated(version)
    await rename_model(stage, other, f"WATTS-{version}")
    with pytest.raises(ProfileNotObeyed, match="W at 0"):
        await set_profile(stage, other, 0, amperes)
    assert other.charging.profiles.held == {}
    forced = await set_profile(stage, other, 0, amperes, force=True)
    assert forced.outcome.state == "installed"
    assert forced.warnings


async def test_capability_no_smart_charging_at_all(stage: Stage, version: str) -> None:
    station = await stage.simulated(version, Misbehaviour.NO_SMART_CHARGING)
    await rename_model(stage, station, f"NONE-{version}")
    with pytest.raises(UnsupportedByStation):
        await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    assert [state for _, state in await states(stage, station)] == ["rejected"]
    with pytest.raises(ProfileNotObeyed):
        await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 60_000))


async def test_capability_accepted_is_not_obeyed(stage: Stage, version: str) -> None:
    station = await stage.simulated(version, Misbehaviour.IGNORE_PROFILES)
    await rename_model(stage, station, f"DEAF-{version}")
    await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    compared = await stage.hub.smart.comparison.compare(
        station.identity, 0, 600, RateUnit.W, actor=ACTOR
    )
    assert compared.seen is Seen.IGNORED
    again = await set_profile(stage, station, 0, a_profile(stage, MAX, 50_000), replace=True)
    assert again.outcome.state == "installed"
    assert any("ignored" in warning for warning in again.warnings)


async def observed(stage: Stage, model: str) -> list[tuple[int, int]]:
    """Return how often profiles of a model were seen obeyed and ignored."""
    rows = await stage.rows(
        "SELECT obeyed, ignored FROM profile_observations WHERE model = :model", model=model
    )
    return [(row.obeyed, row.ignored) for row in rows]


def computed(version: str, starts_at: datetime, limit: float) -> dict[str, Any]:
    """Return a station's answer: this limit for ten minutes from then on."""
    begin = {"scheduleStart": starts_at.isoformat().replace("+00:00", "Z")}
    schedule = {
        "duration": 600,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
    }
    if version == V16:
        return {"status": "Accepted", "connectorId": 1, **begin, "chargingSchedule": schedule}
    return {"status": "Accepted", "schedule": {"evseId": 1, **begin, **schedule}}


async def test_capability_nothing_is_learned_from_a_profile_in_doubt(
    stage: Stage, version: str
) -> None:
    """Its replacement was not answered: the station is right to stay on the old limit."""
    station = await stage.raw(version)
    model = f"DOUBT-{version}"
    await rename_model(stage, station, model)
    for limit, status in ((60_000, "Accepted"), (10_000, "Perhaps")):
        station.answers["SetChargingProfile"] = {"status": status}
        profile = a_profile(stage, DEFAULT, limit)
        await set_profile(stage, station, 1, profile, replace=True)
    station.answers["GetCompositeSchedule"] = computed(version, stage.clock.date(), 60_000)
    compared = await stage.hub.smart.comparison.compare(
        station.identity, 1, 600, RateUnit.W, actor=ACTOR
    )
    assert [period.limit for period in compared.ours.periods] == [60_000]
    assert compared.seen is Seen.OBEYED
    assert await observed(stage, model) == [(0, 0)]


async def test_capability_nothing_is_learned_from_an_answer_for_another_evse(
    stage: Stage, version: str
) -> None:
    station = await stage.raw(version)
    model = f"ELSEWHERE-{version}"
    await rename_model(stage, station, model)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    await set_profile(stage, station, 2, a_profile(stage, DEFAULT, 60_000))
    station.answers["GetCompositeSchedule"] = computed(version, stage.clock.date(), 60_000)
    compared = await stage.hub.smart.comparison.compare(
        station.identity, 2, 600, RateUnit.W, actor=ACTOR
    )
    assert (compared.theirs, compared.seen) == (None, None)
    assert await observed(stage, model) == [(0, 0)]


@pytest.mark.parametrize("ahead_s", [1, 90])
async def test_capability_a_fast_clock_is_not_disobedience(
    stage: Stage, version: str, ahead_s: int
) -> None:
    station = await stage.raw(version)
    model = f"FAST-{version}-{ahead_s}"
    await rename_model(stage, station, model)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 30_000))
    begin = stage.clock.date() + timedelta(seconds=ahead_s)
    station.answers["GetCompositeSchedule"] = computed(version, begin, 30_000)
    compared = await stage.hub.smart.comparison.compare(
        station.identity, 1, 600, RateUnit.W, actor=ACTOR
    )
    assert compared.seen is Seen.OBEYED
    assert await observed(stage, model) == [(1, 0)]


# --- What stations tell ---------------------------------------------------------------------------


async def test_statement_86_a_cars_needs_are_answered_and_served(
    stage: Stage, version_2x: str
) -> None:
    station = await stage.raw(version_2x)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    needs = {
        "requestedEnergyTransfer": "DC",
        "dcChargingParameters": {"evMaxCurrent": 250, "evMaxVoltage": 800},
    }
    tell = Message(
        "NotifyEVChargingNeeds", {"evseId": 1, "maxScheduleTuples": 2, "chargingNeeds": needs}
    )
    assert await station.say(tell) == {"status": "Rejected"}  # K15.FR.04: no transaction.
    await stage.work()
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 60_000, 40_000, 20_000))
    session = await station.begin(await stage.new_token())
    two = replace(
        a_profile(stage, TX, 30_000),
        schedules=tuple(
            replace(a_profile(stage, TX, 30_000).schedules[0], id=number) for number in (1, 2)
        ),
    )
    row = await stage.the_transaction(station.identity)
    with pytest.raises(InvalidChargingProfile) as refused:
        await set_profile(stage, station, 1, two, transaction_id=row.id)
    assert refused.value.facts["broken_rules"][0]["rule"] == "K01.FR.34"
    assert await station.say(tell) == {"status": "Processing"}
    station.asked.clear()
    await stage.work()
    ((action, payload),) = station.asked
    profile = payload["chargingProfile"]
    assert (action, payload["evseId"]) == ("SetChargingProfile", 1)
    assert profile["chargingProfilePurpose"] == "TxProfile"
    assert profile["transactionId"] == session.reference
    (schedule,) = profile["chargingSchedule"]
    assert schedule["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": 60_000.0},
        {"startPeriod": 600, "limit": 20_000.0},
    ]  # Two tuples: the lowest of what is left over.
    # Now the car may have several schedules, but no more periods than it takes.
    done = await set_profile(stage, station, 1, two, transaction_id=row.id, replace=True)
    assert done.outcome.state == "installed"
    three = a_profile(stage, TX, 1_000, 2_000, 3_000)
    with pytest.raises(InvalidChargingProfile) as refused:
        await set_profile(stage, station, 1, three, transaction_id=row.id, replace=True)
    assert refused.value.facts["broken_rules"][0]["rule"] == "K15.FR.07"


async def test_statement_86_a_cars_schedule_is_held_against_our_limits(
    stage: Stage, version_2x: str
) -> None:
    station = await stage.raw(version_2x)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    await station.begin(await stage.new_token())
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 40_000, 20_000))
    needs = {"requestedEnergyTransfer": "DC"}
    told = Message("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})
    await station.say(told)
    await stage.work()

    async def say(limit: float, start: int = 0) -> str:
        periods = [{"startPeriod": start, "limit": limit}]
        schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": periods}
        now = stage.clock.date().isoformat().replace("+00:00", "Z")
        answer = await station.say(
            Message(
                "NotifyEVChargingSchedule",
                {"timeBase": now, "evseId": 1, "chargingSchedule": schedule},
            )
        )
        return str(answer["status"])

    assert await say(20_000) == "Accepted"
    station.asked.clear()
    await stage.work()
    assert station.asked == []
    assert await say(40_000) == "Rejected"  # From the tenth minute on it is too much.
    await stage.work()
    assert [action for action, _ in station.asked] == ["SetChargingProfile"]  # K15.FR.13


async def test_a_car_at_an_evse_that_nobody_knows_costs_the_worker_nothing(
    stage: Stage, version_2x: str
) -> None:
    """Its transaction is booked where the station says; its needs cannot be served, ever."""
    station = await stage.raw(version_2x)
    await station.begin(await stage.new_token(), evse_no=9)
    needs = {"requestedEnergyTransfer": "DC"}
    told = Message("NotifyEVChargingNeeds", {"evseId": 9, "chargingNeeds": needs})
    assert await station.say(told) == {"status": "Processing"}
    await stage.work()
    assert "SetChargingProfile" not in [action for action, _ in station.asked]
    async with stage.database.read() as connection:
        failing = await connection.execute(
            text("SELECT * FROM outbox WHERE attempts > 0 AND handled_at IS NULL")
        )
        assert failing.all() == []


async def test_limits_of_others_count_until_they_are_cleared(stage: Stage, version_2x: str) -> None:
    station = await stage.raw(version_2x)
    schedule = {
        "id": 1,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11_000}],
    }
    source = {"chargingLimitSource": "EMS", "isGridCritical": False}
    limit = {"evseId": 1, "chargingLimit": source, "chargingSchedule": [schedule]}
    assert await station.say(Message("NotifyChargingLimit", limit)) == {}

    async def ours() -> list[float | None]:
        found = await stage.hub.smart.comparison.our_schedule(station.identity, 1, 60, RateUnit.W)
        return [period.limit for period in found.periods]

    assert await ours() == [11_000]
    cleared = {"chargingLimitSource": "EMS", "evseId": 1}
    assert await station.say(Message("ClearedChargingLimit", cleared)) == {}
    assert await ours() == [None]


async def test_profiles_of_ended_transactions_are_closed_daily(stage: Stage, version: str) -> None:
    station = await stage.simulated(version)
    row = await charging(stage, station)
    done = await set_profile(stage, station, 1, a_profile(stage, TX, 30_000), transaction_id=row.id)
    await station.stop(1)
    stage.pass_time(timedelta(days=2).total_seconds())
    await stage.work()
    assert await states(stage, station) == [(done.profile.id, "ended")]


@pytest.mark.parametrize("keeps", [False, True])
async def test_statement_87_a_resumed_transaction_gets_its_profile_again(
    stage: Stage, version_2x: str, keeps: bool
) -> None:
    station = await stage.raw(version_2x)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    session = await station.begin(await stage.new_token())
    row = await stage.the_transaction(station.identity)
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 60_000))
    done = await set_profile(stage, station, 1, a_profile(stage, TX, 30_000), transaction_id=row.id)
    await stage.work()
    if keeps:
        kept = VariableName(
            "SmartChargingCtrlr", "ChargingProfilePersistence", variable_instance="TxProfile"
        )
        await stage.know(station.station_id, kept, "true")
    station.asked.clear()
    resumed = station.speech.sampled(session, station.now, [station.speech.value(5_100)])
    await station.say(Message(resumed.action, resumed.payload | {"triggerReason": "TxResumed"}))
    await stage.work()
    if keeps:
        assert station.asked == []
        return
    ((action, payload),) = station.asked
    assert (action, payload["evseId"]) == ("SetChargingProfile", 1)
    assert payload["chargingProfile"]["id"] == done.profile.id
    assert payload["chargingProfile"]["transactionId"] == session.reference
    newest = (await states(stage, station))[-1]
    assert newest == (done.profile.id, "installed")


async def test_statement_87_a_pull_of_a_dynamic_schedule_is_answered(stage: Stage) -> None:
    """K28.FR.12: none of our profiles is Dynamic."""
    station = await stage.raw(V21)
    answer = await station.say(Message("PullDynamicScheduleUpdate", {"chargingProfileId": 1}))
    assert answer == {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidProfile"}}


async def test_statement_87_ids_stay_above_those_of_the_station(stage: Stage, version: str) -> None:
    """K01.FR.80."""
    station = await stage.simulated(version)
    station_id = await stage.station_id(station.identity)
    highest = VariableName("SmartChargingCtrlr", "MaxExternalConstraintsId")
    await stage.know(station_id, highest, "500000")
    done = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    assert done.profile.id > 500_000
    with pytest.raises(InvalidChargingProfile) as refused:
        await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000, level=1, id=500_000))
    assert refused.value.facts["broken_rules"][0]["rule"] == "K01.FR.80"
