"""REST of any command to a station: sending it as it is, its record, and the queue.

Version-free orders (reset, availability, unlock) are in `stations.api`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from chargehub.access.principal import GUARDS, Operator, demand, viewer
from chargehub.access.rules import Role
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import JsonObject
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import InvalidCursor, PageQuery, cut_page, decode_cursor, encode_cursor
from chargehub.stations import views
from chargehub.stations.api import (
    COMMAND_PROBLEMS,
    NOT_YET,
    IdentityPath,
    Parts,
    command_result,
    delivery_result,
)
from chargehub.stations.command_queue import CommandQueue
from chargehub.stations.commands import (
    CommandKeptInBooks,
    CommandNotDurable,
    CommandNotQueued,
    CommandOutcome,
    CommandQueueFull,
    RawCommand,
)
from chargehub.stations.queries import find_station, read_commands
from chargehub.stations.rights import endpoint_with_books, needs_admin
from chargehub.stations.waiting_commands import read_queue

router = APIRouter(prefix=f"{API_PREFIX}/charging-stations/{{identity}}", tags=["Commands"])

Queue = Annotated[CommandQueue, Depends(provided(CommandQueue))]
MAX_WAIT_S = 31_536_000


class CommandQuery(PageQuery):
    outcome: CommandOutcome | None = None


class WaitQuery(BaseModel):
    """Whether a command may wait for its station's return."""

    model_config = ConfigDict(extra="forbid")

    durable: bool = Field(
        False, description="Wait for a station that is away or busy; not every command may."
    )
    expires_in_s: int | None = Field(
        None,
        ge=1,
        le=MAX_WAIT_S,
        description="Hub seconds it may wait; limits in the settings.",
        examples=[86_400],
    )


@router.get(
    "/commands",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_commands(
    identity: IdentityPath, parts: Parts, query: Annotated[CommandQuery, Query()]
) -> views.CommandPage:
    """List what was sent to a station and what came of it, newest first."""
    after = decode_cursor("commands", query.cursor, datetime, UUID)
    async with parts.database.read() as connection:
        station = await find_station(connection, identity)
        rows = await read_commands(
            connection,
            station.id,
            after=None if after is None else (after[0], after[1]),
            limit=query.limit + 1,
            outcome=query.outcome,
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("commands", row.requested_at, row.id)
    )
    return views.CommandPage(items=[views.command_view(row) for row in page], next_cursor=following)


@router.post(
    "/commands/{action}",
    responses={
        **NOT_YET,
        **problems(
            *GUARDS, *COMMAND_PROBLEMS, CommandKeptInBooks, CommandNotDurable, CommandQueueFull
        ),
    },
)
async def send_command(
    identity: IdentityPath,
    action: Annotated[str, Path(pattern=r"^[A-Za-z][A-Za-z0-9]{0,63}$", examples=["Reset"])],
    payload: Annotated[JsonObject, Body(examples=[{"type": "Soft"}])],
    wait: Annotated[WaitQuery, Query()],
    principal: Operator,
    *,
    parts: Parts,
    response: Response,
) -> views.CommandResult:
    """Send an OCPP request as it is, validated against the schema of what the station speaks.

    The role admin is needed for what a station trusts, connects to or executes (CertificateSigned,
    DeleteCertificate, InstallCertificate, PublishFirmware, SetNetworkProfile, SignedUpdateFirmware,
    UpdateFirmware), what sends its files elsewhere (GetDiagnostics, GetLog), vendors' own messages
    (DataTransfer), and for ChangeConfiguration and SetVariables of a secret, of security settings
    and network profiles, or of anything with the name or value of an address. Secrets are left out
    of the answer and of the record.

    A `durable` command waits where the station is away or busy (202, outcome `queued`; `pending`
    where it has left and is not answered yet) and ends with an outcome: see the station's commands.
    Only what sets a lasting state may wait.

    ChangeAvailability, ClearChargingProfile and SetChargingProfile are refused, and so is a remote
    start with a charging profile: `endpoint` in the answer names who sends them and records what
    they change.
    """
    endpoint = endpoint_with_books(action, payload)
    if endpoint is not None:
        method, _, part = endpoint.partition(" ")
        own = f"{method} {API_PREFIX}/charging-stations/{identity}/{part}"
        what = f"{action} with a charging profile" if "Start" in action else action
        raise CommandKeptInBooks(f"{what} is sent by {own}.", endpoint=own)
    if needs_admin(action, payload):
        demand(principal, Role.ADMIN)
    command = RawCommand(action, payload)
    if not wait.durable:
        return command_result(await parts.control.send(identity, command, actor=principal.login))
    wanted = None if wait.expires_in_s is None else timedelta(seconds=wait.expires_in_s)
    login = principal.login
    delivery = await parts.control.send_durably(identity, command, wait=wanted, actor=login)
    return delivery_result(delivery, response)


@router.get(
    "/queued-commands", dependencies=[Depends(viewer)], responses=problems(*GUARDS, NotFound)
)
async def list_queued_commands(identity: IdentityPath, queue: Queue) -> views.CommandQueueView:
    """List what waits for a station or is under way to it, in the order of delivery."""
    async with queue.database.read() as connection:
        station = await find_station(connection, identity)
        rows = await read_queue(connection, station.id)
    return views.CommandQueueView(items=[views.command_view(row) for row in rows])


@router.delete(
    "/queued-commands/{command_id}", responses=problems(*GUARDS, NotFound, CommandNotQueued)
)
async def cancel_queued_command(
    identity: IdentityPath, command_id: UUID, principal: Operator, queue: Queue
) -> views.CommandView:
    """End a command that still waits; one that has left cannot be called back."""
    async with queue.database.read() as connection:
        station = await find_station(connection, identity)
    row: Any = await queue.cancel(station.id, command_id, principal.login)
    return views.command_view(row)
