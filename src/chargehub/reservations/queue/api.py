"""REST of the queue: a driver's own place, and what staff sees and removes at a Location."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.principal import GUARDS, Operator, operator
from chargehub.drivers.account_fields import MaskedText
from chargehub.drivers.principal import DRIVER_GUARDS, AccountHolder, AccountNeeded
from chargehub.kit.db import Database
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import CleanText, RowId, WantedPower
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.idempotency import ONCE, Once
from chargehub.kit.paging import InvalidCursor, PageQuery, cut_page, decode_cursor, encode_cursor
from chargehub.reservations.booking import Bookings
from chargehub.reservations.queue.line import newest_of
from chargehub.reservations.queue.service import Joining, Queue
from chargehub.reservations.queue.views import (
    QueueEntryView,
    StaffQueueEntryView,
    StaffQueuePage,
    entry_view,
    staff_entry_view,
)
from chargehub.reservations.rules import ReservationRefused
from chargehub.stations.queries import read_location

router = APIRouter(prefix=f"{API_PREFIX}/queue", tags=["Queue"])
staff_router = APIRouter(prefix=f"{API_PREFIX}/locations", tags=["Queue"])
routers = (router, staff_router)

Db = Annotated[Database, Depends(provided(Database))]
Desk = Annotated[Queue, Depends(provided(Queue))]
Turns = Annotated[Bookings, Depends(provided(Bookings))]
LocationPath = Annotated[
    CleanText, StringConstraints(min_length=1, max_length=36), Path(examples=["QZ-HUB"])
]
OWN = (*DRIVER_GUARDS, AccountNeeded, NotFound)


class QueueInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    location_id: Annotated[CleanText, StringConstraints(min_length=1, max_length=36)] = Field(
        examples=["QZ-HUB"]
    )
    power_w: WantedPower = Field(0, description="At least, in W. 0: any.", examples=[120_000])
    vehicle_id: UUID | None = Field(None, description="Which of yours is to be charged.")


class Removal(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Annotated[MaskedText, StringConstraints(min_length=3, max_length=200)] = Field(
        examples=["The driver asked at the desk"]
    )


async def _shown(queue: Queue, connection: AsyncConnection, row: Row[object]) -> QueueEntryView:
    return entry_view(await queue.outlook.of_entry(connection, row, queue.clock.now()))


@router.post("", status_code=201, responses=problems(*OWN, *ONCE, ReservationRefused))
async def join_queue(
    body: QueueInput, principal: AccountHolder, queue: Desk, bookings: Turns, once: Once
) -> QueueEntryView:
    """Queue at a Location where no gun of that power is free.

    When it is your turn a gun is held for you for some minutes; the inbox says which
    (`your_turn`). A refusal names its `rule`.
    """
    wish = Joining(principal.driver_id, body.location_id, body.power_w, body.vehicle_id)
    async with bookings.turns, once.write(principal.driver_id) as connection:
        row = await queue.join(connection, wish)
        return once.keep(await _shown(queue, connection, row), status=201)


@router.get("", responses=problems(*OWN))
async def get_queue_entry(principal: AccountHolder, queue: Desk, database: Db) -> QueueEntryView:
    """Return your place in the queue, or what became of the last one."""
    async with database.read() as connection:
        row = await newest_of(connection, principal.driver_id)
        if row is None:
            raise NotFound("You are in no queue.")
        return await _shown(queue, connection, row)


@router.delete("", responses=problems(*OWN))
async def leave_queue(
    principal: AccountHolder, queue: Desk, bookings: Turns, database: Db
) -> QueueEntryView:
    """Leave the queue; a gun held for you goes to the next. Repeating it changes nothing."""
    async with bookings.turns, database.write() as connection:
        row = await queue.leave(connection, principal.driver_id)
        return await _shown(queue, connection, row)


@router.post("/skip", responses=problems(*OWN, *ONCE, ReservationRefused))
async def skip_turn(
    principal: AccountHolder, queue: Desk, bookings: Turns, once: Once
) -> QueueEntryView:
    """Let the next one go first and stand right behind them, called or not; once, as a rule."""
    async with bookings.turns, once.write(principal.driver_id) as connection:
        row = await queue.skip(connection, principal.driver_id)
        return once.keep(await _shown(queue, connection, row))


@staff_router.get(
    "/{location_id}/queue",
    dependencies=[Depends(operator)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_location_queue(
    location_id: LocationPath, queue: Desk, database: Db, query: Annotated[PageQuery, Query()]
) -> StaffQueuePage:
    """List who waits or is called at a Location, in their order; drivers by their id only."""
    after = decode_cursor("location-queue", query.cursor, datetime, int)
    async with database.read() as connection:
        await read_location(connection, location_id)
        places = await queue.outlook.of_location(connection, location_id, queue.clock.now())
    if after is not None:
        places = [place for place in places if (place.entry.rank, place.entry.id) > after]
    page, following = cut_page(
        places,
        query.limit,
        lambda place: encode_cursor("location-queue", place.entry.rank, place.entry.id),
    )
    return StaffQueuePage(items=[staff_entry_view(place) for place in page], next_cursor=following)


@staff_router.post(
    "/{location_id}/queue/{entry_id}/remove",
    responses=problems(*GUARDS, NotFound),
)
async def remove_queue_entry(  # noqa: PLR0917 - one per part of the request
    location_id: LocationPath,
    entry_id: Annotated[RowId, Path()],
    body: Removal,
    principal: Operator,
    queue: Desk,
    database: Db,
) -> StaffQueueEntryView:
    """Take a driver out of the queue, with a reason that is kept in the audit trail."""
    async with database.write() as connection:
        row = await queue.remove(
            connection, location_id, entry_id, reason=body.reason, actor=principal.login
        )
        place = await queue.outlook.of_entry(connection, row, queue.clock.now())
        return staff_entry_view(place)
