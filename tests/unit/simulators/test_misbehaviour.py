"""Each switch does what its name says, seen from the hub; one without a scenario fails here."""

from __future__ import annotations

import importlib

import pytest

from simulators.misbehaviour import Misbehaviour
from tests.unit.simulators.conftest import MakeStation
from tests.unit.simulators.fake_hub import FakeHub
from tests.unit.simulators.scene import CASES, Scene

for module in (
    "scenarios_line",
    "scenarios_charging",
    "scenarios_profiles",
    "scenarios_reservations",
):
    importlib.import_module(f"tests.unit.simulators.{module}")


def test_every_switch_has_a_scenario() -> None:
    assert set(CASES) == set(Misbehaviour)


def test_labels_are_unique_and_explained() -> None:
    assert len({quirk.label for quirk in Misbehaviour}) == len(Misbehaviour)
    assert all(quirk.meaning for quirk in Misbehaviour)
    assert Misbehaviour.named("zero-begin") is Misbehaviour.ZERO_BEGIN
    with pytest.raises(ValueError, match="nonsense"):
        Misbehaviour.named("nonsense")


@pytest.mark.parametrize("quirk", list(Misbehaviour), ids=lambda quirk: quirk.label)
async def test_the_switch_does_what_it_says(
    hub: FakeHub, make_station: MakeStation, quirk: Misbehaviour
) -> None:
    for version, scenario in CASES[quirk]:
        hub.forget()
        hub.violations.clear()
        hub.most_outstanding = 0
        station = make_station(version, quirk, password="ABCDEF0123456789")
        await scenario(Scene(hub, station))
        await station.close()
