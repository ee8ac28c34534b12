"""Every spelling of a meter value seen in the field, and the reading it must become."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.telemetry import meter_values
from chargehub.telemetry.measurands import read_register_wh
from chargehub.telemetry.meter_values import REGISTER_UNIT, read_meter_values, read_timestamp
from chargehub.telemetry.readings import Flag, Reading

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AT = datetime(2026, 11, 23, 7, 59, 30, tzinfo=UTC)
STAMP = "2026-11-23T07:59:30Z"
REGISTER = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"

Sample = dict[str, Any]


def element(*samples: Sample, timestamp: object = STAMP) -> dict[str, Any]:
    return {"timestamp": timestamp, "sampledValue": list(samples)}


def read(*samples: Sample) -> Reading:
    (reading,) = read_meter_values([element(*samples)], NOW)
    return reading


def phases(measurand: str, values: dict[str, object], **more: object) -> list[Sample]:
    return [
        {"value": value, "measurand": measurand, "phase": phase, **more}
        for phase, value in values.items()
    ]


CLEAN_V16 = element(
    {"value": "12345", "measurand": REGISTER, "unit": "Wh", "context": "Sample.Periodic"},
    {"value": "98.5", "measurand": POWER, "unit": "kW", "context": "Sample.Periodic"},
    {"value": "400.1", "measurand": "Voltage", "unit": "V", "context": "Sample.Periodic"},
    {"value": "246.2", "measurand": "Current.Import", "unit": "A", "context": "Sample.Periodic"},
    {"value": "55", "measurand": "SoC", "unit": "Percent", "context": "Sample.Periodic"},
)
CLEAN_V201 = element(
    {"value": 12.345, "measurand": REGISTER, "unitOfMeasure": {"unit": "kWh"}},
    {"value": 98500, "measurand": POWER, "unitOfMeasure": {"unit": "W", "multiplier": 0}},
    {"value": 400.1, "measurand": "Voltage", "unitOfMeasure": {"unit": "V"}},
    {"value": 246.2, "measurand": "Current.Import", "unitOfMeasure": {"unit": "A"}},
    {"value": 55, "measurand": "SoC", "unitOfMeasure": {"unit": "Percent"}},
)


@pytest.mark.parametrize("clean", [CLEAN_V16, CLEAN_V201], ids=["text", "numbers"])
def test_clean_element_becomes_a_reading_without_flag_or_raw(clean: dict[str, Any]) -> None:
    (reading,) = read_meter_values([clean], NOW)
    assert reading.sampled_at == AT
    assert reading.context == "Sample.Periodic"
    assert (reading.register_wh, reading.power_w) == (12345, 98500)
    assert (reading.voltage_v, reading.current_a, reading.soc_percent) == (400.1, 246.2, 55.0)
    assert (reading.flags, reading.raw, reading.extras) == (0, None, None)


@pytest.mark.parametrize(
    ("sample", "register_wh", "flags"),
    [
        pytest.param({"value": "1500", "unit": "Wh", "measurand": REGISTER}, 1500, 0, id="A: Wh"),
        pytest.param({"value": "1500.6", "unit": "Wh"}, 1501, 0, id="D: decimals in Wh"),
        pytest.param(
            {"value": "0.15003999999999998", "unit": "kWh"}, 150, 0, id="E: kWh with float noise"
        ),
        pytest.param({"value": "1500"}, 1500, Flag.UNIT_MISSING, id="C: no unit is Wh"),
        pytest.param({"value": "1500", "unit": ""}, 1500, Flag.UNIT_MISSING, id="empty unit"),
        pytest.param({"value": "1500", "unit": "wh"}, 1500, 0, id="unit in lower case"),
        pytest.param({"value": "1.5", "unit": "KWH"}, 1500, 0, id="unit in upper case"),
        pytest.param({"value": 1.5, "unitOfMeasure": {"unit": "kWh"}}, 1500, 0, id="F: kWh number"),
        pytest.param({"value": 1500, "unitOfMeasure": {}}, 1500, Flag.UNIT_MISSING, id="default"),
        pytest.param(
            {"value": 15, "unitOfMeasure": {"unit": "Wh", "multiplier": 2}}, 1500, 0, id="10^2"
        ),
        pytest.param(
            {"value": 1500000, "unitOfMeasure": {"unit": "Wh", "multiplier": -3}}, 1500, 0, id="-3"
        ),
        pytest.param(
            {"value": 1, "unitOfMeasure": {"unit": "Wh", "multiplier": 400}},
            None,
            Flag.UNREADABLE,
            id="absurd multiplier",
        ),
        pytest.param(
            {"value": 1, "unitOfMeasure": {"unit": "Wh", "multiplier": True}},
            None,
            Flag.UNREADABLE,
            id="multiplier that is no number",
        ),
        pytest.param({"value": "7", "unit": "V"}, None, Flag.UNREADABLE, id="not an energy unit"),
        pytest.param({"value": "-3", "unit": "Wh"}, None, Flag.NEGATIVE, id="negative register"),
        pytest.param({"value": "-0.2", "unit": "Wh"}, 0, 0, id="noise below zero"),
        pytest.param({"value": "NaN", "unit": "Wh"}, None, Flag.UNREADABLE, id="NaN"),
        pytest.param({"value": "inf", "unit": "Wh"}, None, Flag.UNREADABLE, id="infinite"),
        pytest.param({"value": "1e999", "unit": "Wh"}, None, Flag.UNREADABLE, id="overflow"),
        pytest.param({"value": "", "unit": "Wh"}, None, Flag.UNREADABLE, id="empty value"),
        pytest.param({"value": "12,5", "unit": "Wh"}, None, Flag.UNREADABLE, id="decimal comma"),
        pytest.param({"value": True, "unit": "Wh"}, None, Flag.UNREADABLE, id="boolean"),
        pytest.param({"value": None, "unit": "Wh"}, None, Flag.UNREADABLE, id="null"),
        pytest.param({"unit": "Wh"}, None, Flag.UNREADABLE, id="no value"),
        pytest.param({"value": "100000000001", "unit": "Wh"}, None, Flag.IMPLAUSIBLE, id="> 1e11"),
        pytest.param({"value": 2**70, "unit": "Wh"}, None, Flag.IMPLAUSIBLE, id="beyond 64 bit"),
        pytest.param({"value": 10**400, "unit": "Wh"}, None, Flag.IMPLAUSIBLE, id="beyond a float"),
    ],
)
def test_register(sample: Sample, register_wh: int | None, flags: int) -> None:
    reading = read(sample)
    assert (reading.register_wh, reading.flags) == (register_wh, flags)
    assert (reading.raw is not None) == bool(flags)


@pytest.mark.parametrize(
    ("sample", "field", "value", "flags"),
    [
        ({"measurand": POWER, "unit": "kW", "value": "119.95"}, "power_w", 119950, 0),
        ({"measurand": POWER, "value": "7000"}, "power_w", 7000, 0),
        ({"measurand": POWER, "unit": "W", "value": "-5"}, "power_w", None, Flag.NEGATIVE),
        ({"measurand": POWER, "unit": "W", "value": "2000001"}, "power_w", None, Flag.IMPLAUSIBLE),
        ({"measurand": POWER, "unit": "kW", "value": "2001"}, "power_w", None, Flag.IMPLAUSIBLE),
        ({"measurand": "Power.Offered", "unit": "kW", "value": "60"}, "offered_power_w", 60000, 0),
        ({"measurand": "Power.Offered", "value": "-1"}, "offered_power_w", None, Flag.NEGATIVE),
        ({"measurand": "SoC", "value": "55"}, "soc_percent", 55.0, 0),
        ({"measurand": "SoC", "value": "55", "unit": "Percent"}, "soc_percent", 55.0, 0),
        ({"measurand": "SoC", "value": "55", "location": "EV"}, "soc_percent", 55.0, 0),
        ({"measurand": "SoC", "value": "101"}, "soc_percent", None, Flag.IMPLAUSIBLE),
        ({"measurand": "SoC", "value": "-1"}, "soc_percent", None, Flag.IMPLAUSIBLE),
        ({"measurand": "Voltage", "value": "712.4", "unit": "V"}, "voltage_v", 712.4, 0),
        ({"measurand": "Voltage", "value": "0.7", "unit": "kV"}, "voltage_v", 700.0, 0),
        ({"measurand": "Current.Import", "value": "160", "unit": "A"}, "current_a", 160.0, 0),
        ({"measurand": "Temperature", "value": "41", "unit": "Celsius"}, "temperature_c", 41.0, 0),
        ({"measurand": "Temperature", "value": "41", "unit": "Celcius"}, "temperature_c", 41.0, 0),
        ({"measurand": "Temperature", "value": "-20"}, "temperature_c", -20.0, 0),
        ({"measurand": "Temperature", "value": "300.15", "unit": "K"}, "temperature_c", 27.0, 0),
        (
            {"measurand": "Temperature", "value": "104", "unit": "Fahrenheit"},
            "temperature_c",
            40.0,
            0,
        ),
        (
            {"measurand": "Temperature", "value": "5000", "unit": "K"},
            "temperature_c",
            None,
            Flag.IMPLAUSIBLE,
        ),
    ],
)
def test_other_measurands_in_hub_units_statement_41(
    sample: Sample, field: str, value: float | None, flags: int
) -> None:
    reading = read(sample)
    assert getattr(reading, field) == (value if value is None else pytest.approx(value))
    assert reading.flags == flags


def test_b_energy_per_phase_without_total_is_summed_and_flagged() -> None:
    samples = phases(REGISTER, {"L1": "1.1", "L2": "1.2", "L3": "1.3"}, unit="kWh")
    reading = read(*samples)
    assert reading.register_wh == 3600
    assert reading.flags == Flag.PHASE_SUMMED
    assert reading.extras == {
        f"{REGISTER}@L1": 1100.0,
        f"{REGISTER}@L2": 1200.0,
        f"{REGISTER}@L3": 1300.0,
    }
    assert reading.raw == element(*samples)


def test_total_beside_phases_wins_and_phases_are_kept() -> None:
    total = {"value": "7000", "measurand": POWER, "unit": "W"}
    reading = read(*phases(POWER, {"L1": "2300", "L2": "2400"}, unit="W"), total)
    assert (reading.power_w, reading.flags) == (7000, 0)
    assert reading.extras == {f"{POWER}@L1": 2300.0, f"{POWER}@L2": 2400.0}


def test_neutral_and_line_to_line_values_are_never_summed() -> None:
    values: dict[str, object] = {"L1": "10", "L2": "20", "N": "7", "L1-L2": "99"}
    assert read(*phases(POWER, values, unit="W")).power_w == 30


@pytest.mark.parametrize("broken", ["-5", "NaN", "99999999999"])
def test_sum_with_an_unusable_phase_is_left_out(broken: str) -> None:
    reading = read(*phases(POWER, {"L1": "10", "L2": broken}, unit="W"))
    assert reading.power_w is None
    assert reading.flags & (Flag.NEGATIVE | Flag.UNREADABLE | Flag.IMPLAUSIBLE)
    assert reading.raw is not None


def test_d_phaseless_voltage_beside_line_to_neutral() -> None:
    values: dict[str, object] = {"L1-N": "229", "L2-N": "231", "L3-N": "230"}
    samples = phases("Voltage", values, unit="V")
    beside = read({"value": "228", "measurand": "Voltage", "unit": "V"}, *samples)
    assert beside.voltage_v == 228.0
    assert beside.extras == {"Voltage@L1-N": 229.0, "Voltage@L2-N": 231.0, "Voltage@L3-N": 230.0}
    assert read(*samples).voltage_v == 230.0


def test_current_of_phases_is_the_highest() -> None:
    values: dict[str, object] = {"L1": "15", "L2": "16", "L3": "14"}
    assert read(*phases("Current.Import", values, unit="A")).current_a == 16.0


def test_outlet_wins_over_other_locations_which_serve_alone() -> None:
    inlet = {"value": "9000", "measurand": REGISTER, "unit": "Wh", "location": "Inlet"}
    outlet = {"value": "8500", "measurand": REGISTER, "unit": "Wh", "location": "Outlet"}
    assert read(inlet, outlet).register_wh == 8500
    alone = read(inlet)
    assert alone.register_wh == 9000
    assert alone.extras == {f"{REGISTER}/Inlet": 9000.0}


def test_other_measurands_and_repeats_are_extras() -> None:
    reading = read(
        {"value": "50.01", "measurand": "Frequency", "unit": "Hertz"},
        {"value": "1.5", "measurand": "Energy.Reactive.Import.Register", "unit": "kvarh"},
        {"value": "-3", "measurand": "Power.Active.Export", "unit": "W"},
        {"value": "1", "measurand": "Frequency"},
        {"value": "7", "measurand": "VendorThing"},
    )
    assert reading.extras == {
        "Frequency": 50.01,
        "Energy.Reactive.Import.Register": 1500.0,
        "Power.Active.Export": -3.0,
        "Frequency#2": 1.0,
        "VendorThing": 7.0,
    }
    assert reading.flags == 0


def test_e_signed_data_is_opaque_and_kept() -> None:
    signed = {"value": '"T0NNRnx7fQ=="', "format": "SignedData", "context": "Transaction.End"}
    reading = read(signed)
    assert (reading.register_wh, reading.flags) == (None, Flag.SIGNED)
    assert reading.raw == element(signed)
    assert reading.context == "Transaction.End"


def test_e_signed_meter_value_of_2x_keeps_the_number_too() -> None:
    signature = {
        "signedMeterData": "T0NNRg==",
        "signingMethod": "",
        "encodingMethod": "OCMF",
        "publicKey": "",
    }
    sample = {"value": 150.05, "unitOfMeasure": {"unit": "Wh"}, "signedMeterValue": signature}
    reading = read(sample)
    assert (reading.register_wh, reading.flags) == (150, Flag.SIGNED)
    assert reading.raw == element(sample)


def test_explicit_raw_format_is_plain() -> None:
    assert read({"value": "5", "format": "Raw", "unit": "Wh"}).flags == 0


@pytest.mark.parametrize(("value", "noted"), [("10001", True), ("9999", False)])
def test_unit_of_a_high_kwh_register_stays_recoverable(value: str, noted: bool) -> None:
    plain = read({"value": value, "unit": "kWh"})
    careful = read({"value": value, "unit": "kWh"}, {"value": "50", "measurand": "Frequency"})
    for reading in (plain, careful):
        assert reading.register_wh == int(value) * 1000
        assert ((reading.extras or {}).get(REGISTER_UNIT) == "kWh") is noted


def test_missing_context_is_periodic_and_one_stated_context_holds_for_all() -> None:
    soc = {"value": "50", "measurand": "SoC"}
    assert read(soc).context == "Sample.Periodic"
    begin = {"value": "10", "unit": "Wh", "context": "Transaction.Begin"}
    for order in ((soc, begin), (begin, soc)):
        reading = read(*order)
        assert (reading.context, reading.register_wh, reading.soc_percent) == (
            "Transaction.Begin",
            10,
            50.0,
        )


def test_unknown_context_is_kept_cut() -> None:
    assert read({"value": "5", "unit": "Wh", "context": "Own" * 100}).context == ("Own" * 100)[:50]


def test_begin_and_end_in_one_element_are_two_readings() -> None:
    readings = read_meter_values(
        [
            element(
                {"value": "10", "unit": "Wh", "context": "Transaction.Begin"},
                {"value": "20", "unit": "Wh", "context": "Transaction.End"},
            )
        ],
        NOW,
    )
    assert [(r.context, r.register_wh) for r in readings] == [
        ("Transaction.Begin", 10),
        ("Transaction.End", 20),
    ]


@pytest.mark.parametrize(
    ("text", "at", "flag"),
    [
        pytest.param("2026-11-23T07:59:30Z", AT, 0, id="whole seconds"),
        pytest.param("2026-11-23T07:59:30.000Z", AT, 0, id="milliseconds"),
        pytest.param("2026-11-23T07:59:30.123456789Z", AT, 0, id="nine digits"),
        pytest.param("2026-11-23T15:59:30+08:00", AT, 0, id="offset of Quzhou"),
        pytest.param("2026-11-23T07:59:30", AT, Flag.CLOCK_SKEW, id="no zone is UTC"),
        pytest.param("1970-01-01T00:00:12Z", NOW, Flag.CLOCK_SKEW, id="clock never set"),
        pytest.param("2014-12-31T23:59:59Z", NOW, Flag.CLOCK_SKEW, id="before 2015"),
        pytest.param("2026-11-25T00:00:00Z", NOW, Flag.CLOCK_SKEW, id="far future"),
        pytest.param("0001-01-01T00:00:00+14:00", NOW, Flag.CLOCK_SKEW, id="before year 1"),
        pytest.param("yesterday", NOW, Flag.CLOCK_SKEW, id="no date-time"),
        pytest.param("", NOW, Flag.CLOCK_SKEW, id="empty"),
        pytest.param(None, NOW, Flag.CLOCK_SKEW, id="absent"),
        pytest.param(1732348770, NOW, Flag.CLOCK_SKEW, id="Unix seconds"),
    ],
)
def test_timestamps_statement_39(text: object, at: datetime, flag: int) -> None:
    found, flags = read_timestamp(text, NOW)
    assert abs(found - at) < timedelta(seconds=1)
    assert found.tzinfo is UTC
    assert flags == flag
    sample = {"value": "5", "unit": "Wh"}
    (reading,) = read_meter_values([element(sample, timestamp=text)], NOW)
    assert (reading.sampled_at, reading.flags) == (found, flag)
    assert (reading.raw is not None) == bool(flag)


@pytest.mark.parametrize(
    "unreadable",
    [
        None,
        "text",
        7,
        {},
        {"timestamp": STAMP},
        {"timestamp": STAMP, "sampledValue": "x"},
        {"timestamp": STAMP, "sampledValue": {"value": "1"}},
        {"timestamp": STAMP, "sampledValue": [None]},
        {"timestamp": STAMP, "sampledValue": ["1"]},
        {"timestamp": STAMP, "sampledValue": [{"value": "1", "measurand": 5}]},
        {"timestamp": STAMP, "sampledValue": [{"value": "1", "unitOfMeasure": "kWh"}]},
        {"timestamp": STAMP, "sampledValue": [{"value": {"deep": [1]}}]},
    ],
)
def test_what_cannot_be_read_is_kept_raw(unreadable: object) -> None:
    good = element({"value": "5", "unit": "Wh"})
    bad, fine = read_meter_values([unreadable, good], NOW)
    assert bad.flags & (Flag.UNREADABLE | Flag.UNIT_MISSING)
    assert bad.register_wh in (None, 1)
    assert bad.raw == unreadable
    assert (fine.register_wh, fine.flags) == (5, 0)


def test_element_without_any_value_is_no_reading() -> None:
    assert read_meter_values([element()], NOW) == ()
    assert read_meter_values(None, NOW) == ()


def test_given_flags_are_added_and_keep_the_element() -> None:
    (reading,) = read_meter_values([CLEAN_V16], NOW, Flag.INVALID_PAYLOAD)
    assert (reading.flags, reading.raw) == (Flag.INVALID_PAYLOAD, CLEAN_V16)
    assert reading.register_wh == 12345


def test_content_hash_tells_elements_apart_and_knows_a_replay() -> None:
    twin = element(*[dict(reversed(sample.items())) for sample in CLEAN_V16["sampledValue"]])
    other = element(*CLEAN_V16["sampledValue"][:4])
    first, again, different = (
        r.content_hash for r in read_meter_values([CLEAN_V16, twin, other], NOW)
    )
    assert first == again
    assert first != different
    # Stored rows are compared with replays of later days and processes: it may never change.
    text = json.dumps(CLEAN_V16, sort_keys=True, separators=(",", ":"))
    assert first == zlib.crc32(text.encode())


@pytest.mark.parametrize(
    ("value", "register_wh", "flag"),
    [
        (1500, 1500, 0),
        ("1500", 1500, 0),
        (1500.4, 1500, 0),
        (-1, None, Flag.NEGATIVE),
        (10**12, None, Flag.IMPLAUSIBLE),
        (None, None, Flag.UNREADABLE),
        ([], None, Flag.UNREADABLE),
    ],
)
def test_registers_of_start_and_stop(value: object, register_wh: int | None, flag: int) -> None:
    assert read_register_wh(value) == (register_wh, flag)


NUMBERS = st.one_of(st.integers(0, 100), st.floats(0, 100), st.sampled_from([-0.0, 0.4999, 2000]))
USUAL_UNITS = [
    (REGISTER, "Wh"),
    (REGISTER, "kWh"),
    (POWER, "W"),
    (POWER, "kW"),
    ("Power.Offered", "kW"),
    ("Voltage", "V"),
    ("Current.Import", "A"),
    ("SoC", "Percent"),
    ("SoC", None),
    ("Temperature", "Celsius"),
]


def usual_sample(measure: tuple[str, str | None], number: float, as_text: bool) -> Sample:
    measurand, unit = measure
    if as_text:
        return {"measurand": measurand, "value": str(number), **({"unit": unit} if unit else {})}
    named = {"unitOfMeasure": {"unit": unit, "multiplier": 0}} if unit else {}
    return {"measurand": measurand, "value": number, **named}


USUAL = st.lists(
    st.builds(usual_sample, st.sampled_from(USUAL_UNITS), NUMBERS, st.booleans()),
    max_size=6,
    unique_by=lambda sample: sample["measurand"],
)
ODDITIES = st.fixed_dictionaries(
    {},
    optional={
        "value": st.sampled_from(["NaN", "", " 5 ", "1e3", "-0.3", -7, None, True, 2**70, "9e9"]),
        "measurand": st.sampled_from([REGISTER, "Frequency", None, 5]),
        "unit": st.sampled_from(["Wh", "kWh", "kw", "", None, 7]),
        "unitOfMeasure": st.sampled_from(
            [{}, {"unit": "Wh"}, {"unit": "kWh", "multiplier": 1}, {"multiplier": False}, "kWh"]
        ),
        "context": st.sampled_from(["Sample.Periodic", "Transaction.Begin", "New"]),
        "phase": st.sampled_from(["L1", "N"]),
        "location": st.sampled_from(["Outlet", "EV", None]),
        "format": st.sampled_from(["Raw", "SignedData"]),
    },
)
STAMPS = st.sampled_from(
    [STAMP, STAMP, "2026-11-23T15:59:30+08:00", "2026-11-23T07:59:30", "1970-01-01T00:00:00Z"]
)


@given(USUAL, st.integers(0, 20), ODDITIES, STAMPS)
def test_the_fast_reader_agrees_with_the_careful_one(
    samples: list[Sample], odd_one: int, oddity: Sample, stamp: str
) -> None:
    if odd_one < len(samples):
        samples[odd_one] |= oddity
    whole = element(*samples, timestamp=stamp)
    plain = meter_values._read_plain(whole, NOW + meter_values.FUTURE_TOLERANCE)  # noqa: SLF001 (the two readers are held together here and nowhere else)
    if plain is not None:
        assert meter_values._read_carefully(whole, NOW, 0) == [plain]  # noqa: SLF001 (as above)
