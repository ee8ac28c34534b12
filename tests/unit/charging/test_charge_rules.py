"""Limits, estimates and states of a driver's charge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.charging.rules import (
    MOST_MINUTES_LEFT,
    REASON_TEXTS,
    EndReason,
    GunState,
    Limits,
    Progress,
    begun_at,
    end_reason,
    gun_state,
    is_plugged_in,
    minutes_left,
    power_for_one,
    reached,
)
from chargehub.stations.reports import ConnectorStatus
from chargehub.stations.states import EvseState

BEGAN = datetime(2026, 11, 23, 4, tzinfo=UTC)
ME, ANOTHER = UUID(int=1), UUID(int=2)
ALL = Limits(energy_wh=10_000, minutes=30, soc_percent=80, when_full=True)


def after(minutes: float) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("limits", "minutes", "energy_wh", "soc", "why"),
    [
        (ALL, 29, 9_999, 79.9, None),
        (ALL, 30, 0, None, EndReason.MINUTES),
        (ALL, 1, 10_000, None, EndReason.ENERGY),
        (ALL, 1, None, 80.0, EndReason.SOC),
        (Limits(when_full=True), 999, 999_999, 99.5, None),
        (Limits(when_full=True), 1, None, 100.0, EndReason.FULL),
        (Limits(), 999, 999_999, 100.0, None),
        (Limits(soc_percent=100, when_full=True), 1, None, 100.0, EndReason.SOC),
    ],
)
def test_the_first_limit_ends_it(
    limits: Limits, minutes: float, energy_wh: int | None, soc: float | None, why: EndReason | None
) -> None:
    now = after(minutes)
    assert reached(limits, Progress(now, 50_000, energy_wh, soc), BEGAN, now) is why


@pytest.mark.parametrize(
    ("told", "asked", "began"),
    [(4, 1, 4), (-60, 1, 1), (70, 1, 5), (-60, None, -60), (70, None, 5)],
)
def test_a_charge_began_after_it_was_asked_for_and_before_we_heard_of_it(
    told: float, asked: float | None, began: float
) -> None:
    asked_at = None if asked is None else after(asked)
    assert begun_at(after(told), after(5), asked_at) == after(began)


def test_minutes_pass_also_where_nothing_is_told() -> None:
    assert reached(Limits(minutes=1), None, BEGAN, after(1)) is EndReason.MINUTES
    assert reached(Limits(energy_wh=1), None, BEGAN, after(999)) is None


@pytest.mark.parametrize(
    ("limits", "power_w", "energy_wh", "soc", "first", "battery_wh", "left"),
    [
        (Limits(), None, None, None, None, None, None),
        (Limits(), 60_000, 5_000, None, None, None, None),
        (Limits(minutes=30), None, None, None, None, None, 20),
        (Limits(energy_wh=15_000), 60_000, 5_000, None, None, None, 10),
        (Limits(energy_wh=15_000), 0, 5_000, None, None, None, None),
        (Limits(energy_wh=4_000), 60_000, 5_000, None, None, None, 0),
        # 30 % of 60 kWh at 60 kW.
        (Limits(soc_percent=80), 60_000, 5_000, 50.0, None, 60_000, 18),
        # The same battery, inferred: 6 kWh were 10 %.
        (Limits(soc_percent=80), 60_000, 6_000, 50.0, 40.0, None, 18),
        # Two percent say too little of its size.
        (Limits(soc_percent=80), 60_000, 1_200, 42.0, 40.0, None, None),
        # To the full, and above 80 % at half the power: 30 % + 2 x 20 %.
        (Limits(), 60_000, 5_000, 50.0, None, 60_000, 42),
        # The power told above 80 % is the slow one.
        (Limits(), 30_000, 5_000, 90.0, None, 60_000, 12),
        (Limits(soc_percent=80), 60_000, 5_000, 85.0, None, 60_000, 0),
        (Limits(soc_percent=80), 1, 5_000, 50.0, None, 60_000, MOST_MINUTES_LEFT),
        (ALL, 60_000, 9_000, 50.0, None, 60_000, 1),
    ],
)
def test_minutes_left(
    limits: Limits,
    power_w: int | None,
    energy_wh: int | None,
    soc: float | None,
    first: float | None,
    battery_wh: int | None,
    left: int | None,
) -> None:
    told = Progress(after(10), power_w, energy_wh, soc)
    found = minutes_left(
        limits, told, BEGAN, after(10), first_soc_percent=first, battery_wh=battery_wh
    )
    assert found == left


@given(
    st.integers(0, 500_000) | st.none(),
    st.integers(0, 500_000) | st.none(),
    st.floats(0, 110) | st.none(),
    st.floats(0, 110) | st.none(),
    st.integers(1, 200_000) | st.none(),
)
def test_an_estimate_is_a_number_of_minutes_or_none(
    power_w: int | None,
    energy_wh: int | None,
    soc: float | None,
    first: float | None,
    battery_wh: int | None,
) -> None:
    told = Progress(after(10), power_w, energy_wh, soc)
    for limits in (Limits(), ALL):
        left = minutes_left(
            limits, told, BEGAN, after(10), first_soc_percent=first, battery_wh=battery_wh
        )
        assert left is None or 0 <= left <= MOST_MINUTES_LEFT


@pytest.mark.parametrize(
    ("asked", "told", "lost", "why"),
    [
        (EndReason.ENERGY, "Remote", False, EndReason.ENERGY),
        (EndReason.DRIVER, "Local", False, EndReason.DRIVER),
        (None, "Local", False, EndReason.AT_STATION),
        (None, "EVDisconnected", False, EndReason.UNPLUGGED),
        (None, "Remote", False, EndReason.STAFF),
        (None, "SOCLimitReached", False, EndReason.FULL),
        (None, "SomethingNew", False, EndReason.STATION),
        (None, None, False, EndReason.STATION),
        (None, "Other", True, EndReason.LOST),
    ],
)
def test_why_it_ended(
    asked: EndReason | None, told: str | None, lost: bool, why: EndReason
) -> None:
    assert end_reason(asked, told, closed_by_us=lost) is why


def test_every_reason_has_its_sentence() -> None:
    assert set(REASON_TEXTS) == set(EndReason)


@pytest.mark.parametrize(
    ("state", "told", "seen"),
    [
        (EvseState.AVAILABLE, {}, GunState.FREE),
        (EvseState.AVAILABLE, {"out_of_use": EvseState.FAULTED}, GunState.FAULTED),
        (EvseState.PREPARING, {}, GunState.FREE),
        (EvseState.OCCUPIED, {}, GunState.FREE),
        (EvseState.FINISHING, {}, GunState.FREE),
        (EvseState.OCCUPIED, {"in_use": True}, GunState.OCCUPIED),
        (EvseState.AVAILABLE, {"in_use": True}, GunState.OCCUPIED),
        (EvseState.AVAILABLE, {"out_of_use": EvseState.UNAVAILABLE}, GunState.UNAVAILABLE),
        (
            EvseState.CHARGING,
            {"in_use": True, "out_of_use": EvseState.UNAVAILABLE},
            GunState.OCCUPIED,
        ),
        (EvseState.UNKNOWN, {}, GunState.UNAVAILABLE),
        (EvseState.CHARGING, {"in_use": True, "out_of_use": EvseState.FAULTED}, GunState.FAULTED),
        (EvseState.OFFLINE, {"in_use": True, "out_of_use": EvseState.OFFLINE}, GunState.OFFLINE),
        (EvseState.RESERVED, {}, GunState.RESERVED),
        (EvseState.RESERVED, {"held_for": ME}, GunState.FREE),
        (EvseState.RESERVED, {"held_for": ANOTHER}, GunState.RESERVED),
        (EvseState.AVAILABLE, {"held_for": ANOTHER}, GunState.RESERVED),
        (EvseState.AVAILABLE, {"held_for": ME}, GunState.FREE),
    ],
)
def test_what_a_gun_is_to_a_driver(
    state: EvseState, told: dict[str, object], seen: GunState
) -> None:
    facts: dict[str, object] = {"in_use": False, "out_of_use": None, "held_for": None, **told}
    assert gun_state(state, driver=ME, **facts) is seen  # type: ignore[arg-type]  # A table.


def test_a_car_is_plugged_in_as_far_as_connectors_say() -> None:
    assert is_plugged_in([ConnectorStatus.AVAILABLE]) is False
    assert is_plugged_in([ConnectorStatus.AVAILABLE, ConnectorStatus.OCCUPIED]) is True
    assert is_plugged_in([ConnectorStatus.UNKNOWN, ConnectorStatus.FAULTED]) is None
    assert is_plugged_in([]) is None


@pytest.mark.parametrize(
    ("siblings", "power_w"),
    [
        ([], 120_000),
        ([(False, None)], 120_000),
        ([(True, None)], 60_000),
        ([(True, 20_000)], 100_000),
        ([(True, 110_000)], 60_000),
        ([(True, 20_000), (True, None)], 40_000),
        ([(True, 0)], 120_000),
    ],
)
def test_guns_share_a_cabinet(siblings: list[tuple[bool, int | None]], power_w: int) -> None:
    assert power_for_one(120_000, 120_000, siblings) == power_w
