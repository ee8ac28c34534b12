"""The physics: shared modules, curves, meters."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.cabinet import CABINET_W, MODULE_W, Cabinet, Outlet, share_modules
from simulators.car import CHARGING_EFFICIENCY, Car, curve, draw_car

cars = st.builds(
    Car,
    capacity_wh=st.floats(20_000, 120_000),
    max_power_w=st.floats(1_000, 250_000),
    soc=st.floats(0, 1),
    target_soc=st.floats(0.5, 1),
)
demands = st.lists(st.floats(0, 300_000), min_size=1, max_size=4)


@given(demands, st.integers(0, 12))
def test_modules_are_neither_made_up_nor_wasted(demands_w: list[float], modules: int) -> None:
    given_ = share_modules(demands_w, modules)
    assert sum(given_) <= modules
    for demand, mine in zip(demands_w, given_, strict=True):
        # Nobody holds a module that it does not need.
        assert (mine - 1) * MODULE_W < demand
    if sum(given_) < modules:
        pairs = zip(demands_w, given_, strict=True)
        assert all(mine * MODULE_W >= demand for demand, mine in pairs)


@given(demands)
def test_who_wants_more_is_at_most_one_module_behind(demands_w: list[float]) -> None:
    given_ = share_modules(demands_w)
    for demand, mine in zip(demands_w, given_, strict=True):
        if mine * MODULE_W < demand:
            assert max(given_) - mine <= 1


@given(
    st.tuples(cars, cars),
    st.lists(st.tuples(st.floats(0.1, 900), st.booleans(), st.booleans()), min_size=1, max_size=12),
)
def test_the_cabinet_never_gives_more_than_it_has(
    pair: tuple[Car, Car], moves: list[tuple[float, bool, bool]]
) -> None:
    """Whatever the contactors do: power, energy and batteries keep to their limits."""
    begun = [car.soc for car in pair]
    cabinet = Cabinet(0.0, tuple(Outlet(5e6, car) for car in pair))
    now = 0.0
    for seconds, first, second in moves:
        cabinet.outlets[0].closed, cabinet.outlets[1].closed = first, second
        cabinet.share()
        assert sum(outlet.power_w for outlet in cabinet.outlets) <= CABINET_W
        before = [outlet.register_wh for outlet in cabinet.outlets]
        now += seconds
        cabinet.advance(now)
        used = [o.register_wh - b for o, b in zip(cabinet.outlets, before, strict=True)]
        assert sum(used) <= CABINET_W * seconds / 3600 + 1e-6
        for outlet, wh in zip(cabinet.outlets, used, strict=True):
            assert wh >= 0
            assert outlet.closed or wh == 0
            assert outlet.power_w <= outlet.demand_w()
    for car, soc, outlet in zip(pair, begun, cabinet.outlets, strict=True):
        assert car.soc <= max(soc, car.target_soc)
        stored_wh = (car.soc - soc) * car.capacity_wh
        metered_wh = outlet.register_wh - 5e6
        assert stored_wh == pytest.approx(metered_wh * CHARGING_EFFICIENCY, abs=0.05)


def test_an_idle_gun_leaves_the_whole_cabinet_to_the_other() -> None:
    car = Car(max_power_w=200_000)
    cabinet = Cabinet(0.0, (Outlet(0.0, car, closed=True), Outlet(0.0)))
    cabinet.share()
    assert cabinet.outlets[0].power_w == CABINET_W
    cabinet.outlets[1].car, cabinet.outlets[1].closed = Car(max_power_w=200_000), True
    cabinet.share()
    assert [outlet.power_w for outlet in cabinet.outlets] == [60_000, 60_000]


def test_the_curve_is_flat_and_then_tapers() -> None:
    assert curve(0.0) == curve(0.55) == 1.0
    assert curve(0.725) == pytest.approx(0.65)
    assert curve(0.9) == pytest.approx(0.3)
    assert 0 < curve(1.0) < 0.1


def test_cars_are_the_hubs_mix_and_the_seeds() -> None:
    seeds = range(2_000)
    drawn = [draw_car(random.Random(seed)) for seed in seeds]
    assert draw_car(random.Random(7)) == drawn[7]
    assert all(50_000 <= car.capacity_wh <= 70_000 for car in drawn)
    assert all(0.85 <= car.target_soc <= 0.98 for car in drawn)
    assert sum(car.soc for car in drawn) / len(drawn) == pytest.approx(0.28, abs=0.01)
    assert sum(car.max_power_w for car in drawn) / len(drawn) == pytest.approx(115_000, rel=0.02)
