"""What a car is sent for its needs, over and over, and how its schedules are answered."""

from __future__ import annotations

import threading
from itertools import product
from typing import Any

import pytest
from prometheus_client import REGISTRY

from chargehub.smart_charging import ev_schedules
from chargehub.smart_charging.ev_schedules import is_within
from chargehub.stations.commands import VariableName
from chargehub.stations.profiles import ProfilePurpose, RateUnit
from tests.scenarios.profile_setting import (
    DEFAULT,
    MAX,
    TX,
    a_profile,
    ask,
    clear,
    page,
    set_profile,
    states,
)
from tests.scenarios.speech import V21, Message
from tests.scenarios.stage import RawStation, Stage

CUT = "chargehub_charging_limits_cut_total"
NEEDS = Message(
    "NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "DC"}}
)


async def a_station(stage: Stage, version: str) -> RawStation:
    """Return a station that takes every profile, with all done that its boot calls for."""
    station = await stage.raw(version)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    stage.pass_time(11)
    await stage.work()
    return station


async def served(stage: Stage, station: RawStation) -> list[tuple[int, list[float]]]:
    """Return the stack level and limits of each profile that is sent now."""
    station.asked.clear()
    await stage.work()
    sent = [payload for action, payload in station.asked if action == "SetChargingProfile"]
    profiles = [payload["chargingProfile"] for payload in sent]
    return [
        (
            profile["stackLevel"],
            [p["limit"] for p in profile["chargingSchedule"][0]["chargingSchedulePeriod"]],
        )
        for profile in profiles
    ]


async def needs(stage: Stage, station: RawStation) -> list[tuple[int, list[float]]]:
    assert await station.say(NEEDS) == {"status": "Processing"}
    return await served(stage, station)


async def test_statement_86_renewed_needs_are_served_from_what_holds_now(
    stage: Stage, version_2x: str
) -> None:
    """K15.FR.07: our own last answer is no limit of the next."""
    station = await a_station(stage, version_2x)
    await station.begin(await stage.new_token())
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 20_000))
    assert await needs(stage, station) == [(0, [20_000])]
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 60_000), replace=True)
    await stage.work()
    assert await needs(stage, station) == [(0, [60_000])]


@pytest.mark.parametrize("purpose", [DEFAULT, MAX])
async def test_statement_86_a_changed_limit_renews_what_a_car_was_sent(
    stage: Stage, version_2x: str, purpose: ProfilePurpose
) -> None:
    """K16: the TxProfile replaces the default, so it would outlast what it was made from."""
    station = await a_station(stage, version_2x)
    station.answers["ClearChargingProfile"] = {"status": "Accepted"}
    await station.begin(await stage.new_token())
    first = await set_profile(stage, station, 0, a_profile(stage, purpose, 60_000))
    assert await served(stage, station) == []  # The car has told no needs yet.
    assert await needs(stage, station) == [(0, [60_000])]
    lower = a_profile(stage, purpose, 20_000)
    await set_profile(stage, station, 0, lower, replace=True)
    assert await served(stage, station) == [(0, [20_000])]
    await clear(stage, station, profile_id=first.profile.id)
    assert await served(stage, station) == [(0, [120_000])]


async def test_statement_86_an_operators_profile_of_the_transaction_stays_a_limit(
    stage: Stage, version_2x: str
) -> None:
    station = await a_station(stage, version_2x)
    await station.begin(await stage.new_token())
    row = await stage.the_transaction(station.identity)
    await set_profile(stage, station, 1, a_profile(stage, TX, 30_000), transaction_id=row.id)
    for _ in range(2):
        assert await needs(stage, station) == [(1, [30_000])]
    await set_profile(
        stage, station, 1, a_profile(stage, TX, 50_000), transaction_id=row.id, replace=True
    )
    assert await needs(stage, station) == [(1, [50_000])]


async def test_statement_86_what_was_set_again_for_a_car_is_no_limit_of_the_next(
    stage: Stage, version_2x: str
) -> None:
    """K15.FR.07, after B13.FR.31."""
    station = await a_station(stage, version_2x)
    session = await station.begin(await stage.new_token())
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 20_000))
    assert await needs(stage, station) == [(0, [20_000])]
    resumed = station.speech.sampled(session, station.now, [station.speech.value(5_100)])
    await station.say(Message(resumed.action, resumed.payload | {"triggerReason": "TxResumed"}))
    assert await served(stage, station) == [(0, [20_000])]
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 60_000), replace=True)
    assert await served(stage, station) == [(0, [60_000])]


async def test_statement_86_needs_are_not_served_where_no_level_is_left(
    stage: Stage, version_2x: str
) -> None:
    """16 9.4.1: below the operator's profile ours would be silent, in its place that one gone."""
    station = await a_station(stage, version_2x)
    await stage.know(
        station.station_id, VariableName("SmartChargingCtrlr", "ProfileStackLevel"), "2"
    )
    await station.begin(await stage.new_token())
    row = await stage.the_transaction(station.identity)
    highest = a_profile(stage, TX, 30_000, level=2)
    await set_profile(stage, station, 1, highest, transaction_id=row.id)
    assert await needs(stage, station) == []
    assert [state for _, state in await states(stage, station)] == ["installed"]


async def test_statement_86_a_limit_in_doubt_is_kept_in_what_a_car_is_sent(
    stage: Stage, version_2x: str
) -> None:
    """The TxProfile would allow more than the default that may have come."""
    station = await a_station(stage, version_2x)
    await station.begin(await stage.new_token())
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 60_000))
    station.answers["SetChargingProfile"] = {"status": "Perhaps"}
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 10_000), replace=True)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    assert await needs(stage, station) == [(0, [10_000])]


@pytest.mark.parametrize(("tuples", "most"), [(None, 2), (3, 2), (1, 1)])
async def test_statement_86_a_car_is_sent_no_more_periods_than_it_and_its_station_take(
    stage: Stage, version_2x: str, tuples: int | None, most: int
) -> None:
    """K15.FR.07: maxScheduleTuples and PeriodsPerSchedule; what is over shares the lowest limit."""
    station = await a_station(stage, version_2x)
    await station.begin(await stage.new_token())
    falling = a_profile(stage, DEFAULT, 50_000, 40_000, 30_000, 35_000)
    await set_profile(stage, station, 0, falling)
    await stage.know(
        station.station_id, VariableName("SmartChargingCtrlr", "PeriodsPerSchedule"), "2"
    )
    said = {} if tuples is None else {"maxScheduleTuples": tuples}
    told = Message(NEEDS.action, NEEDS.payload | said)
    assert await station.say(told) == {"status": "Processing"}
    assert await served(stage, station) == [(0, [50_000, 30_000][-most:])]


async def test_statement_86_needs_of_an_earlier_transaction_are_not_served(
    stage: Stage, version_2x: str
) -> None:
    """K15.FR.04: what a car has told ends with its transaction."""
    station = await a_station(stage, version_2x)
    first = await station.begin(await stage.new_token())
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 20_000))
    assert await station.say(NEEDS) == {"status": "Processing"}
    await station.end(first, 6_000)
    await station.begin(await stage.new_token(), 6_000)
    assert await served(stage, station) == []


# --- How the car means to charge ------------------------------------------------------------------


async def means_to_charge(stage: Stage, station: RawStation, limit: float) -> str:
    now = stage.clock.date().isoformat().replace("+00:00", "Z")
    schedule = {
        "id": 1,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
    }
    told = {"timeBase": now, "evseId": 1, "chargingSchedule": schedule}
    answer = await station.say(Message("NotifyEVChargingSchedule", told))
    return str(answer["status"])


async def test_statement_86_a_car_that_stays_too_high_is_not_sent_a_profile_each_time(
    stage: Stage, version_2x: str
) -> None:
    """K15.FR.12/13."""
    station = await a_station(stage, version_2x)
    await station.begin(await stage.new_token())
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 20_000))
    await needs(stage, station)
    for turn in range(6):
        assert await means_to_charge(stage, station, 25_000) == "Rejected"
        assert len(await served(stage, station)) == (1 if turn == 0 else 0)
    stage.pass_time(301)
    assert await means_to_charge(stage, station, 25_000) == "Rejected"
    assert len(await served(stage, station)) == 1


async def test_statement_86_a_car_may_round(stage: Stage, version_2x: str) -> None:
    station = await a_station(stage, version_2x)
    await station.begin(await stage.new_token())
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 20_000))
    await needs(stage, station)
    assert await means_to_charge(stage, station, 20_002) == "Accepted"
    assert await served(stage, station) == []


async def test_statement_86_a_cars_schedule_keeps_to_limits_of_others_too(
    stage: Stage, version_2x: str
) -> None:
    """K15.FR.11/12 against what our composite schedule says there."""
    station = await a_station(stage, version_2x)
    await station.begin(await stage.new_token())
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 40_000))
    await needs(stage, station)
    assert await means_to_charge(stage, station, 30_000) == "Accepted"
    assert await limit(station, 1, "EMS", 15_000) == {}
    assert await means_to_charge(stage, station, 30_000) == "Rejected"


async def test_statement_86_no_cars_schedule_holds_up_the_loop(
    stage: Stage, version_2x: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K15.FR.11/12, whatever others have told of their limits: away from the loop, and not long."""
    station = await a_station(stage, version_2x)
    await station.begin(await stage.new_token())
    many = [{"startPeriod": 10 * number, "limit": 15_000 + number} for number in range(1_000)]
    cut = REGISTRY.get_sample_value(CUT) or 0
    for source in ("EMS", "SO", "Other", "EMS"):
        assert await limit(station, 1, source, *[many] * 3) == {}
    assert REGISTRY.get_sample_value(CUT) == cut + 4
    rows = await stage.rows(
        "SELECT schedules FROM external_limits WHERE station_id = :station",
        station=station.station_id,
    )
    assert [[len(one["periods"]) for one in row.schedules] for row in rows] == [[100]] * 3
    threads = []

    def compare(*given: Any) -> bool | None:
        threads.append(threading.current_thread())
        return is_within(*given)

    monkeypatch.setattr(ev_schedules, "is_within", compare)
    assert await means_to_charge(stage, station, 14_000) == "Accepted"
    assert await means_to_charge(stage, station, 16_000) == "Rejected"
    assert len(threads) == 2
    assert threading.current_thread() not in threads


async def test_statement_86_a_schedule_that_is_too_much_to_compare_is_not_refused(
    stage: Stage, version_2x: str
) -> None:
    """K15.FR.09: the station has compared it too. Whether it is within is not known."""
    station = await a_station(stage, version_2x)
    await station.begin(await stage.new_token())
    await needs(stage, station)
    assert await within_limits(stage, station, 60_000) == ("Accepted", True)
    many = [{"startPeriod": 10 * number, "limit": 15_000} for number in range(100)]
    for evse_no, source in product(range(3), ("CSO", "EMS", "SO", "Other")):
        assert await limit(station, evse_no, source, many) == {}
    assert await within_limits(stage, station, 60_000) == ("Accepted", None)
    assert await served(stage, station) == []


async def within_limits(
    stage: Stage, station: RawStation, power_w: float
) -> tuple[str, bool | None]:
    """Return the answer to a car's schedule, and what is kept of it."""
    answer = await means_to_charge(stage, station, power_w)
    (row,) = await stage.rows(
        "SELECT within_limits FROM ev_needs WHERE station_id = :station AND schedule IS NOT NULL",
        station=station.station_id,
    )
    return answer, row.within_limits


# --- Limits of others -----------------------------------------------------------------------------


async def limit(
    station: RawStation, evse_no: int, source: str, *limits: int | list[dict[str, int]]
) -> dict[str, Any]:
    """Let the station tell of a limit: a schedule for each power, or list of periods."""
    schedules = [
        {
            "id": number,
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": (
                [{"startPeriod": 0, "limit": its}] if isinstance(its, int) else its
            ),
        }
        for number, its in enumerate(limits, start=1)
    ]
    told = {"chargingLimitSource": source, "isGridCritical": False}
    return await station.say(
        Message(
            "NotifyChargingLimit",
            {"evseId": evse_no, "chargingLimit": told, "chargingSchedule": schedules},
        )
    )


async def limits_kept(stage: Stage, station: RawStation) -> list[tuple[int, str]]:
    rows = await stage.rows(
        "SELECT evse_no, source FROM external_limits WHERE station_id = :station"
        " ORDER BY evse_no, source",
        station=station.station_id,
    )
    return [(row.evse_no, row.source) for row in rows]


async def test_limits_are_kept_of_evses_that_are_there_only(stage: Stage, version_2x: str) -> None:
    station = await a_station(stage, version_2x)
    for evse_no in (0, 1, 2, 3, 30_000):
        assert await limit(station, evse_no, "EMS", 20_000) == {}
    assert await limits_kept(stage, station) == [(0, "EMS"), (1, "EMS"), (2, "EMS")]
    cleared = {"chargingLimitSource": "EMS", "evseId": 1}
    assert await station.say(Message("ClearedChargingLimit", cleared)) == {}
    assert await limits_kept(stage, station) == [(0, "EMS"), (2, "EMS")]


async def test_limits_are_kept_of_so_many_sources_and_no_more(stage: Stage) -> None:
    """2.1 leaves the sources' names to the station."""
    station = await a_station(stage, V21)
    for number in range(12):
        assert await limit(station, 1, f"source-{number:02d}", 20_000) == {}
    kept = await limits_kept(stage, station)
    assert kept == [(1, f"source-{number:02d}") for number in range(8)]
    # Those that are known may say something new, and leave room.
    assert await limit(station, 1, "source-07", 10_000) == {}
    cleared = {"chargingLimitSource": "source-00", "evseId": 1}
    assert await station.say(Message("ClearedChargingLimit", cleared)) == {}
    assert await limit(station, 1, "source-11", 20_000) == {}
    assert (1, "source-11") in await limits_kept(stage, station)


async def reported(stage: Stage, station: RawStation, *limits: tuple[int, str]) -> None:
    """Let the station tell, asked for its profiles, of limits of 10 kW: EVSE and source of each."""
    number = await ask(stage, station)
    for count, (evse_no, source) in enumerate(limits, start=1):
        external = a_profile(stage, ProfilePurpose.EXTERNAL, 10_000, id=-count)
        told = page(number, evse_no, external, more=count < len(limits))
        source_told = {"chargingLimitSource": source}
        assert await station.say(Message(told.action, told.payload | source_told)) == {}
    await stage.work()


async def our_limits(stage: Stage, station: RawStation) -> list[float | None]:
    """Return what EVSE 1 may draw, and EVSE 2."""
    comparison = stage.hub.smart.comparison
    found = [
        await comparison.our_schedule(station.identity, evse_no, 60, RateUnit.W)
        for evse_no in (1, 2)
    ]
    return [composite.periods[0].limit for composite in found]


async def test_a_limit_that_a_report_told_of_ends_when_it_is_cleared(
    stage: Stage, version_2x: str
) -> None:
    """K13.FR.02: however we know of it (K11.FR.06)."""
    station = await a_station(stage, version_2x)
    station.answers["GetChargingProfiles"] = {"status": "Accepted"}
    await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 60_000))
    await reported(stage, station, (1, "EMS"), (1, "SO"), (2, "EMS"))
    assert await our_limits(stage, station) == [10_000, 10_000]
    for source, evse_no, left in (("EMS", 1, 10_000), ("SO", 1, 60_000)):
        cleared = {"chargingLimitSource": source, "evseId": evse_no}
        assert await station.say(Message("ClearedChargingLimit", cleared)) == {}
        assert await our_limits(stage, station) == [left, 10_000]
    assert await ended(stage, station) == [(-2, "cleared"), (-1, "cleared")]


async def ended(stage: Stage, station: RawStation) -> list[tuple[int, str]]:
    rows = await stage.rows(
        "SELECT profile_id, state FROM charging_profiles WHERE station_id = :station"
        " AND closed_at IS NOT NULL ORDER BY profile_id",
        station=station.station_id,
    )
    return [(row.profile_id, row.state) for row in rows]


async def test_a_newer_limit_stands_in_place_of_the_one_that_a_report_told_of(
    stage: Stage, version_2x: str
) -> None:
    """K11.FR.02: it tells of each change of its source's limit."""
    station = await a_station(stage, version_2x)
    station.answers["GetChargingProfiles"] = {"status": "Accepted"}
    await reported(stage, station, (1, "EMS"), (2, "EMS"))
    assert await limit(station, 1, "EMS", 40_000) == {}
    assert await our_limits(stage, station) == [40_000, 10_000]
    assert await limit(station, 2, "SO", 40_000) == {}
    assert await our_limits(stage, station) == [40_000, 10_000]
    cleared = {"chargingLimitSource": "EMS", "evseId": 1}
    assert await station.say(Message("ClearedChargingLimit", cleared)) == {}
    assert await ended(stage, station) == [(-1, "replaced")]  # What is over stays as it was.


async def test_a_limit_of_others_ends_none_of_our_profiles(stage: Stage, version_2x: str) -> None:
    """Though the station says that it was we who have set it, against K11.FR.05."""
    station = await a_station(stage, version_2x)
    done = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 60_000))
    assert await limit(station, 1, "CSO", 40_000) == {}
    cleared = {"chargingLimitSource": "CSO", "evseId": 1}
    assert await station.say(Message("ClearedChargingLimit", cleared)) == {}
    assert await states(stage, station) == [(done.profile.id, "installed")]


@pytest.mark.parametrize("evse_no", [3, 30_000])
async def test_needs_at_an_evse_that_is_not_there_are_not_kept(
    stage: Stage, version_2x: str, evse_no: int
) -> None:
    station = await a_station(stage, version_2x)
    told = Message(NEEDS.action, NEEDS.payload | {"evseId": evse_no})
    assert await station.say(told) == {"status": "Rejected"}
    rows = await stage.rows(
        "SELECT 1 FROM ev_needs WHERE station_id = :station", station=station.station_id
    )
    assert list(rows) == []
