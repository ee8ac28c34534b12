"""Where a point is in the datums that maps of China use: WGS-84, GCJ-02 and BD-09. Pure.

GCJ-02 is what map makers in China must show; its offset from WGS-84 was never published, and the
formula here is the one that everybody uses since it was found (exact to the centimetre where it
can be compared). BD-09 is Baidu's own on top. Both are WGS-84 outside a rectangle around China,
which takes in parts of its neighbours, as those maps do.

The inverses have no formula; they are found by iteration, to less than a millimetre. In a seam of
some hundred metres outside the rectangle's edge no inverse can be right, since two points share
one name there.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from math import atan2, cos, hypot, pi, radians, sin, sqrt
from typing import NamedTuple


class Datum(StrEnum):
    WGS_84 = "WGS-84"
    GCJ_02 = "GCJ-02"
    BD_09 = "BD-09"


class Point(NamedTuple):
    """Degrees."""

    latitude: float
    longitude: float


_WEST, _EAST = 72.004, 137.8347
_SOUTH, _NORTH = 0.8293, 55.8271
_SEAM = 0.1
"""Degrees, more than any offset: what lies further outside is outside in every datum."""
# The ellipsoid of Krasovsky (1940), on which the offset in metres is laid out.
_AXIS_M = 6_378_245.0
_ECCENTRICITY_2 = 0.006_693_421_622_965_943
_BAIDU = pi * 3000 / 180
_CLOSE = 1e-10
_ROUNDS = 30


def convert(point: Point, source: Datum, target: Datum) -> Point:
    """Return the same place in another datum."""
    if source is target:
        return point
    return _from_wgs84(_to_wgs84(point, source), target)


def _from_wgs84(point: Point, target: Datum) -> Point:
    if target is Datum.WGS_84 or not _in_china(point):
        return point
    shifted = _to_gcj02(point)
    return shifted if target is Datum.GCJ_02 else _to_bd09(shifted)


def _to_wgs84(point: Point, source: Datum) -> Point:
    if source is Datum.WGS_84 or not _in_china(point, _SEAM):
        return point
    gcj02 = _inverse(_to_bd09, point) if source is Datum.BD_09 else point
    found = _inverse(_to_gcj02, gcj02)
    return found if _in_china(found) else point


def _in_china(point: Point, margin: float = 0.0) -> bool:
    return (
        _SOUTH - margin <= point.latitude <= _NORTH + margin
        and _WEST - margin <= point.longitude <= _EAST + margin
    )


def _inverse(forward: Callable[[Point], Point], target: Point) -> Point:
    """Find what `forward` moves to the target: it moves neighbours alike, so this converges."""
    found = target
    for _ in range(_ROUNDS):
        there = forward(found)
        latitude, longitude = target.latitude - there.latitude, target.longitude - there.longitude
        found = Point(found.latitude + latitude, found.longitude + longitude)
        if abs(latitude) < _CLOSE and abs(longitude) < _CLOSE:
            break
    return found


def _to_gcj02(point: Point) -> Point:
    x, y = point.longitude - 105, point.latitude - 35
    waves = 20 * sin(6 * pi * x) + 20 * sin(2 * pi * x)
    north_m = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x))
    north_m += (waves + 20 * sin(pi * y) + 40 * sin(pi * y / 3)) * 2 / 3
    north_m += (160 * sin(pi * y / 12) + 320 * sin(pi * y / 30)) * 2 / 3
    east_m = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x))
    east_m += (waves + 20 * sin(pi * x) + 40 * sin(pi * x / 3)) * 2 / 3
    east_m += (150 * sin(pi * x / 12) + 300 * sin(pi * x / 30)) * 2 / 3
    latitude = radians(point.latitude)
    flattened = 1 - _ECCENTRICITY_2 * sin(latitude) ** 2
    meridian_m = _AXIS_M * (1 - _ECCENTRICITY_2) / (flattened * sqrt(flattened))
    parallel_m = _AXIS_M / sqrt(flattened) * cos(latitude)
    return Point(
        point.latitude + north_m * 180 / (meridian_m * pi),
        point.longitude + east_m * 180 / (parallel_m * pi),
    )


def _to_bd09(gcj02: Point) -> Point:
    y, x = gcj02
    radius = hypot(x, y) + 0.000_02 * sin(y * _BAIDU)
    angle = atan2(y, x) + 0.000_003 * cos(x * _BAIDU)
    return Point(radius * sin(angle) + 0.006, radius * cos(angle) + 0.0065)
