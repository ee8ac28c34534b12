"""REST of the dated rules of reservations: versions that hold from a time on."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints
from sqlalchemy import Row

from chargehub.access.audit import audit
from chargehub.access.principal import GUARDS, Admin, viewer
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import InvalidInput, NotFound
from chargehub.kit.fields import CleanText, RowId, UtcTime
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import (
    InvalidCursor,
    Page,
    PageQuery,
    cut_page,
    decode_cursor,
    encode_cursor,
)
from chargehub.reservations.guns import location_exists
from chargehub.reservations.rules import Terms
from chargehub.reservations.terms import (
    VersionInForce,
    VersionTaken,
    add_version,
    read_terms,
    read_versions,
    remove_version,
    terms_at,
)
from chargehub.stations.obstacles import UnknownLocation
from chargehub.stations.queries import read_location

router = APIRouter(prefix=f"{API_PREFIX}/reservation-rules", tags=["Reservations"])

Db = Annotated[Database, Depends(provided(Database))]
Clock = Annotated[HubClock, Depends(provided(HubClock))]
LocationId = Annotated[CleanText, StringConstraints(min_length=1, max_length=36)]
Minutes = Annotated[StrictInt, Field(ge=0, le=7 * 24 * 60)]
USUAL = Terms()


class RulesPast(InvalidInput):
    """Rules cannot begin in the past: what was booked was booked under others."""

    code = "rules-past"


class TermsModel(BaseModel):
    """What is left out has its usual value."""

    model_config = ConfigDict(extra="forbid")

    hold_min: Annotated[StrictInt, Field(ge=1, le=24 * 60)] = Field(
        USUAL.hold_min, description="How long a gun waits from the window's beginning."
    )
    hold_lead_min: Annotated[StrictInt, Field(ge=0, le=24 * 60)] = Field(
        USUAL.hold_lead_min, description="How long before it the gun takes only its driver."
    )
    max_active: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        USUAL.max_active, description="Open reservations of one driver; 0: nobody may reserve."
    )
    extensions: Annotated[StrictInt, Field(ge=0, le=1)] = USUAL.extensions
    extension_min: Annotated[StrictInt, Field(ge=1, le=24 * 60)] = USUAL.extension_min
    held_share_percent: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        USUAL.held_share_percent,
        description="Of a Location's guns so many at most are held at once, rounded down; of two "
        "and more at least one, unless it is 0.",
    )
    free_cancel_min: Minutes = Field(
        USUAL.free_cancel_min, description="A later cancellation is recorded as late."
    )
    no_show_limit: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        USUAL.no_show_limit, description="0: no-shows have no consequence."
    )
    no_show_days: Annotated[StrictInt, Field(ge=1, le=365)] = USUAL.no_show_days
    suspension_days: Annotated[StrictInt, Field(ge=0, le=365)] = USUAL.suspension_days
    longest_lead_min: Annotated[StrictInt, Field(ge=0, le=60 * 24 * 60)] = Field(
        USUAL.longest_lead_min, description="How long before its window a booking opens."
    )
    verified_head_start_min: Annotated[StrictInt, Field(ge=0, le=60 * 24 * 60)] = Field(
        USUAL.verified_head_start_min,
        description="So much earlier it opens to verified taxi drivers than to others.",
    )
    early_arrival: StrictBool = Field(
        USUAL.early_arrival,
        description="Charging at any free gun of equal power uses the reservation up: from the"
        " lead on, and where it runs already as the lead begins.",
    )
    longest_silence_min: Annotated[StrictInt, Field(ge=1, le=7 * 24 * 60)] = Field(
        USUAL.longest_silence_min,
        description="A gun whose station has not been connected for longer is not reserved; a"
        " short drop of its line refuses nobody.",
    )
    queue_call_min: Annotated[StrictInt, Field(ge=1, le=60)] = Field(
        USUAL.queue_call_min, description="How long a gun waits for who is called from the queue."
    )
    queue_calls: Annotated[StrictInt, Field(ge=1, le=100)] = Field(
        USUAL.queue_calls,
        description="Who did not come at so many calls is out; before that, at the queue's end.",
    )
    queue_skips: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        USUAL.queue_skips, description="So often one may let the next in the queue go first."
    )
    queue_head_start_min: Annotated[StrictInt, Field(ge=0, le=24 * 60)] = Field(
        USUAL.queue_head_start_min,
        description="Verified taxi drivers queue as if they had joined so much earlier.",
    )
    queue_charge_min: Annotated[StrictInt, Field(ge=0, le=24 * 60)] = Field(
        USUAL.queue_charge_min,
        description="Nobody is called to a gun whose next window begins before so much charging.",
    )
    queue_longest: Annotated[StrictInt, Field(ge=0, le=1000)] = Field(
        USUAL.queue_longest, description="Places in the queue; 0: nobody may queue."
    )


class RulesInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    location_id: LocationId | None = Field(
        None,
        description="Left out: of every Location that has none of its own.",
        examples=["QZ-HUB"],
    )
    valid_from: UtcTime | None = Field(
        None, description="Left out: now.", examples=["2026-12-01T00:00:00+08:00"]
    )
    terms: TermsModel


class RulesView(BaseModel):
    id: int
    location_id: str | None
    valid_from: datetime
    terms: TermsModel
    created_by: str
    created_at: datetime


class RulesPage(Page[RulesView]):
    pass


class RulesQuery(PageQuery):
    location_id: LocationId | None = Field(None, examples=["QZ-HUB"])


def _view(row: Row[Any]) -> RulesView:
    return RulesView(
        id=row.id,
        location_id=row.location_id,
        valid_from=row.valid_from,
        terms=TermsModel(**asdict(read_terms(row.terms))),
        created_by=row.created_by,
        created_at=row.created_at,
    )


@router.get("", dependencies=[Depends(viewer)], responses=problems(*GUARDS, InvalidCursor))
async def list_reservation_rules(database: Db, query: Annotated[RulesQuery, Query()]) -> RulesPage:
    """List the versions of the rules, past, in force and to come, as they were added."""
    after = decode_cursor("reservation-rules", query.cursor, int)
    async with database.read() as connection:
        rows = await read_versions(
            connection,
            after=after[0] if after else None,
            limit=query.limit + 1,
            location_id=query.location_id,
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("reservation-rules", row.id)
    )
    return RulesPage(items=[_view(row) for row in page], next_cursor=following)


@router.get("/in-force", dependencies=[Depends(viewer)], responses=problems(*GUARDS, NotFound))
async def get_reservation_rules_in_force(
    database: Db,
    clock: Clock,
    location_id: Annotated[LocationId, Query(examples=["QZ-HUB"])],
    at: Annotated[UtcTime | None, Query(description="Left out: now.")] = None,
) -> TermsModel:
    """Return the rules a booking at a Location is made under."""
    async with database.read() as connection:
        await read_location(connection, location_id)
        return TermsModel(**asdict(await terms_at(connection, location_id, at or clock.now())))


@router.post(
    "", status_code=201, responses=problems(*GUARDS, UnknownLocation, RulesPast, VersionTaken)
)
async def add_reservation_rules(
    body: RulesInput, principal: Admin, database: Db, clock: Clock
) -> RulesView:
    """Add a version. What is booked already keeps the rules it was booked under."""
    now = clock.now()
    valid_from = body.valid_from or now
    if valid_from < now:
        raise RulesPast
    terms = Terms(**body.terms.model_dump())
    async with database.write() as connection:
        if body.location_id is not None and not await location_exists(connection, body.location_id):
            raise UnknownLocation(location_id=body.location_id)
        row = await add_version(
            connection,
            terms,
            location_id=body.location_id,
            valid_from=valid_from,
            created_by=principal.login,
            created_at=now,
        )
        await audit(
            connection,
            now,
            principal.login,
            "reservation_rules.added",
            body.location_id or "hub",
            valid_from=valid_from.isoformat(),
            terms=asdict(terms),
        )
        return _view(row)


@router.delete(
    "/{version_id}", status_code=204, responses=problems(*GUARDS, NotFound, VersionInForce)
)
async def remove_reservation_rules(
    version_id: Annotated[RowId, Path()], principal: Admin, database: Db, clock: Clock
) -> None:
    """Take back a version that is to come."""
    now = clock.now()
    async with database.write() as connection:
        row = await remove_version(connection, version_id, now)
        await audit(
            connection,
            now,
            principal.login,
            "reservation_rules.removed",
            row.location_id or "hub",
            valid_from=row.valid_from.isoformat(),
        )
