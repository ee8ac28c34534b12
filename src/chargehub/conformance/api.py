"""REST of the test adapter, in the URLs that tzi-OCTT calls.

It translates and decides nothing: each operation is the public service that operators use, and a
raw CALL goes the way of `POST /charging-stations/{identity}/commands/{action}`, but for what that
refuses because another endpoint keeps its books. The router exists
in a demo on a loopback address only (`settings.conformance_adapter`), takes requests of this
machine only, and wants a login of the role that opens nothing else. The version in a path is the
suite's; what a station speaks decides the schema.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Query
from starlette.requests import HTTPConnection

from chargehub.access.principal import GUARDS, Conformance, conformance
from chargehub.conformance import views
from chargehub.conformance.rules import action_of, credential_in, is_from_here
from chargehub.devices.reports import VariableReported, VariablesReported
from chargehub.devices.service import Devices
from chargehub.devices.variables import InvalidWrite
from chargehub.devices.variables_api import read_results
from chargehub.devices.views import ReadResults, WriteResults, result_view
from chargehub.drivers.api import ID_TEXT_PATTERN, IdTokenInput, write_id_token
from chargehub.gateway.intake import Intake
from chargehub.kit.clock import HubClock
from chargehub.kit.errors import Forbidden, NotFound
from chargehub.kit.fields import JsonObject
from chargehub.kit.http import problems, provided
from chargehub.stations.api import (
    COMMAND_PROBLEMS,
    IdentityPath,
    Parts,
    StationParts,
    command_result,
)
from chargehub.stations.commands import RawCommand, StationAnswerError, UnsupportedByStation
from chargehub.stations.credential_change import CredentialChangePending
from chargehub.stations.entry import SecurityProfileLowered, SerialNumberNeeded
from chargehub.stations.queries import find_station_in_service
from chargehub.stations.reports import RegistrationStatus
from chargehub.telemetry.queries import read_latest_values
from chargehub.transactions.queries import read_transactions
from chargehub.transactions.views import transaction_detail


class NotOfThisMachine(Forbidden):
    """The test adapter takes requests of this machine only, without a proxy."""

    code = "not-of-this-machine"


async def of_this_machine(connection: HTTPConnection) -> None:
    client = connection.client
    if not is_from_here(client.host if client else None, connection.headers):
        raise NotOfThisMachine


GUARDED = (*GUARDS, NotOfThisMachine)
EXPIRED_AGO = timedelta(days=1)


async def suites_protocol(
    protocol: Annotated[str, Path(pattern=r"^[0-9.]{1,8}$", description="Means nothing here.")],
) -> str:
    return protocol


router = APIRouter(
    prefix="/api/octt",
    tags=["Conformance"],
    dependencies=[Depends(of_this_machine), Depends(conformance)],
)
of_station = APIRouter(prefix="/{protocol}/{identity}", dependencies=[Depends(suites_protocol)])

Clock = Annotated[HubClock, Depends(provided(HubClock))]
DeviceParts = Annotated[Devices, Depends(provided(Devices))]
Reports = Annotated[Intake, Depends(provided(Intake))]
Payload = Annotated[JsonObject, Body(examples=[{"type": "Soft"}])]


@router.post("/create-token", responses=problems(*GUARDED))
async def create_test_token(
    body: views.TokenInput, principal: Conformance, parts: Parts, clock: Clock
) -> views.Done:
    """Create an idToken, or replace it: its status and its group."""
    now = clock.now()
    wanted = IdTokenInput(
        kind=body.kind,
        group=body.group,
        status="Blocked" if body.status == "Blocked" else "Accepted",
        expires_at=now - EXPIRED_AGO if body.status == "Expired" else None,
    )
    await write_id_token(parts.database, now, body.token_id, wanted, actor=principal.login)
    return views.Done()


@router.post("/set-basic-auth-password", responses=problems(*GUARDED, NotFound))
async def set_station_password(
    body: views.PasswordInput, principal: Conformance, parts: Parts
) -> views.Done:
    """Record a station's password; its socket, if any, is closed."""
    await parts.commissioning.rotate_credential(
        body.station_id, actor=principal.login, credential=body.password
    )
    return views.Done()


@of_station.post("/set-pending-boot", responses=problems(*GUARDED, NotFound))
async def set_next_registration(
    identity: IdentityPath,
    body: views.PendingInput,
    principal: Conformance,
    parts: Parts,
) -> views.Done:
    """Decide what the station's next boot is answered."""
    status = RegistrationStatus.ACCEPTED
    if body.pending:
        status = RegistrationStatus.REJECTED if body.rejected else RegistrationStatus.PENDING
    changes = {"registration": status.value}
    await parts.commissioning.change(identity, changes, actor=principal.login)
    return views.Done()


@of_station.post(
    "/set-security-profile",
    responses=problems(*GUARDED, NotFound, SecurityProfileLowered, SerialNumberNeeded),
)
async def set_least_profile(
    identity: IdentityPath,
    body: views.ProfileInput,
    principal: Conformance,
    parts: Parts,
) -> views.Done:
    """Raise the least security profile by which the station may come in."""
    changes = {"security_profile": body.security_profile}
    await parts.commissioning.change(identity, changes, actor=principal.login)
    return views.Done()


@of_station.post("/set-items-per-message", responses=problems(*GUARDED, NotFound))
async def set_item_limits(
    identity: IdentityPath,
    body: views.LimitsInput,
    *,
    parts: Parts,
    clock: Clock,
    reports: Reports,
) -> views.Done:
    """Hand in what the station takes in a request, as if it had just reported it."""
    async with parts.database.read() as connection:
        station = await find_station_in_service(connection, identity)
    told = tuple(VariableReported(name, value) for name, value in body.variables().items())
    await reports.submit(
        station.id, None, VariablesReported(station.id, clock.now(), None, variables=told)
    )
    return views.Done()


@of_station.post(
    "/update-basic-auth-password",
    responses=problems(*GUARDED, *COMMAND_PROBLEMS, CredentialChangePending),
)
async def change_station_password(
    identity: IdentityPath,
    principal: Conformance,
    parts: Parts,
) -> views.PasswordResult:
    """Give the station a password of its own over OCPP (A01)."""
    changed = await parts.credential_change.change(identity, actor=principal.login)
    return views.PasswordResult(status=changed.status, valid_credentials=changed.valid)


@of_station.post("/get-variables", responses=problems(*GUARDED, *COMMAND_PROBLEMS))
async def get_station_variables(
    identity: IdentityPath,
    body: views.ReadInput,
    principal: Conformance,
    devices: DeviceParts,
) -> ReadResults:
    """Read variables in requests of the size that the station takes."""
    names = [item.named() for item in body.getVariableData]
    return read_results(*await devices.variables.read(identity, names, principal.login))


@of_station.post("/set-variables", responses=problems(*GUARDED, *COMMAND_PROBLEMS, InvalidWrite))
async def set_station_variables(
    identity: IdentityPath,
    body: views.WriteInput,
    principal: Conformance,
    devices: DeviceParts,
) -> WriteResults:
    """Write variables in requests of the size that the station takes."""
    writes = [item.write() for item in body.setVariableData]
    results = await devices.variables.write(identity, writes, principal.login)
    return WriteResults(results=[result_view(result) for result in results])


@of_station.get("/latest-transaction", responses=problems(*GUARDED, NotFound))
async def get_latest_transaction(
    identity: IdentityPath,
    parts: Parts,
    id_token: Annotated[str | None, Query(pattern=ID_TEXT_PATTERN)] = None,
    evse_no: Annotated[int | None, Query(ge=1, le=100)] = None,
) -> views.LatestTransaction:
    """Return the transaction that began last, of an idToken or at an EVSE where one is given."""
    filters = {"station": identity, "id_token": id_token, "evse_no": evse_no}
    async with parts.database.read() as connection:
        await find_station_in_service(connection, identity)
        rows = await read_transactions(connection, after=None, limit=1, filters=filters)
        latest = await read_latest_values(connection, [(row.station_id, row.id) for row in rows])
    details = [transaction_detail(row, latest.get(row.id)) for row in rows]
    return views.LatestTransaction(transaction=details[0] if details else None)


@of_station.post("/call/{action}", responses=problems(*GUARDED, *COMMAND_PROBLEMS))
async def send_raw_call(
    identity: IdentityPath,
    action: Annotated[str, Path(pattern=r"^[A-Za-z][A-Za-z0-9]{0,63}$", examples=["Reset"])],
    payload: Payload,
    principal: Conformance,
    parts: Parts,
) -> views.RawResult:
    """Send an OCPP request as it is, and return the station's CALLRESULT or CALLERROR.

    Refused is what operators are refused too: what breaks the station's schema, what the hub never
    sends, and what a station that is not accepted may not be asked. Profiles and availability are
    sent, and what the hub believes of them does not follow.
    """
    return await _send(parts, identity, RawCommand(action, payload), principal.login)


@of_station.post(
    "/{name}", responses=problems(*GUARDED, *COMMAND_PROBLEMS, CredentialChangePending)
)
async def send_named_call(
    identity: IdentityPath,
    name: Annotated[
        str, Path(pattern=r"^[a-z]+(-[a-z]+)*$", max_length=64, examples=["trigger-message"])
    ],
    payload: Payload,
    principal: Conformance,
    parts: Parts,
) -> views.RawResult:
    """Send the OCPP request of this name in lower case, as `call/{action}` does.

    A new AuthorizationKey goes the way of every password, so that the hub knows it too.
    """
    command = RawCommand(action_of(name), payload)
    credential = credential_in(command)
    if credential is None:
        return await _send(parts, identity, command, principal.login)
    changed = await parts.credential_change.change(
        identity, actor=principal.login, credential=credential
    )
    return views.RawResult(
        command_id=changed.command_id, outcome="result", status=changed.status, payload={}
    )


async def _send(
    parts: StationParts, identity: str, command: RawCommand, actor: str
) -> views.RawResult:
    try:
        result = command_result(await parts.control.send(identity, command, actor=actor))
    except (StationAnswerError, UnsupportedByStation) as error:
        if "station_error" not in error.facts:
            raise
        return views.RawResult(
            command_id=UUID(error.facts["command_id"]),
            outcome="error",
            status=None,
            payload={},
            error_code=error.facts["station_error"],
            error_description=error.facts["station_detail"],
        )
    return views.RawResult(
        command_id=result.command_id,
        outcome="result",
        status=result.status,
        payload=result.payload,
    )


router.include_router(of_station)
