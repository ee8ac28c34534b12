"""Meter truth from the wire to the rows: what is billed, what is kept, what is flagged.

Each case is one session of 120 s at a gun of 120 kW, told by both versions; quirk 9 of section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from chargehub.telemetry.readings import Flag
from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.speech import V16, VERSIONS, Payload, Session, Speech, moment
from tests.scenarios.stage import RawStation, Stage, flags_of

Said = float | tuple[float | str, dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """What the station says, and what must be in the books."""

    name: str
    begin_wh: int
    samples: tuple[Said, ...]
    """Every 30 s: a register in Wh, or a value with other fields."""
    end_wh: int
    energy_wh: int
    flags: Flag = Flag.NONE
    stored: tuple[int | None, ...] = ()
    """Registers as stored; by default as told."""
    energies: tuple[int | None, ...] = ()
    """Corrected energy at each sample, where it matters."""
    sample_flags: Flag = Flag.NONE
    previous: tuple[int, int] | None = None
    """Begin and end register of the session before it on this gun."""
    versions: tuple[str, ...] = field(default=VERSIONS)


KWH = {"unit": "kWh"}
BARE: dict[str, Any] = {"unit": None, "measurand": None}

CASES = [
    Case("Wh", 5_000, (5_900, 6_800, 7_700), 8_600, 3_600, energies=(900, 1_800, 2_700)),
    Case(
        "kWh with all the digits of a float",
        150_040,
        ((150.34003999999998, KWH), (150.6, KWH), (151.23999, KWH)),
        151_500,
        1_460,
        stored=(150_340, 150_600, 151_240),
    ),
    Case(
        "no unit and no measurand: Wh of the energy register",
        5_000,
        ((5_900, BARE), (6_800, BARE), (7_700, BARE)),
        8_600,
        3_600,
        sample_flags=Flag.UNIT_MISSING,
    ),
    Case(
        "one sample in Wh labelled kWh",
        5_000,
        (5_900, (6_800, KWH), 7_700),
        8_600,
        3_600,
        Flag.UNIT_SUSPECT,
        stored=(5_900, 6_800_000, 7_700),
        energies=(900, 1_800, 2_700),
    ),
    Case(
        "the 910 kWh case: begin 0, then the lifetime register",
        0,
        (910_300, 910_600, 910_900),
        911_200,
        1_200,
        Flag.ZERO_BEGIN,
        energies=(300, 600, 900),
        previous=(900_000, 910_000),
    ),
    Case(
        "the 910 kWh case without a session before: the first register is the begin",
        0,
        (910_300, 910_600, 910_900),
        911_200,
        900,
        Flag.ZERO_BEGIN,
        energies=(0, 300, 600),
    ),
    Case(
        "the 910 kWh case without samples",
        0,
        (),
        911_200,
        1_200,
        Flag.ZERO_BEGIN,
        previous=(1, 910_000),
    ),
    Case("without samples and without a session before", 0, (), 911_200, 0, Flag.ZERO_BEGIN),
    Case(
        "a register that restarts at 0 with each session",
        0,
        (900, 1_800, 2_700),
        3_600,
        3_600,
        previous=(0, 30_000),
    ),
    Case(
        "a reset in mid-session",
        50_000,
        (50_900, 51_800, 400),
        1_300,
        3_100,
        Flag.REGISTER_RESET,
        energies=(900, 1_800, 2_200),
    ),
    Case(
        "one bad reading low, then back",
        50_000,
        (50_900, 13, 52_700),
        53_600,
        3_600,
        Flag.REGISTER_RESET,
    ),
    Case(
        "one bad reading high, then back",
        50_000,
        (50_900, 950_000, 52_700),
        53_600,
        3_600,
        Flag.IMPLAUSIBLE,
        energies=(900, None, 2_700),
    ),
    Case(
        "one reading high, but not too high to be true, then back",
        50_000,
        (50_900, 52_500, 52_300),
        53_600,
        3_600,
        Flag.REGISTER_RESET,
        energies=(900, 2_500, 2_300),
    ),
    Case("a gap in the samples", 5_000, (5_900,), 8_600, 3_600),
    Case(
        "a register that stands still and slips by rounding",
        5_000,
        (5_900, 5_899, 5_900),
        5_900,
        900,
    ),
    Case(
        "negative readings are kept and not used",
        5_000,
        (5_900, -6_800, 7_700),
        8_600,
        3_600,
        stored=(5_900, None, 7_700),
    ),
    Case(
        "not a number",
        5_000,
        (5_900, ("NaN", {}), 7_700),
        8_600,
        3_600,
        stored=(5_900, None, 7_700),
        versions=(V16,),
    ),
    Case("decimals in a string", 5_000, (5_900.4, 6_800.6), 8_600, 3_600, stored=(5_900, 6_801)),
]


def value_of(speech: Speech, said: Said) -> Payload:
    number, more = said if isinstance(said, tuple) else (said, {})
    return speech.value(number, **more)  # type: ignore[arg-type]  # NaN is sent as text.


async def play(stage: Stage, station: RawStation, case: Case) -> None:
    if case.previous is not None:
        begin_wh, end_wh = case.previous
        session = await station.begin(await stage.new_token(), begin_wh)
        stage.pass_time(12 * 3600)
        await station.end(session, end_wh)
    session = await station.begin(await stage.new_token(), case.begin_wh)
    for said in case.samples:
        stage.pass_time(30)
        values = [value_of(station.speech, said)]
        await station.say(station.speech.sampled(session, station.now, values))
    stage.pass_time(120 - 30 * len(case.samples))
    await station.end(session, case.end_wh)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_statement_41_what_is_billed_and_what_is_kept(
    stage: Stage, version: str, case: Case
) -> None:
    if version not in case.versions:
        pytest.skip("The other version's values cannot be this.")
    station = await stage.raw(version)
    await play(stage, station, case)
    live = (await stage.transactions_of(station.identity))[-1]
    await stage.settle()
    settled = (await stage.transactions_of(station.identity))[-1]
    assert (live.energy_wh, settled.energy_wh) == (case.energy_wh, case.energy_wh)
    assert flags_of(settled) == flags_of(live) == case.flags
    # What the station told is never altered.
    assert (settled.begin_register_wh, settled.end_register_wh) == (case.begin_wh, case.end_wh)
    series = await stage.samples_of(settled.id)
    first, last = series[0], series[-1]
    assert (first.context, first.register_wh) == ("Transaction.Begin", case.begin_wh)
    assert (last.context, last.register_wh) == ("Transaction.End", case.end_wh)
    assert (first.energy_wh, last.energy_wh) == (0, case.energy_wh)
    periodic = [s for s in series if s.context == "Sample.Periodic"]
    told = tuple(said[0] if isinstance(said, tuple) else said for said in case.samples)
    assert tuple(s.register_wh for s in periodic) == (case.stored or told)
    if case.energies:
        assert tuple(s.energy_wh for s in periodic) == case.energies
    for sample in periodic:
        assert Flag(sample.flags) & case.sample_flags == case.sample_flags
        if sample.register_wh is None:
            assert Flag(sample.flags) & (Flag.NEGATIVE | Flag.UNREADABLE)
            assert sample.raw["sampledValue"]


async def test_an_end_below_the_begin_does_not_confirm_itself(stage: Stage, version: str) -> None:
    """The end stands in the series too, and is one word of the station all the same."""
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 50_000)
    stage.pass_time(120)
    await station.end(session, 100)
    for _ in range(2):
        await stage.settle()
        row = await stage.the_transaction(station.identity)
        assert (row.energy_wh, row.end_register_wh) == (100, 100)
        assert flags_of(row) == Flag.REGISTER_RESET | Flag.END_BEFORE_BEGIN
        stored = [(s.context, s.energy_wh) for s in await stage.samples_of(row.id)]
        assert stored == [("Transaction.Begin", 0), ("Transaction.End", 100)]


async def test_without_a_begin_the_first_register_is_it(stage: Stage, version_2x: str) -> None:
    station = await stage.raw(version_2x)
    session = Session(1, await stage.new_token())
    started = station.speech.started(session, station.now, 5_000)
    del started.payload["meterValue"]
    await station.say(started)
    stage.pass_time(10)
    await station.sample(session, 5_300)
    stage.pass_time(10)
    await station.end(session, 5_600)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.energy_wh, flags_of(row)) == (300, Flag.BEGIN_MISSING)


@pytest.mark.parametrize(
    ("phases", "register_wh"),
    [
        ({"L1": 1.7, "L2": 1.7, "L3": 1.6}, 5_000),
        # D repeats the total beside the phases.
        ({None: 5.0, "L1": 1.7, "L2": 1.7, "L3": 1.6}, 5_000),
    ],
)
async def test_phases_are_summed_only_without_a_total(
    stage: Stage, version: str, phases: dict[str | None, float], register_wh: int
) -> None:
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 4_700)
    stage.pass_time(30)
    values = [station.speech.value(kwh, unit="kWh", phase=name) for name, kwh in phases.items()]
    await station.say(station.speech.sampled(session, station.now, values))
    stage.pass_time(10)
    await station.end(session, 5_100)
    row = await stage.the_transaction(station.identity)
    assert (row.energy_wh, flags_of(row)) == (400, Flag.NONE)
    (sample,) = [s for s in await stage.samples_of(row.id) if s.context == "Sample.Periodic"]
    assert (sample.register_wh, sample.energy_wh) == (register_wh, 300)
    summed = None not in phases
    assert bool(Flag(sample.flags) & Flag.PHASE_SUMMED) == summed
    assert (sample.raw is not None) == summed


@pytest.mark.parametrize(
    ("quirk", "flags"),
    [
        (Misbehaviour.ZERO_BEGIN, Flag.ZERO_BEGIN),
        (Misbehaviour.REGISTER_JUMPS_BACK, Flag.REGISTER_RESET),
        (Misbehaviour.NEGATIVE_METER, Flag.NEGATIVE),
        (Misbehaviour.NAN_METER, Flag.NONE),
    ],
)
async def test_a_simulated_meter_that_lies(
    stage: Stage, version: str, quirk: Misbehaviour, flags: Flag
) -> None:
    """Never more than was delivered; with two sessions, the first tells where the next begins."""
    station = await stage.simulated(version, quirk)
    delivered = [0.0]
    for _ in range(2):
        await station.plug_in(1, Car(soc=0.3))
        await station.present_token(1, await stage.new_token())
        await station.advance(60)
        await station.stop(1)
        await station.unplug(1)
        delivered.append(station.charging.delivered_wh)
        stage.pass_time(60)
    await stage.settle()
    first, second = await stage.transactions_of(station.identity)
    for row, told in ((first, delivered[1]), (second, delivered[2] - delivered[1])):
        assert row.energy_wh <= told + 1
        assert row.state == "Ended"
    if quirk is Misbehaviour.ZERO_BEGIN:
        # Without history the time until the first sample is lost; with it nothing is.
        assert first.energy_wh == pytest.approx(delivered[1] * 5 / 6, abs=2)
        assert second.energy_wh == pytest.approx(delivered[2] - delivered[1], abs=1)
    assert flags_of(second) & flags == flags or version != V16


async def test_readings_of_1970_in_one_burst_keep_their_order(stage: Stage, version: str) -> None:
    """All get the time of receipt: of one moment's registers the smaller came first."""
    station = await stage.raw(version)
    session = Session(1, await stage.new_token())
    said = station.speech
    answer = await station.say(said.started(session, 10.0, 5_000))
    said.learn(session, answer)
    for register_wh in (5_100, 5_200, 5_300, 5_400):
        await station.say(said.sampled(session, 20.0 + register_wh, [said.value(register_wh)]))
    await station.say(said.ended(session, 9_000.0, 5_450))
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.energy_wh, flags_of(row)) == (450, Flag.CLOCK_SKEW)
    periodic = [s for s in await stage.samples_of(row.id) if s.context == "Sample.Periodic"]
    assert sorted(s.energy_wh for s in periodic) == [100, 200, 300, 400]
    assert all(Flag(s.flags) & Flag.CLOCK_SKEW for s in periodic)
    assert all(s.raw["timestamp"].startswith("1970") for s in periodic)


@pytest.mark.parametrize("sampled", [True, False])
async def test_a_clock_set_back_while_charging_bills_what_the_meter_shows(
    stage: Stage, version: str, *, sampled: bool
) -> None:
    """The first five minutes are stamped eight hours ahead, then the clock is corrected."""
    station = await stage.raw(version)
    session, said = Session(1, await stage.new_token()), station.speech
    ahead = 8 * 3600
    answer = await station.say(said.started(session, station.now + ahead, 5_000))
    said.learn(session, answer)
    for minute in range(1, 60):
        stage.pass_time(60)
        if sampled:
            skew = ahead if minute < 5 else 0
            value = said.value(5_000 + minute * 1_000)
            await station.say(said.sampled(session, station.now + skew, [value]))
    stage.pass_time(60)
    over = moment(station.now)
    await station.end(session, 65_000)
    live = await stage.the_transaction(station.identity)
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.energy_wh, flags_of(row)) == (60_000, Flag.CLOCK_SKEW)
    assert flags_of(live) & Flag.CLOCK_SKEW
    # It took the hour that we saw it take; what the clock said is in the event.
    for seen in (live, row):
        took = seen.ended_at - seen.started_at
        assert abs(took - timedelta(hours=1)) < timedelta(seconds=1)
    (ended,) = [event for event in await stage.events_of(row.id) if event.kind == "Ended"]
    assert ended.at == over < row.started_at
    periodic = [s for s in await stage.samples_of(row.id) if s.context == "Sample.Periodic"]
    assert sorted(s.energy_wh for s in periodic) == [
        minute * 1_000 for minute in range(1, 60) if sampled
    ]


async def test_an_end_before_the_begin_is_flagged_though_no_register_tells(
    stage: Stage, version: str
) -> None:
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token(), 5_000)
    stage.pass_time(90)
    ended = station.speech.ended(session, station.now - 3_600, None)
    await station.say(ended)
    for _ in range(2):
        await stage.settle()
        row = await stage.the_transaction(station.identity)
        assert flags_of(row) & Flag.CLOCK_SKEW
        assert timedelta(seconds=89) < row.ended_at - row.started_at < timedelta(seconds=91)


async def test_signed_data_is_kept_as_it_came(stage: Stage, version: str) -> None:
    """E: transactionData of format SignedData, base64 OCMF of about 1.3 kB."""
    station = await stage.simulated(version, Misbehaviour.SIGNED_DATA)
    await station.plug_in(1, Car(soc=0.3))
    await station.present_token(1, await stage.new_token())
    await station.advance(30)
    await station.stop(1)
    row = await stage.the_transaction(station.identity)
    assert row.energy_wh == pytest.approx(station.charging.delivered_wh, abs=1)
    (signed,) = [s for s in await stage.samples_of(row.id) if Flag(s.flags) & Flag.SIGNED]
    assert "signedMeterData" in str(signed.raw)
    assert len(str(signed.raw)) > 1_000


@pytest.mark.parametrize(("started_s", "stopped_s"), [(-3_000, -3_100), (600, -2_820)])
async def test_a_wrong_time_of_start_or_stop_in_a_replay_costs_no_energy(
    stage: Stage, started_s: int, stopped_s: int
) -> None:
    """1.6 cannot say that it was offline: all comes at once, one timestamp is wrong."""
    station = await stage.raw(V16)
    now, speech = station.now, station.speech
    session = Session(1, await stage.new_token())
    started = speech.started(session, now + started_s, 100_000)
    speech.learn(session, await station.say(started))
    for at_s, register_wh in ((-2_940, 101_000), (-2_880, 102_000)):
        await station.say(speech.sampled(session, now + at_s, [speech.value(register_wh)]))
    await station.say(speech.ended(session, now + stopped_s, 103_000))
    await stage.settle()
    row = await stage.the_transaction(station.identity)
    assert (row.energy_wh, flags_of(row)) == (3_000, Flag.CLOCK_SKEW)
