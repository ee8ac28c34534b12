"""REST of finding a place to charge. Open to everybody, so it tells nothing of anybody."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import HTTPConnection

from chargehub.drivers.account_rules import AddressBudget
from chargehub.finding.guns import Beside, Wanted, gun_of
from chargehub.finding.queries import find_location, read_page_of_guns
from chargehub.finding.rules import HALF_WAY_ROUND_M, PowerClasses, TypicalCar
from chargehub.finding.search import Place, Search, Surroundings, search
from chargehub.finding.views import GunPage, NearbyPage, gun_view, nearby_location
from chargehub.kit.clock import HubClock
from chargehub.kit.datum import Datum, Point, convert
from chargehub.kit.db import Database
from chargehub.kit.errors import InvalidInput, NotFound
from chargehub.kit.fields import LeastPower
from chargehub.kit.http import API_PREFIX, TooManyRequests, address_of, problems, provided
from chargehub.kit.metrics import limit_counter
from chargehub.kit.paging import InvalidCursor, PageQuery, cut_page, decode_cursor, encode_cursor
from chargehub.stations.api import LocationPath
from chargehub.transactions.queries import read_charges

REFUSED = limit_counter("finding__requests_per_minute")


@dataclass(frozen=True, slots=True)
class FindingParts:
    """What features.py has for this router."""

    database: Database
    clock: HubClock
    online_ids: Callable[[], Collection[int]]
    """Which stations are connected now."""
    classes: PowerClasses
    car: TypicalCar
    budget: AddressBudget
    """How often one address may ask."""

    @classmethod
    def build(
        cls,
        database: Database,
        clock: HubClock,
        online_ids: Callable[[], Collection[int]],
        *,
        fast_from_w: int,
        super_from_w: int,
        battery_wh: int,
        leaves_at_percent: int,
        requests_per_minute: int,
    ) -> FindingParts:
        """Put the parts together of what the settings say."""
        return cls(
            database,
            clock,
            online_ids,
            PowerClasses(fast_from_w, super_from_w),
            TypicalCar(battery_wh, leaves_at_percent),
            AddressBudget(requests_per_minute, window_s=60),
        )


Parts = Annotated[FindingParts, Depends(provided(FindingParts))]


async def not_too_often(connection: HTTPConnection, parts: Parts) -> None:
    """Refuse an address that asks too often: here nobody has to log in."""
    wait_s = parts.budget.take(address_of(connection), time.monotonic())
    if wait_s:
        REFUSED.inc()
        raise TooManyRequests(retry_after_s=wait_s)


router = APIRouter(prefix=API_PREFIX, tags=["Finding"], dependencies=[Depends(not_too_often)])


class NearbyQuery(PageQuery):
    limit: int = Field(20, ge=1, le=100, description="Locations a page.")
    latitude: float = Field(ge=-90, le=90, allow_inf_nan=False, examples=[28.97])
    longitude: float = Field(ge=-180, le=180, allow_inf_nan=False, examples=[118.87])
    datum: Datum = Field(
        Datum.WGS_84,
        description="Of the point asked from and of the coordinates answered. Maps of China use "
        "GCJ-02, Baidu's BD-09, satellites WGS-84.",
    )
    radius_m: float | None = Field(
        None, gt=0, le=HALF_WAY_ROUND_M, allow_inf_nan=False, description="Not further than this."
    )
    min_power_w: LeastPower | None = Field(
        None, description="With a gun of at least this power, in W."
    )
    standard: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,36}$",
        description="With a gun of this connector standard.",
        examples=["GBT_DC"],
    )
    free_now: bool = Field(False, description="With such a gun free.")
    open_now: bool = False


@router.get("/locations/nearby", responses=problems(InvalidInput, InvalidCursor, TooManyRequests))
async def list_nearby_locations(parts: Parts, query: Annotated[NearbyQuery, Query()]) -> NearbyPage:
    """List Locations by distance, nearest first, with what is free there now.

    Power, standard and free ask for one gun that is all of it; counts are of all guns. A page
    may be shorter than its limit, even empty, and have a next one: one request looks at 2,000
    Locations at most.
    """
    here = convert(Point(query.latitude, query.longitude), query.datum, Datum.WGS_84)
    wanted = Search(
        here,
        query.radius_m,
        Wanted(query.min_power_w, query.standard, query.free_now),
        query.open_now,
        query.limit,
    )
    now = parts.clock.now()
    around = Surroundings(now, parts.online_ids(), parts.classes, parts.car)
    async with parts.database.read() as connection:
        told, following = await search(connection, wanted, around, _place(query.cursor))
    return NearbyPage(
        items=[nearby_location(one, query.datum, now) for one in told],
        next_cursor=following and encode_cursor("nearby", following[0].hex(), following[1]),
    )


@router.get(
    "/locations/{location_id}/guns",
    responses=problems(InvalidInput, InvalidCursor, NotFound, TooManyRequests),
)
async def list_guns(
    location_id: LocationPath, parts: Parts, query: Annotated[PageQuery, Query()]
) -> GunPage:
    """List the guns of a Location for its plan, by cabinet and number, as drivers find them."""
    decoded = decode_cursor("guns", query.cursor, str, int)
    after = None if decoded is None else (decoded[0], decoded[1])
    online_ids, now = parts.online_ids(), parts.clock.now()
    async with parts.database.read() as connection:
        await find_location(connection, location_id)
        rows = await read_page_of_guns(
            connection, location_id, now, after=after, limit=query.limit + 1
        )
        beside = await Beside.read(connection, [location_id], rows, now, online_ids)
        page, following = cut_page(
            rows,
            query.limit,
            lambda row: encode_cursor("guns", row.identity.lower(), row.evse_no),
        )
        charges = await read_charges(connection, {row.station_id for row in page})
    guns = [
        gun_of(row, parts.classes, beside, charges.get((row.station_id, row.evse_no)))
        for row in page
    ]
    return GunPage(items=[gun_view(gun) for gun in guns], next_cursor=following)


def _place(cursor: str | None) -> Place | None:
    decoded = decode_cursor("nearby", cursor, str, str)
    if decoded is None:
        return None
    try:
        chord = float.fromhex(decoded[0])
    except (ValueError, OverflowError) as error:
        raise InvalidCursor from error
    if not math.isfinite(chord):
        raise InvalidCursor
    return chord, decoded[1]
