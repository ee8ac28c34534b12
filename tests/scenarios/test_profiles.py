"""Smart charging with whole stations: statements 49, 74 and 80 to 86, on every version."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from chargehub.smart_charging.capabilities import Seen
from chargehub.smart_charging.rules import ChargingProfileClash, InvalidChargingProfile
from chargehub.smart_charging.service import ProfileWanted, TransactionNotLive
from chargehub.stations.commands import (
    InvalidCommand,
    StationTimeout,
    UnsupportedByStation,
    VariableName,
)
from chargehub.stations.profiles import (
    ProfileKind,
    ProfilePurpose,
    RateUnit,
)
from chargehub.transactions.orphans import TransactionNotActive
from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.profile_setting import (
    ACTOR,
    DEFAULT,
    MAX,
    TX,
    a_profile,
    charging,
    clear,
    metered_w,
    set_profile,
    states,
)
from tests.scenarios.speech import V16
from tests.scenarios.stage import Stage

# --- What is set limits, what is cleared limits no more -------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "evse_no"), [(MAX, 0), (DEFAULT, 0), (DEFAULT, 1), (TX, 1)], ids=str
)
async def test_statement_84_a_limit_lowers_the_metered_power_and_its_end_restores_it(
    stage: Stage, version: str, purpose: ProfilePurpose, evse_no: int
) -> None:
    station = await stage.simulated(version)
    row = await charging(stage, station)
    assert await metered_w(stage, station, row.id) > 100_000
    transaction_id = row.id if purpose is TX else None
    done = await set_profile(
        stage, station, evse_no, a_profile(stage, purpose, 30_000), transaction_id=transaction_id
    )
    assert (done.outcome.state, done.answer.status) == ("installed", "Accepted")
    assert await metered_w(stage, station, row.id) == 30_000
    assert await clear(stage, station, profile_id=done.profile.id) == 1
    assert await metered_w(stage, station, row.id) > 100_000
    assert await states(stage, station) == [(done.profile.id, "cleared")]


async def test_statement_84_our_composite_schedule_is_the_stations_own(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version)
    row = await charging(stage, station)
    await set_profile(stage, station, 0, a_profile(stage, MAX, 90_000, 20_000))
    await set_profile(stage, station, 0, a_profile(stage, DEFAULT, 60_000))
    own = a_profile(stage, TX, 45_000, level=1, duration_s=300)
    await set_profile(stage, station, 1, own, transaction_id=row.id)
    amperes = a_profile(stage, DEFAULT, 32, level=3, unit=RateUnit.A, duration_s=450)
    await set_profile(stage, station, 0, amperes)
    compared = await stage.hub.smart.comparison.compare(
        station.identity, 1, 3600, RateUnit.W, actor=ACTOR
    )
    assert compared.seen is Seen.OBEYED
    assert compared.theirs is not None
    ours = [(period.start_s, period.limit) for period in compared.ours.periods]
    assert ours == [(0, 45_000.0), (300, 21_120.0), (450, 60_000.0), (600, 20_000.0)]
    assert [(period.start_s, period.limit) for period in compared.theirs.periods] == ours
    whole = await stage.hub.smart.comparison.compare(
        station.identity, 0, 3600, RateUnit.A, actor=ACTOR
    )
    assert whole.seen is Seen.OBEYED


async def test_a_profile_of_a_transaction_ends_with_it(stage: Stage, version: str) -> None:
    station = await stage.simulated(version)
    row = await charging(stage, station)
    done = await set_profile(stage, station, 1, a_profile(stage, TX, 30_000), transaction_id=row.id)
    await station.stop(1)
    assert station.charging.profiles.held == {}
    ours = await stage.hub.smart.comparison.our_schedule(station.identity, 1, 60, RateUnit.W)
    assert [period.limit for period in ours.periods] == [None]
    with pytest.raises(TransactionNotActive):
        await set_profile(stage, station, 1, a_profile(stage, TX, 1_000), transaction_id=row.id)
    await set_profile(stage, station, 0, a_profile(stage, MAX, 30_000))
    assert (await states(stage, station))[0] == (done.profile.id, "ended")


async def test_a_profile_at_another_evse_than_its_transaction_breaks_a_rule(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version)
    row = await charging(stage, station)
    profile = a_profile(stage, TX, 30_000)
    for evse_no, rule in ((2, "K01.FR.33"), (0, "K01.FR.16")):
        with pytest.raises(InvalidChargingProfile) as refused:
            await set_profile(stage, station, evse_no, profile, transaction_id=row.id)
        assert rule in [broken["rule"] for broken in refused.value.facts["broken_rules"]]
    assert station.charging.profiles.held == {}


# --- Before it is sent ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "evse_no", "change"),
    [
        ("16 3.13.1", 1, {"purpose": MAX}),
        ("K01.FR.22", 0, {"purpose": ProfilePurpose.EXTERNAL}),
        ("K01.FR.03", 1, {"purpose": TX}),
        ("16 9.4.1", 1, {"stack_level": 9}),
        ("K01.FR.38", 0, {"purpose": MAX, "kind": ProfileKind.RELATIVE}),
    ],
)
async def test_statements_80_82_83_what_breaks_a_rule_is_never_sent(
    stage: Stage, version: str, rule: str, evse_no: int, change: dict[str, Any]
) -> None:
    station = await stage.simulated(version)
    await stage.work()
    await station.settled()  # Its limits are reported.
    profile = replace(a_profile(stage, DEFAULT, 30_000), **change)
    with pytest.raises(InvalidChargingProfile) as refused:
        await set_profile(stage, station, evse_no, profile)
    assert rule in [broken["rule"] for broken in refused.value.facts["broken_rules"]]
    assert await states(stage, station) == []
    assert station.charging.profiles.held == {}


async def test_statement_82_the_limits_are_those_that_the_station_reported(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version)
    await stage.work()
    await station.settled()
    profile = a_profile(stage, DEFAULT, *range(1_000, 26_000, 1_000))
    with pytest.raises(InvalidChargingProfile) as refused:
        await set_profile(stage, station, 1, profile)
    assert [broken["rule"] for broken in refused.value.facts["broken_rules"]] == ["16 9.4.3"]


async def test_statement_82_as_many_profiles_are_set_as_the_station_takes(
    stage: Stage, version: str
) -> None:
    """16 9.4.5; in 2.x the variable counts them and its maximum is the limit (2.9.10)."""
    station = await stage.simulated(version)
    await stage.work()
    await station.settled()
    most = station.configuration.integer("MaxChargingProfilesInstalled")
    for number in range(most):
        purpose, level = (DEFAULT, number) if number <= 8 else (MAX, number - 9)
        await set_profile(stage, station, 0, a_profile(stage, purpose, 60_000, level=level))
    if version != V16:
        entries = VariableName(
            "SmartChargingCtrlr", "Entries", variable_instance="ChargingProfiles"
        )
        told, _ = await stage.hub.devices.variables.read(station.identity, [entries], ACTOR)
        assert [variable.value for variable in told] == [str(most)]
    with pytest.raises(InvalidChargingProfile) as refused:
        await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000, level=8))
    assert [broken["rule"] for broken in refused.value.facts["broken_rules"]] == ["16 9.4.5"]
    assert len(station.charging.profiles.held) == most


@pytest.mark.parametrize("evse_no", [0, 1])
async def test_statement_81_a_clash_is_refused_and_replaced_only_on_demand(
    stage: Stage, version: str, evse_no: int
) -> None:
    station = await stage.simulated(version)
    first = await set_profile(stage, station, evse_no, a_profile(stage, DEFAULT, 30_000))
    second = a_profile(stage, DEFAULT, 20_000)
    with pytest.raises(ChargingProfileClash) as refused:
        await set_profile(stage, station, evse_no, second)
    assert refused.value.facts["clashes_with"][0]["profile_id"] == first.profile.id
    assert [profile.number for profile in station.charging.profiles.held.values()] == [
        first.profile.id
    ]
    done = await set_profile(stage, station, evse_no, second, replace=True)
    assert done.outcome.state == "installed"
    (held,) = station.charging.profiles.held.values()
    assert (held.evse_no, held.periods[0][1]) == (evse_no, 20_000)
    number = first.profile.id
    assert await states(stage, station) == [(number, "replaced"), (number, "installed")]


@pytest.mark.parametrize("places", [(0, 1), (1, 0)])
async def test_statement_81_a_profile_is_not_replaced_from_another_place(
    stage: Stage, version: str, places: tuple[int, int]
) -> None:
    """K01.FR.52/53: in the place of the station's default, one EVSE's leaves the rest without."""
    station = await stage.simulated(version)
    first = await set_profile(stage, station, places[0], a_profile(stage, DEFAULT, 30_000))
    for number in (0, first.profile.id):
        second = a_profile(stage, DEFAULT, 20_000, id=number)
        with pytest.raises(ChargingProfileClash):
            await set_profile(stage, station, places[1], second, replace=True)
    (held,) = station.charging.profiles.held.values()
    assert (held.evse_no, held.periods[0][1]) == (places[0], 30_000)
    assert await states(stage, station) == [(first.profile.id, "installed")]


@pytest.mark.parametrize("taking", [False, True])
async def test_statement_81_the_id_of_another_limit_is_refused(
    stage: Stage, version: str, *, taking: bool
) -> None:
    """K01.FR.05: the station would replace its maximum by what has the maximum's id."""
    station = await stage.simulated(version)
    most = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    default = a_profile(stage, DEFAULT, 30_000, id=most.profile.id)
    with pytest.raises(ChargingProfileClash) as refused:
        await set_profile(stage, station, 0, default, replace=taking)
    assert refused.value.facts["clashes_with"][0]["profile_id"] == most.profile.id
    assert await states(stage, station) == [(most.profile.id, "installed")]
    # Its own id renews it.
    renewed = await set_profile(
        stage, station, 0, a_profile(stage, MAX, 50_000, id=most.profile.id)
    )
    assert renewed.outcome.state == "installed"
    (held,) = station.charging.profiles.held.values()
    assert held.periods[0][1] == 50_000


async def test_statement_81_an_id_that_a_station_told_of_is_not_chosen(
    stage: Stage, version_2x: str
) -> None:
    """Another backend may have counted its ids from 1 too."""
    station = await stage.simulated(version_2x)
    first = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 50_000))
    profiles = station.charging.profiles.held
    foreign = first.profile.id + 1
    own = profiles[first.profile.id]
    profiles[foreign] = replace(
        own, number=foreign, level=7, told={**own.told, "id": foreign, "stackLevel": 7}
    )
    await stage.hub.smart.reconciling.ask(station.identity, None, actor=ACTOR)
    await station.settled()
    await stage.work()
    second = await set_profile(stage, station, 2, a_profile(stage, DEFAULT, 40_000))
    assert second.profile.id == foreign + 1
    assert sorted(profiles) == [first.profile.id, foreign, foreign + 1]


async def test_statement_81_two_requests_at_once_cannot_both_have_the_place(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version)
    both = await asyncio.gather(
        *(set_profile(stage, station, 1, a_profile(stage, DEFAULT, limit)) for limit in (1, 2)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in both) == ["ChargingProfileClash", "ProfileSet"]
    assert len(station.charging.profiles.held) == 1


async def test_statement_49_a_queued_start_gets_no_live_profile(stage: Stage, version: str) -> None:
    """What was begun and told in an outage may be over; the first live word makes it live."""
    token = await stage.new_token()
    station = await stage.simulated(version)
    await station.go_offline()
    await station.plug_in(1, Car(soc=0.1))
    await station.present_token(1, token)
    await station.advance(5)
    stage.pass_time(3_000)
    station.charging.cabinet.at = stage.clock.now()
    station.gun(1).next_sample_at = stage.clock.now() + 60
    await station.come_back()
    await station.settled()
    row = await stage.the_transaction(station.identity)
    profile = a_profile(stage, TX, 30_000)
    with pytest.raises(TransactionNotLive):
        await set_profile(stage, station, 1, profile, transaction_id=row.id)
    assert station.charging.profiles.held == {}
    await station.advance(90)
    done = await set_profile(stage, station, 1, profile, transaction_id=row.id)
    assert done.outcome.state == "installed"


async def test_statement_74_a_remote_start_carries_its_profile(stage: Stage, version: str) -> None:
    token = await stage.new_token()
    station = await stage.simulated(version)
    await station.plug_in(2, Car(soc=0.1))
    asked, done = await stage.hub.smart.smart.start_under_profile(
        station.identity, ProfileWanted(2, a_profile(stage, TX, 25_000)), token, actor=ACTOR
    )
    assert asked.answer.status == "Accepted"
    assert done.profile.transaction_ref is None
    await station.settled()
    row = await stage.the_transaction(station.identity)
    assert await metered_w(stage, station, row.id) == 25_000
    # It is known as the transaction's: the same level there clashes, and replaces on demand.
    again = a_profile(stage, TX, 15_000)
    with pytest.raises(ChargingProfileClash):
        await set_profile(stage, station, 2, again, transaction_id=row.id)
    await set_profile(stage, station, 2, again, transaction_id=row.id, replace=True)
    assert await metered_w(stage, station, row.id) == 15_000


async def test_statement_74_a_remote_start_takes_no_other_purpose(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version)
    with pytest.raises(InvalidChargingProfile) as refused:
        await stage.hub.smart.smart.start_under_profile(
            station.identity,
            ProfileWanted(1, a_profile(stage, DEFAULT, 25_000)),
            await stage.new_token(),
            actor=ACTOR,
        )
    assert refused.value.facts["broken_rules"][0]["rule"] == "K05.FR.02"


# --- What becomes of it ---------------------------------------------------------------------------


async def test_statement_85_clears_match_by_all_criteria(stage: Stage, version: str) -> None:
    station = await stage.simulated(version)
    numbers = [
        (
            await set_profile(
                stage, station, evse_no, a_profile(stage, purpose, 50_000, level=level)
            )
        ).profile.id
        for evse_no, purpose, level in (
            (0, MAX, 0),
            (1, DEFAULT, 0),
            (2, DEFAULT, 0),
            (2, DEFAULT, 1),
        )
    ]
    assert await clear(stage, station, purpose=DEFAULT, evse_no=2, stack_level=0) == 1
    assert sorted(station.charging.profiles.held) == [numbers[0], numbers[1], numbers[3]]
    # An id overrides: the criteria beside it would match nothing.
    assert await clear(stage, station, profile_id=numbers[0], purpose=DEFAULT, evse_no=2) == 1
    assert sorted(station.charging.profiles.held) == [numbers[1], numbers[3]]
    if version == V16:
        assert await clear(stage, station) == 2
        assert station.charging.profiles.held == {}
    else:
        with pytest.raises(InvalidCommand):  # K10.FR.02
            await clear(stage, station)
        assert await clear(stage, station, purpose=DEFAULT) == 2
    assert {state for _, state in await states(stage, station)} == {"cleared"}


async def test_statement_85_what_the_station_does_not_know_is_no_longer_believed(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version)
    done = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 50_000))
    station.charging.profiles.held.clear()
    assert await clear(stage, station, profile_id=done.profile.id) == 1
    assert await states(stage, station) == [(done.profile.id, "cleared")]


async def test_statement_85_a_report_of_several_pages_outranks_our_belief(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version)
    reconciling = stage.hub.smart.reconciling
    if version == V16:
        with pytest.raises(UnsupportedByStation):
            await reconciling.ask(station.identity, None, actor=ACTOR)
        return
    sets = [
        await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 50_000, level=level))
        for level in range(4)
    ]
    lost, foreign = sets[0].profile.id, 999_001
    own = station.charging.profiles.held.pop(lost)
    station.charging.profiles.held[foreign] = replace(
        own, number=foreign, level=7, told={**own.told, "id": foreign, "stackLevel": 7}
    )
    stage.pass_time(1)
    _, answer, _ = await reconciling.ask(station.identity, None, actor=ACTOR)
    assert answer.status == "Accepted"
    await station.settled()
    await stage.work()
    known = await states(stage, station)
    kept = [(done.profile.id, "installed") for done in sets[1:]]
    # What it has lost is set again.
    assert known == [(lost, "lost"), *kept, (foreign, "installed"), (lost, "installed")]
    station.charging.profiles.held.clear()
    stage.pass_time(1)
    _, answer, _ = await reconciling.ask(station.identity, None, actor=ACTOR)
    assert answer.status == "NoProfiles"
    assert {state for _, state in await states(stage, station)} == {"lost"}


async def test_silence_leaves_a_profile_in_force_as_unknown(stage: Stage, version: str) -> None:
    station = await stage.simulated(version, Misbehaviour.SILENT_TO_CALLS)
    with stage.patience(0.5), pytest.raises(StationTimeout):
        await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 30_000))
    ((_, state),) = await states(stage, station)
    assert state == "unknown"
    ours = await stage.hub.smart.comparison.our_schedule(station.identity, 1, 60, RateUnit.W)
    assert [period.limit for period in ours.periods] == [None]  # It may not be there.


async def test_what_was_under_way_when_the_server_died_is_unknown(
    stage: Stage, version: str
) -> None:
    station = await stage.simulated(version)
    done = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 30_000))
    async with stage.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE charging_profiles SET state = 'pending' WHERE id = %s", (done.row_id,)
        )
    await stage.restart()
    assert await states(stage, station) == [(done.profile.id, "unknown")]


async def test_statement_49_a_slow_clock_is_no_queue(stage: Stage, version: str) -> None:
    station = await stage.simulated(version, Misbehaviour.CLOCK_SKEW)
    row = await charging(stage, station)
    await station.advance(330)
    done = await set_profile(stage, station, 1, a_profile(stage, TX, 30_000), transaction_id=row.id)
    assert done.outcome.state == "installed"


async def test_statement_81_what_silence_left_in_doubt_can_be_replaced(
    stage: Stage, version: str
) -> None:
    """The installed profile and the one that may have replaced it have one id."""
    station = await stage.raw(version)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    first = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 30_000))
    station.answers["SetChargingProfile"] = {"status": "Perhaps"}
    second = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 20_000), replace=True)
    assert second.outcome.state == "unknown"
    ours = await stage.hub.smart.comparison.our_schedule(station.identity, 1, 60, RateUnit.W)
    assert [period.limit for period in ours.periods] == [30_000]  # The station may be on either.
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    third = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 10_000), replace=True)
    number = first.profile.id
    assert third.profile.id == number
    assert await states(stage, station) == [
        (number, "replaced"),
        (number, "replaced"),
        (number, "installed"),
    ]
