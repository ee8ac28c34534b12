"""Which gun is free, what it counts as, how long the wait is, how far away a place is."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.finding.rules import (
    EARTH_M,
    GunFacts,
    PowerClass,
    PowerClasses,
    Running,
    TypicalCar,
    chord_of,
    gun_state,
    metres_of,
    minutes_left,
    predicted_wait,
    unit_vector,
)
from chargehub.stations.reports import ConnectorStatus, RegistrationStatus
from chargehub.stations.states import Charge, EvseState

FREE = GunFacts(
    online=True,
    registration=RegistrationStatus.ACCEPTED,
    operative=True,
    station_status=ConnectorStatus.AVAILABLE,
    statuses=[ConnectorStatus.AVAILABLE],
    running=False,
    held=False,
)
CAR = TypicalCar(battery_wh=60_000, leaves_at_percent=95)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, EvseState.AVAILABLE),
        ({"station_status": ConnectorStatus.UNKNOWN}, EvseState.AVAILABLE),
        ({"online": False}, EvseState.OFFLINE),
        ({"registration": RegistrationStatus.PENDING}, EvseState.UNAVAILABLE),
        ({"operative": False}, EvseState.UNAVAILABLE),
        ({"station_status": ConnectorStatus.UNAVAILABLE}, EvseState.UNAVAILABLE),
        ({"station_status": ConnectorStatus.FAULTED}, EvseState.FAULTED),
        ({"statuses": []}, EvseState.UNKNOWN),
        ({"statuses": [ConnectorStatus.UNKNOWN]}, EvseState.UNKNOWN),
        ({"statuses": [ConnectorStatus.RESERVED]}, EvseState.RESERVED),
        (
            {"statuses": [ConnectorStatus.AVAILABLE, ConnectorStatus.OCCUPIED]},
            EvseState.OCCUPIED,
        ),
        ({"running": True}, EvseState.OCCUPIED),
        ({"held": True}, EvseState.RESERVED),
        ({"starting": True}, EvseState.OCCUPIED),
        (
            {
                "statuses": [ConnectorStatus.RESERVED],
                "station_status": ConnectorStatus.FAULTED,
            },
            EvseState.FAULTED,
        ),
        (
            {
                "statuses": [ConnectorStatus.OCCUPIED],
                "running": True,
                "operative": False,  # From when it has ended.
                "charge": Charge("Charging"),
            },
            EvseState.CHARGING,
        ),
    ],
)
def test_only_a_gun_that_anybody_may_use_is_free(change: dict[str, object], state: str) -> None:
    assert gun_state(replace(FREE, **change)) is state  # type: ignore[arg-type]  # By the table.


def test_power_classes_have_their_borders_from_the_settings() -> None:
    classes = PowerClasses(fast_from_w=30_000, super_from_w=120_000)
    powers = [7_000, 29_999, 30_000, 119_999, 120_000, 480_000]
    slow, fast, strong = PowerClass.SLOW, PowerClass.FAST, PowerClass.SUPER
    assert [classes.of(power) for power in powers] == [slow, slow, fast, fast, strong, strong]
    assert PowerClasses(super_from_w=250_000).of(120_000) is fast


def test_the_state_of_charge_and_the_power_say_how_long() -> None:
    # 20 % of 60 kWh at 60 kW, below where the power falls.
    steady = TypicalCar(battery_wh=60_000, leaves_at_percent=50)
    assert minutes_left(Running(5, 30, 60_000), steady, None) == pytest.approx(12)
    # The last percents take longer than the first ones.
    assert (minutes_left(Running(5, 55, 60_000), CAR, None) or 0) > 24
    assert minutes_left(Running(5, 97, 20_000), CAR, None) == 0


def test_without_them_others_say_how_long() -> None:
    assert minutes_left(Running(10), CAR, 40) == 30
    assert minutes_left(Running(10, 50, 0), CAR, 40) == 30  # It charges nothing now.
    assert minutes_left(Running(10, 5, 1), CAR, 40) == 30  # A watt would take years.
    assert minutes_left(Running(100), CAR, 40) == 4  # Over its time: any moment.
    assert minutes_left(Running(10), CAR, None) is None


def test_the_wait_is_for_the_first_that_is_known() -> None:
    assert predicted_wait([], CAR, 40) is None
    assert predicted_wait([Running(10)], CAR, None) is None
    assert predicted_wait([Running(10), Running(25.5), Running(1)], CAR, 40) == 15
    assert predicted_wait([Running(1, 96, 50_000), Running(1)], CAR, 40) == 1


@given(st.floats(0, 100), st.integers(1_000, 500_000))
def test_more_charge_is_never_a_longer_wait(soc_percent: float, power_w: int) -> None:
    steps = [soc_percent + (100 - soc_percent) * step / 10 for step in range(11)]
    # The same car later: its power has fallen as the battery filled, never below a third.
    left = [minutes_left(Running(0, soc, power_w), CAR, 0.0) or 0 for soc in steps]
    told = [minutes for minutes in left if minutes > 0]
    assert all(0 <= minutes <= 12 * 60 for minutes in left)
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(told))


PLACES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(PLACES, PLACES)
def test_the_straight_line_orders_as_the_way_over_the_ground(
    one: tuple[float, float], other: tuple[float, float]
) -> None:
    chord = sum((a - b) ** 2 for a, b in zip(unit_vector(*one), unit_vector(*other), strict=True))
    metres = metres_of(chord**0.5)
    assert 0 <= metres <= 3.1416 * EARTH_M
    assert chord_of(metres) == pytest.approx(chord**0.5, abs=1e-7)


def test_distances_over_the_antimeridian_and_at_the_pole() -> None:
    def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
        pairs = zip(unit_vector(*one), unit_vector(*other), strict=True)
        return metres_of(sum((a - b) ** 2 for a, b in pairs) ** 0.5)

    assert metres((0, 179.5), (0, -179.5)) == pytest.approx(111_195, abs=1)
    assert metres((89.5, 0), (89.5, 180)) == pytest.approx(111_195, abs=1)
    assert metres((90, 12), (90, -133)) == pytest.approx(0, abs=1e-3)
    assert metres((28.97, 118.87), (30.27, 120.15)) == pytest.approx(190_400, rel=0.005)
