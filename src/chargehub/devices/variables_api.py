"""REST of a station's variables: what is known of them, reading them anew, writing them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from chargehub.access.principal import GUARDS, Operator, demand, viewer
from chargehub.access.rules import Role
from chargehub.devices import views
from chargehub.devices.queries import read_newest_report, read_variables
from chargehub.devices.reports import VariableReported
from chargehub.devices.rules import shown_value
from chargehub.devices.service import Devices
from chargehub.devices.variables import InvalidWrite
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import CleanText
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import InvalidCursor, PageQuery, cut_page, decode_cursor, encode_cursor
from chargehub.stations.api import COMMAND_PROBLEMS, IdentityPath
from chargehub.stations.commands import CommandQueueFull, VariableName
from chargehub.stations.commands_api import WaitQuery
from chargehub.stations.queries import find_station
from chargehub.stations.rights import writes_need_admin

router = APIRouter(
    prefix=f"{API_PREFIX}/charging-stations/{{identity}}/variables", tags=["Variables"]
)

Parts = Annotated[Devices, Depends(provided(Devices))]


class VariableQuery(PageQuery):
    component: CleanText | None = Field(None, max_length=50, examples=["OCPPCommCtrlr"])
    q: CleanText | None = Field(
        None, min_length=1, max_length=100, description="Part of a name or key, any case."
    )
    pending: bool | None = Field(None, description="Those that wait for a boot, or the others.")


@router.get(
    "",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_variables(
    identity: IdentityPath, parts: Parts, query: Annotated[VariableQuery, Query()]
) -> views.VariablePage:
    """List what a station told of its variables or configuration keys, by name.

    Values are as last read (`read_at`); a written value is shown when the station confirmed it.
    """
    after = decode_cursor("variables", query.cursor, str)
    async with parts.database.read() as connection:
        station = await find_station(connection, identity)
        rows = await read_variables(
            connection,
            station.id,
            after=after[0] if after else None,
            limit=query.limit + 1,
            component=query.component,
            text=query.q,
            pending=query.pending,
        )
        report = await read_newest_report(connection, station.id)
    page, following = cut_page(rows, query.limit, lambda row: encode_cursor("variables", row.key))
    return views.VariablePage(
        items=[views.variable_view(row) for row in page],
        next_cursor=following,
        report=views.report_view(report),
    )


@router.patch(
    "",
    responses={
        202: {"model": views.WriteResults, "description": "Some values wait for the station"},
        **problems(*GUARDS, *COMMAND_PROBLEMS, InvalidWrite, CommandQueueFull),
    },
)
async def write_variables(
    identity: IdentityPath,
    body: views.WritesInput,
    wait: Annotated[WaitQuery, Query()],
    principal: Operator,
    *,
    parts: Parts,
    response: Response,
) -> views.WriteResults:
    """Write values, in order, and answer with the station's own word for each.

    Refused before anything leaves: what is read-only, of the wrong type, out of its range or list,
    dangerous (a heartbeat every second), a secret, or named twice. One station takes many values
    in a request, another one at a time; where a request fails, the rest is not sent and says so.

    The role admin is needed for what a station connects to, as whom, and what it trusts: network
    profiles, security settings, and whatever has the name or value of an address.
    """
    writes = [item.write() for item in body.writes]
    if writes_need_admin(writes):
        demand(principal, Role.ADMIN)
    results = await parts.variables.write(
        identity,
        writes,
        principal.login,
        durable=wait.durable,
        wait=None if wait.expires_in_s is None else timedelta(seconds=wait.expires_in_s),
    )
    if any(result.effect == "waiting" for result in results):
        response.status_code = 202
    return views.WriteResults(results=[views.result_view(result) for result in results])


@router.post("/read", responses=problems(*GUARDS, *COMMAND_PROBLEMS))
async def read_variables_anew(
    identity: IdentityPath, body: views.NamesInput, principal: Operator, parts: Parts
) -> views.ReadResults:
    """Ask the station for variables, or for all of them; what it tells is kept.

    A name in neither list of the answer was refused: it may be write-only.
    """
    if not body.names:
        number = await parts.variables.read_everything(identity, principal.login)
        return views.ReadResults(told=[], unsupported=[], request_id=number)
    names = [item.name() for item in body.names]
    told, unsupported = await parts.variables.read(identity, names, principal.login)
    return read_results(told, unsupported)


def read_results(
    told: Sequence[VariableReported], unsupported: Sequence[VariableName]
) -> views.ReadResults:
    return views.ReadResults(
        told=[
            views.ToldView(**views.name_fields(item.name), value=shown_value(item.name, item.value))
            for item in told
        ],
        unsupported=[views.NameView(**views.name_fields(name)) for name in unsupported],
        request_id=None,
    )
