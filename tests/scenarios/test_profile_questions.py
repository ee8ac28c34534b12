"""What a station's report of its profiles says of those that we believe in: statement 85."""

from __future__ import annotations

import pytest

from chargehub.smart_charging.ledger import ASK_PROFILES
from chargehub.stations.profiles import ProfilePurpose
from simulators.station import SimulatedStation
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
from tests.scenarios.speech import V16, Message
from tests.scenarios.stage import Stage


async def test_statement_85_what_was_set_after_the_question_is_not_lost(
    stage: Stage, version_2x: str
) -> None:
    """The report may have been put together before it came."""
    station = await a_station(stage, version_2x)
    before = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    forgotten = await set_profile(stage, station, 2, a_profile(stage, DEFAULT, 60_000))
    stage.pass_time(1)
    number = await ask(stage, station)
    stage.pass_time(1)
    after = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 60_000))
    await station.say(page(number, 0, before.profile))
    await stage.work()
    known = await states(stage, station)
    assert (before.profile.id, "installed") in known
    assert (after.profile.id, "installed") in known
    assert [number for number, state in known if state == "lost"] == [forgotten.profile.id]


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
    known = await states(stage, station)
    assert (kept.profile.id, "installed") in known
    assert (other.profile.id, "installed") in known
    assert [number for number, state in known if state == "lost"] == [asked.profile.id]


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


# --- After a boot, and where no answer came -------------------------------------------------------


async def reboot(station: SimulatedStation) -> None:
    await station.power_cut()
    await station.come_back()
    await station.settled()


@pytest.mark.parametrize("purpose", [MAX, DEFAULT])
async def test_statement_85_what_a_boot_has_cost_a_station_is_set_again(
    stage: Stage, version: str, purpose: ProfilePurpose
) -> None:
    station = await stage.simulated(version)
    await settled(stage)
    done = await set_profile(stage, station, 0, a_profile(stage, purpose, 60_000))
    station.charging.profiles.held.clear()
    await reboot(station)
    await settled(stage)
    await station.settled()
    await settled(stage, 1)
    (held,) = station.charging.profiles.held.values()
    assert (held.number, held.evse_no, held.periods[0][1]) == (done.profile.id, 0, 60_000)
    before = "replaced" if version == V16 else "lost"
    assert await states(stage, station) == [
        (done.profile.id, before),
        (done.profile.id, "installed"),
    ]
    rows = await stage.rows(
        "SELECT set_by FROM charging_profiles p JOIN charging_stations s ON s.id = p.station_id"
        " WHERE s.identity = :identity",
        identity=station.identity,
    )
    assert [row.set_by for row in rows] == [ACTOR, ACTOR]


async def test_statement_85_a_station_that_kept_its_profiles_is_left_alone(
    stage: Stage, version_2x: str
) -> None:
    station = await stage.simulated(version_2x)
    await settled(stage)
    done = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    await reboot(station)
    await settled(stage)
    await station.settled()
    await settled(stage, 1)
    assert await states(stage, station) == [(done.profile.id, "installed")]
    (reported,) = await stage.rows(
        "SELECT reported_at FROM charging_profiles WHERE id = :row", row=done.row_id
    )
    assert reported.reported_at is not None


async def test_statement_85_a_station_on_which_nothing_was_set_is_not_asked(
    stage: Stage, version: str
) -> None:
    station = await stage.raw(version)
    query = "SELECT id FROM due_actions WHERE kind = :kind AND subject = :subject"
    assert not await stage.rows(query, kind=ASK_PROFILES, subject=str(station.station_id))
    await settled(stage)
    assert told(station, "GetChargingProfiles") == []


@pytest.mark.parametrize("there", [True, False])
async def test_statement_85_an_answer_that_did_not_come_is_asked_for(
    stage: Stage, version_2x: str, *, there: bool
) -> None:
    """What is there after all is installed; what is not, whoever set it was told so."""
    station = await a_station(stage, version_2x)
    station.answers["SetChargingProfile"] = {"status": "Perhaps"}
    done = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    assert done.outcome.state == "unknown"
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    if not there:
        station.answers["GetChargingProfiles"] = {"status": "NoProfiles"}
    station.asked.clear()
    await settled(stage)
    ((action, payload),) = station.asked
    assert action == "GetChargingProfiles"
    if there:
        await station.say(page(payload["requestId"], 0, done.profile))
        await settled(stage, 1)
    state = "installed" if there else "lost"
    assert await states(stage, station) == [(done.profile.id, state)]


async def test_statement_85_what_cannot_be_asked_about_stays_in_doubt(stage: Stage) -> None:
    """1.6 has no such question; after a boot too only what was accepted is told again."""
    station = await stage.raw(V16)
    await settled(stage)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    kept = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    station.answers["SetChargingProfile"] = {"status": "Perhaps"}
    done = await set_profile(stage, station, 1, a_profile(stage, DEFAULT, 60_000))
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    station.asked.clear()
    await settled(stage)
    assert station.asked == []
    await station.boot()
    await settled(stage)
    sent = told(station, "SetChargingProfile")
    assert [payload["csChargingProfiles"]["chargingProfileId"] for payload in sent] == [
        kept.profile.id
    ]
    assert dict(await states(stage, station))[done.profile.id] == "unknown"


async def test_statement_85_a_station_that_breaks_down_over_the_question_is_not_asked_again(
    stage: Stage, version_2x: str
) -> None:
    station = await a_station(stage, version_2x)
    await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    for _ in range(3):  # It says that a report follows, and none does.
        await station.reconnect()
        await station.boot()
        await settled(stage)
    assert len(told(station, "GetChargingProfiles")) == 1
    # It is told instead, as one that cannot be asked.
    assert len(told(station, "SetChargingProfile")) == 3


async def test_statement_85_a_station_that_is_away_is_asked_when_it_is_back(
    stage: Stage, version_2x: str
) -> None:
    station = await a_station(stage, version_2x)
    station.answers["GetChargingProfiles"] = {"status": "NoProfiles"}
    done = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    station.answers["SetChargingProfile"] = {"status": "Perhaps"}
    await set_profile(stage, station, 0, a_profile(stage, MAX, 50_000), replace=True)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    await station.wire.close(abruptly=True)
    await known_to_be(stage, station, here=False)
    station.asked.clear()
    await settled(stage, 11, 601)
    commands = await stage.rows(
        "SELECT 1 FROM station_commands WHERE station_id = :station AND outcome = 'offline'",
        station=station.station_id,
    )
    assert list(commands) == []  # It is not even tried.
    await station.wire.open()
    await known_to_be(stage, station, here=True)
    await settled(stage, 601)
    assert len(told(station, "GetChargingProfiles")) == 1
    # Both are gone: what the station had taken is set again, not what it never answered.
    number = done.profile.id
    assert await states(stage, station) == [
        (number, "lost"),
        (number, "lost"),
        (number, "installed"),
    ]
    (sent,) = told(station, "SetChargingProfile")
    (schedule,) = sent["chargingProfile"]["chargingSchedule"]
    assert schedule["chargingSchedulePeriod"][0]["limit"] == 60_000


async def test_statement_85_what_was_forgotten_is_set_again_when_the_station_is_back(
    stage: Stage, version_2x: str
) -> None:
    station = await a_station(stage, version_2x)
    station.answers["GetChargingProfiles"] = {"status": "NoProfiles"}
    done = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    stage.pass_time(1)
    await ask(stage, station)
    await station.wire.close(abruptly=True)
    await known_to_be(stage, station, here=False)
    await settled(stage, 1)
    assert await states(stage, station) == [(done.profile.id, "lost")]
    await station.wire.open()
    await known_to_be(stage, station, here=True)
    await settled(stage, 601)
    assert await states(stage, station) == [
        (done.profile.id, "lost"),
        (done.profile.id, "installed"),
    ]


@pytest.mark.parametrize("decided", ["cleared", "another"])
async def test_statement_85_what_others_decided_since_is_not_undone(
    stage: Stage, version_2x: str, decided: str
) -> None:
    station = await a_station(stage, version_2x)
    station.answers["GetChargingProfiles"] = {"status": "NoProfiles"}
    station.answers["ClearChargingProfile"] = {"status": "Unknown"}
    done = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    stage.pass_time(1)
    await ask(stage, station)
    station.asked.clear()
    if decided == "cleared":
        await clear(stage, station, profile_id=done.profile.id)
    else:
        await set_profile(stage, station, 0, a_profile(stage, MAX, 40_000, id=done.profile.id))
    await settled(stage)
    assert len(told(station, "SetChargingProfile")) == (decided == "another")
    state = "cleared" if decided == "cleared" else "lost"
    assert (await states(stage, station))[0] == (done.profile.id, state)


async def test_statement_87_a_profile_that_a_report_missed_is_set_when_its_transaction_resumes(
    stage: Stage, version_2x: str
) -> None:
    """B13.FR.31: the station was asked before it told of the transaction."""
    station = await a_station(stage, version_2x)
    station.answers["GetChargingProfiles"] = {"status": "NoProfiles"}
    session = await station.begin(await stage.new_token())
    row = await stage.the_transaction(station.identity)
    done = await set_profile(stage, station, 1, a_profile(stage, TX, 30_000), transaction_id=row.id)
    await station.reconnect()
    await station.boot()
    await settled(stage)
    assert await states(stage, station) == [(done.profile.id, "lost")]
    station.asked.clear()
    resumed = station.speech.sampled(session, station.now, [station.speech.value(5_100)])
    await station.say(Message(resumed.action, resumed.payload | {"triggerReason": "TxResumed"}))
    await settled(stage, 1)
    (sent,) = told(station, "SetChargingProfile")
    assert sent["chargingProfile"]["id"] == done.profile.id
    assert (await states(stage, station))[-1] == (done.profile.id, "installed")


async def test_statement_85_what_a_dead_server_had_sent_is_asked_about(
    stage: Stage, version_2x: str
) -> None:
    station = await a_station(stage, version_2x)
    done = await set_profile(stage, station, 0, a_profile(stage, MAX, 60_000))
    async with stage.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE charging_profiles SET state = 'pending' WHERE id = %s", (done.row_id,)
        )
    await stage.restart()
    await station.reconnect()
    await known_to_be(stage, station, here=True)
    station.asked.clear()
    await settled(stage)
    assert len(told(station, "GetChargingProfiles")) == 1
