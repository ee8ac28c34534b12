"""One charging session of every kind of station seen on the wire, on every version.

However a station misbehaves (wire-quirks, section 1), its customer's session is one transaction
with the energy that was delivered; a flag says what was odd about it.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from chargehub.telemetry.readings import Flag
from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.speech import V16, VERSIONS
from tests.scenarios.stage import Stage, flags_of


async def test_a_session_is_booked_as_it_happened(stage: Stage, version: str) -> None:
    token = await stage.new_token()
    station = await stage.simulated(version)
    began = stage.clock.date()
    await station.plug_in(1, Car(soc=0.3))
    assert await station.present_token(1, token)
    await station.advance(60)
    await station.stop(1)
    ended = stage.clock.date()
    await station.unplug(1)
    live = await stage.the_transaction(station.identity)
    assert (live.state, live.evse_no, live.id_token) == ("Ended", 1, token.lower())
    assert (live.started_at, live.ended_at) == (began, ended)
    assert (live.authorization_status, live.stopped_reason) == ("Accepted", "Local")
    assert live.energy_wh == pytest.approx(station.charging.delivered_wh, abs=1)
    assert not flags_of(live)
    await stage.settle()
    settled = await stage.the_transaction(station.identity)
    assert settled.energy_wh == live.energy_wh
    assert settled.settled_at is not None
    assert not flags_of(settled)


class Odd(NamedTuple):
    """What a quirk does to the books: flags of the transaction by version, and of its samples."""

    quirk: Misbehaviour
    flags_v16: Flag = Flag.NONE
    flags_v201: Flag = Flag.NONE
    sample_flags: Flag = Flag.NONE


ODDITIES = [
    Odd(Misbehaviour.COUNTING_IDS),
    Odd(Misbehaviour.CLOCK_SEEDED_IDS),
    Odd(Misbehaviour.TWO_CALLS_AT_ONCE),
    Odd(Misbehaviour.MALFORMED_FRAMES),
    Odd(Misbehaviour.DEEP_FRAMES),
    Odd(Misbehaviour.UNKNOWN_ACTIONS),
    Odd(Misbehaviour.COMPRESSION),
    Odd(Misbehaviour.FOREIGN_HEADERS),
    Odd(Misbehaviour.NO_CONNECTOR_ZERO),
    Odd(Misbehaviour.NO_STATUS_TIMESTAMP),
    Odd(Misbehaviour.NO_PREPARING),
    Odd(Misbehaviour.SKIP_AUTHORIZE),
    Odd(Misbehaviour.REPEAT_START),
    Odd(Misbehaviour.DUPLICATE_STOP),
    Odd(Misbehaviour.SAMPLES_AFTER_STOP),
    Odd(Misbehaviour.NO_STOP_REASON),
    Odd(Misbehaviour.NO_STOP_TOKEN),
    Odd(Misbehaviour.MINUS_ONE_TRANSACTION, Flag.UNKNOWN_TRANSACTION),
    Odd(Misbehaviour.SEQ_NO_ZERO),
    Odd(Misbehaviour.SEQ_NO_SKIPS, Flag.NONE, Flag.GAP),
    Odd(Misbehaviour.OTHER_TOKEN_TYPE),
    Odd(Misbehaviour.REGISTER_RESETS),
    Odd(Misbehaviour.UNIT_KWH),
    Odd(Misbehaviour.UNIT_ABSENT, sample_flags=Flag.UNIT_MISSING),
    Odd(Misbehaviour.UNIT_WRONG, Flag.UNIT_SUSPECT, Flag.UNIT_SUSPECT),
    Odd(Misbehaviour.PHASES_WITHOUT_TOTAL, sample_flags=Flag.PHASE_SUMMED),
    Odd(Misbehaviour.BARE_SAMPLES, sample_flags=Flag.UNIT_MISSING),
    Odd(Misbehaviour.DECIMALS),
    Odd(Misbehaviour.SIGNED_DATA),
    Odd(Misbehaviour.CONNECTOR_ZERO_SAMPLES),
    Odd(Misbehaviour.LOCAL_TIME_ZONE),
    Odd(Misbehaviour.NO_TIME_ZONE, Flag.CLOCK_SKEW, Flag.CLOCK_SKEW, Flag.CLOCK_SKEW),
    Odd(Misbehaviour.CLOCK_OF_1970, Flag.CLOCK_SKEW, Flag.CLOCK_SKEW, Flag.CLOCK_SKEW),
    Odd(Misbehaviour.CLOCK_SKEW),
    Odd(
        Misbehaviour.EXTRA_FIELDS, Flag.INVALID_PAYLOAD, Flag.INVALID_PAYLOAD, Flag.INVALID_PAYLOAD
    ),
]


@pytest.mark.parametrize("odd", ODDITIES, ids=lambda odd: odd.quirk.label)
async def test_a_session_of_an_odd_station(stage: Stage, version: str, odd: Odd) -> None:
    token = await stage.new_token()
    station = await stage.simulated(version, odd.quirk)
    await station.plug_in(2, Car(soc=0.3))
    assert await station.present_token(2, token)
    await station.advance(50)
    await station.stop(2)
    await station.unplug(2)
    live = await stage.the_transaction(station.identity)
    assert (live.state, live.evse_no, live.id_token) == ("Ended", 2, token.lower())
    assert live.authorization_status == "Accepted"
    await stage.settle()
    settled = await stage.the_transaction(station.identity)
    delivered = pytest.approx(station.charging.delivered_wh, abs=1)
    assert (live.energy_wh, settled.energy_wh) == (delivered, delivered)
    flags = odd.flags_v16 if version == V16 else odd.flags_v201
    assert flags_of(settled) == flags
    periodic = [
        row
        for row in await stage.samples_of(settled.id)
        if row.context == "Sample.Periodic" and row.register_wh is not None
    ]
    # Each sample once, with its corrected energy beside what the station said.
    assert len(periodic) == len({row.content_hash for row in periodic})
    energies = [row.energy_wh for row in periodic if row.energy_wh is not None]
    assert energies == sorted(energies)
    assert len(energies) >= len(periodic) - 1
    for row in periodic[-2:]:
        assert Flag(row.flags) & odd.sample_flags == odd.sample_flags
        if odd.quirk is not Misbehaviour.UNIT_WRONG:  # Its numbers look right one by one.
            assert (row.raw is None) == (row.flags == 0)


def test_every_quirk_of_a_session_is_played() -> None:
    """A new misbehaviour is played here, or named with the scenario that plays it."""
    m = Misbehaviour
    elsewhere = {
        *(m.LOSE_ANSWERS, m.LOSE_ENDED, m.FORGET_QUEUE, m.OVERSIZED_FRAMES),  # test_reconnects
        *(m.BOOT_ON_RECONNECT, m.NO_STATUS_ON_RECONNECT, m.QUEUE_BEFORE_STATUS),
        *(m.NO_OFFLINE_FLAG, m.FLOOD),
        m.NEVER_STOP_REFUSED,  # test_orphans
        *(m.NO_STARTED_TOKEN, m.IGNORE_REMOTE_START, m.ANSWERS_LAST),  # test_remote
        *(m.SILENT_TO_CALLS, m.ERROR_TO_CALLS, m.INVALID_ANSWERS),
        *(m.IGNORE_PROFILES, m.WATTS_ONLY, m.NO_SMART_CHARGING),  # test_profile_reports
        m.BOOT_FAULTED,  # test_statuses
        *(m.NO_RESERVATIONS, m.UNKNOWN_RESERVATIONS),  # test_reservation_holds
        *(m.FORGETS_RESERVATIONS, m.LATE_RESERVATIONS),
        *(m.ZERO_BEGIN, m.REGISTER_JUMPS_BACK, m.NEGATIVE_METER, m.NAN_METER),  # test_meter_truth
    }
    no_session = {m.HEX_PASSWORD, m.HEARTBEAT_FLOOD, m.ACCEPT_ANY_SETTING}
    assert {odd.quirk for odd in ODDITIES} | elsewhere | no_session == set(Misbehaviour)


@pytest.mark.parametrize("version", VERSIONS)
async def test_samples_of_the_whole_station_belong_to_no_transaction(
    stage: Stage, version: str
) -> None:
    """C sends clock-aligned values of connector 0 without a transaction."""
    token = await stage.new_token()
    station = await stage.simulated(version, Misbehaviour.CONNECTOR_ZERO_SAMPLES)
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, token)
    await station.advance(20)
    await station.stop(1)
    rows = await stage.rows(
        "SELECT s.transaction_id, s.register_wh FROM samples s"
        " JOIN charging_stations c ON c.id = s.station_id"
        " WHERE c.identity = :identity AND s.evse_no = 0",
        identity=station.identity,
    )
    assert {row.transaction_id for row in rows} == {0}
    assert all(row.register_wh > 2 * 12_345_678 - 1 for row in rows)
    assert len(rows) == 2
