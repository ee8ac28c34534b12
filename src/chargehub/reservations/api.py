"""REST of reservations: a driver's own, and what staff sees and ends at a Location."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from chargehub.access.principal import GUARDS, Operator, operator
from chargehub.drivers.account_fields import MaskedText
from chargehub.drivers.principal import (
    DRIVER_GUARDS,
    AccountHolder,
    AccountNeeded,
)
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import CleanText, UtcTime, WantedPower
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.idempotency import ONCE, Once
from chargehub.kit.paging import InvalidCursor, PageQuery, cut_page, decode_cursor, encode_cursor
from chargehub.reservations import terms_api
from chargehub.reservations.booking import Bookings, WindowPast
from chargehub.reservations.choice import Wish
from chargehub.reservations.queries import find_described, read_of_location, read_own
from chargehub.reservations.queue import api as queue_api
from chargehub.reservations.rules import ReservationRefused
from chargehub.reservations.views import (
    ReservationPage,
    ReservationView,
    StaffReservationPage,
    StaffReservationView,
    staff_view,
    view,
)
from chargehub.stations.queries import read_location

router = APIRouter(prefix=f"{API_PREFIX}/reservations", tags=["Reservations"])
staff_router = APIRouter(prefix=f"{API_PREFIX}/locations", tags=["Reservations"])
routers = (router, staff_router, terms_api.router, *queue_api.routers)

Db = Annotated[Database, Depends(provided(Database))]
Desk = Annotated[Bookings, Depends(provided(Bookings))]
ReservationPath = Annotated[int, Path(ge=1, le=2**31 - 1)]
LocationPath = Annotated[
    CleanText, StringConstraints(min_length=1, max_length=36), Path(examples=["QZ-HUB"])
]
OWN = (*DRIVER_GUARDS, AccountNeeded, NotFound)
CHANGES = (*OWN, *ONCE, ReservationRefused)


class ReservationQuery(PageQuery):
    only_open: bool = Field(False, description="Leave out what is over.")


class BookingInput(BaseModel):
    """A given gun, or any gun of a Location with a wanted power; now, or for a later window."""

    model_config = ConfigDict(extra="forbid")

    gun_code: Annotated[CleanText, StringConstraints(min_length=1, max_length=64)] | None = Field(
        None, description="Printed at the gun; in any case.", examples=["CS001-1"]
    )
    location_id: Annotated[CleanText, StringConstraints(min_length=1, max_length=36)] | None = (
        Field(None, description="Needed where no gun is given.", examples=["QZ-HUB"])
    )
    power_w: WantedPower = Field(
        0, description="At least, in W, where no gun is given. 0: any.", examples=[120_000]
    )
    starts_at: UtcTime | None = Field(
        None, description="When you mean to come; left out: now.", examples=["2026-11-23T18:00:00Z"]
    )

    @model_validator(mode="after")
    def _is_somewhere(self) -> BookingInput:
        if self.gun_code is None and self.location_id is None:
            raise ValueError("Name a gun_code or a location_id")
        if self.gun_code is not None and self.power_w:
            raise ValueError("A given gun has the power it has: leave power_w out")
        return self


class StaffCancellation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Annotated[MaskedText, StringConstraints(min_length=3, max_length=200)] = Field(
        examples=["The gun's cable is being replaced"]
    )


@router.post("", status_code=201, responses=problems(*CHANGES, WindowPast))
async def create_reservation(
    body: BookingInput, principal: AccountHolder, bookings: Desk, once: Once
) -> ReservationView:
    """Reserve a gun. A refusal names its `rule` and when the same request would pass (`passes_at`).

    A window to come that is taken stays so: then `next_window` is the first `starts_at` after it
    for which no other reservation is in the way, or at which the location is open.
    """
    wish = Wish(principal.driver_id, body.gun_code, body.location_id, body.power_w, body.starts_at)
    async with bookings.turns, once.write(principal.driver_id) as connection:
        row = await bookings.book(connection, wish)
        return once.keep(view(await find_described(connection, row.id)), status=201)


@router.get("", responses=problems(*OWN, InvalidCursor))
async def list_reservations(
    principal: AccountHolder, database: Db, query: Annotated[ReservationQuery, Query()]
) -> ReservationPage:
    """List your reservations, the newest first."""
    before = decode_cursor("reservations", query.cursor, int)
    async with database.read() as connection:
        rows = await read_own(
            connection,
            principal.driver_id,
            before=before[0] if before else None,
            limit=query.limit + 1,
            only_open=query.only_open,
        )
    page, following = cut_page(rows, query.limit, lambda row: encode_cursor("reservations", row.id))
    return ReservationPage(items=[view(row) for row in page], next_cursor=following)


@router.get("/{reservation_id}", responses=problems(*OWN))
async def get_reservation(
    reservation_id: ReservationPath, principal: AccountHolder, database: Db
) -> ReservationView:
    """Return one of your reservations."""
    async with database.read() as connection:
        return view(await find_described(connection, reservation_id, driver_id=principal.driver_id))


@router.post("/{reservation_id}/cancel", responses=problems(*CHANGES))
async def cancel_reservation(
    reservation_id: ReservationPath, principal: AccountHolder, bookings: Desk, once: Once
) -> ReservationView:
    """Let the gun go. `end_reason` says whether it was in time (`cancelled`) or `cancelled_late`.

    One that is cancelled already is returned as it is.
    """
    async with bookings.turns, once.write(principal.driver_id) as connection:
        await bookings.cancel(connection, reservation_id, principal.driver_id)
        return once.keep(view(await find_described(connection, reservation_id)))


@router.post("/{reservation_id}/extend", responses=problems(*CHANGES))
async def extend_reservation(
    reservation_id: ReservationPath, principal: AccountHolder, bookings: Desk, once: Once
) -> ReservationView:
    """Have the gun held longer, once."""
    async with bookings.turns, once.write(principal.driver_id) as connection:
        await bookings.extend(connection, reservation_id, principal.driver_id)
        return once.keep(view(await find_described(connection, reservation_id)))


@staff_router.get(
    "/{location_id}/reservations",
    dependencies=[Depends(operator)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_location_reservations(
    location_id: LocationPath, database: Db, query: Annotated[ReservationQuery, Query()]
) -> StaffReservationPage:
    """List a Location's reservations, the newest first; drivers by their id only."""
    before = decode_cursor("location-reservations", query.cursor, int)
    async with database.read() as connection:
        await read_location(connection, location_id)
        rows = await read_of_location(
            connection,
            location_id,
            before=before[0] if before else None,
            limit=query.limit + 1,
            only_open=query.only_open,
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("location-reservations", row.id)
    )
    return StaffReservationPage(items=[staff_view(row) for row in page], next_cursor=following)


@staff_router.post(
    "/{location_id}/reservations/{reservation_id}/cancel",
    responses=problems(*GUARDS, NotFound, ReservationRefused),
)
async def cancel_location_reservation(  # noqa: PLR0917 - one per part of the request
    location_id: LocationPath,
    reservation_id: ReservationPath,
    body: StaffCancellation,
    principal: Operator,
    bookings: Desk,
    database: Db,
) -> StaffReservationView:
    """End a driver's reservation, with a reason that is kept in the audit trail.

    One that staff ended already is returned as it is; any other that is over is refused.
    """
    async with bookings.turns, database.write() as connection:
        await bookings.cancel_by_staff(
            connection, location_id, reservation_id, reason=body.reason, actor=principal.login
        )
        return staff_view(await find_described(connection, reservation_id))
