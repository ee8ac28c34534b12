"""WGS-84, GCJ-02 and BD-09: known points, there and back, and the world outside China."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.kit.datum import Datum, Point, convert

WGS, GCJ, BD = Datum.WGS_84, Datum.GCJ_02, Datum.BD_09
# On the very edge of the rectangle a rounding decides.
INSIDE = st.builds(Point, st.floats(0.8294, 55.8270), st.floats(72.0041, 137.8346))


def metres(one: Point, other: Point) -> float:
    north = sin(radians(other.latitude - one.latitude) / 2) ** 2
    east = sin(radians(other.longitude - one.longitude) / 2) ** 2
    east *= cos(radians(one.latitude)) * cos(radians(other.latitude))
    return 2 * 6_371_008.8 * asin(sqrt(north + east))


def test_the_hub_in_quzhou_is_578_metres_off() -> None:
    hub = Point(28.970, 118.870)
    shifted = convert(hub, WGS, GCJ)
    assert shifted == pytest.approx((28.9669, 118.8748), abs=5e-5)
    assert metres(hub, shifted) == pytest.approx(578, abs=1)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        # Beijing, as others have it; their way back is half a metre off.
        (WGS, GCJ, (39.916404, 116.410244)),
        (GCJ, BD, (39.921337, 116.410369)),
        (BD, GCJ, (39.908656, 116.397629)),
    ],
)
def test_known_points(source: Datum, target: Datum, expected: tuple[float, float]) -> None:
    assert convert(Point(39.915, 116.404), source, target) == pytest.approx(expected, abs=2e-6)


@given(INSIDE, st.sampled_from([GCJ, BD]))
def test_there_and_back_is_the_same_place(point: Point, datum: Datum) -> None:
    assert metres(point, convert(convert(point, WGS, datum), datum, WGS)) < 0.1


@given(INSIDE)
def test_through_the_third_datum_is_the_same_place(point: Point) -> None:
    direct = convert(point, WGS, BD)
    assert metres(direct, convert(convert(point, WGS, GCJ), GCJ, BD)) < 0.1


@given(st.builds(Point, st.floats(-90, 90), st.floats(-180, 180)), *[st.sampled_from(Datum)] * 2)
def test_nothing_is_moved_outside_china_and_nowhere_far(
    point: Point, source: Datum, target: Datum
) -> None:
    moved = convert(point, source, target)
    china = 0.7 < point.latitude < 56 and 71.9 < point.longitude < 138
    assert metres(point, moved) < (3_500 if china else 1e-6)


@pytest.mark.parametrize("point", [Point(35, 105), Point(35, 105 + 1e-9), Point(34.99, 105)])
def test_where_the_formula_has_a_kink_it_is_inverted_too(point: Point) -> None:
    assert metres(point, convert(convert(point, WGS, GCJ), GCJ, WGS)) < 0.1
