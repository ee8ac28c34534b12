"""REST of commissioning: locations and stations created, imported, changed, rotated, replaced."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    StrictFloat,
    StrictInt,
    StringConstraints,
    field_validator,
    model_validator,
)

from chargehub.access.principal import GUARDS, Admin
from chargehub.kit.errors import NotFound
from chargehub.kit.fields import CleanText, ShortText, explained
from chargehub.kit.http import API_PREFIX, UnsupportedMediaType, problems
from chargehub.stations import views
from chargehub.stations.api import (
    COMMAND_PROBLEMS,
    EvseNo,
    IdentityPath,
    Input,
    LocationPath,
    Parts,
    station_detail,
)
from chargehub.stations.commissioning import (
    Commissioned,
    ImportRefused,
    LocationTaken,
    UnknownTimeZone,
)
from chargehub.stations.credential_change import CredentialChangePending, ValidCredentials
from chargehub.stations.credentials import CREDENTIAL, CREDENTIAL_LENGTHS
from chargehub.stations.entry import SecurityProfileLowered, SerialNumberNeeded
from chargehub.stations.obstacles import (
    GunCodeTaken,
    IdentityTaken,
    SerialNumberTaken,
    UnknownLocation,
)
from chargehub.stations.opening_views import OpeningTimes
from chargehub.stations.queries import read_location
from chargehub.stations.reports import RegistrationStatus
from chargehub.stations.rules import (
    DEFAULT_STANDARD,
    GUN_CODE_PATTERN,
    IDENTITY_NEEDS,
    IDENTITY_PATTERN,
    MAX_EVSES,
    MAX_POWER_W,
    SERIAL_NUMBER_PATTERN,
    NewEvse,
    NewStation,
    is_identity,
    new_gun_code,
    parse_import,
)

router = APIRouter(prefix=API_PREFIX, tags=["Commissioning"])

CSV_EXAMPLE = (
    "identity,location,name,max_power_kw,evses,gun_codes\nCS001,QZ-HUB,A1,120,2,A101 A102\n"
)


def _identity(text: str) -> str:
    if not is_identity(text):
        raise ValueError("Not only dots, and no letters beyond ASCII that have two cases")
    return text


Identity = Annotated[
    str,
    StringConstraints(pattern=IDENTITY_PATTERN, max_length=48),
    explained(IDENTITY_NEEDS),
    AfterValidator(_identity),
]
Credential = Annotated[
    str,
    StringConstraints(
        min_length=CREDENTIAL_LENGTHS[0],
        max_length=CREDENTIAL_LENGTHS[1],
        pattern=rf"^{CREDENTIAL.pattern}$",
    ),
    explained("16 to 64 letters, digits or signs of ASCII without spaces are needed."),
]
Profile = Annotated[
    StrictInt,
    Field(
        ge=0,
        le=3,
        description="Least OCPP security profile: 0 no password, 1 password, 2 password over TLS, "
        "3 client certificate. It rises when a boot on a higher one is accepted, never falls.",
        examples=[1],
    ),
]
SerialNumber = Annotated[
    str,
    StringConstraints(pattern=SERIAL_NUMBER_PATTERN),
    Field(
        description="Serial number that the CN of the station's client certificate must be.",
        examples=["DC120-2026-0042"],
    ),
]
GunCode = Annotated[str, StringConstraints(pattern=GUN_CODE_PATTERN)]
Standard = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,36}$")]
PowerW = Annotated[StrictInt, Field(ge=1, le=MAX_POWER_W, examples=[120000])]
LocationId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,36}$"), Field(examples=["QZ-HUB"])
]
Latitude = Annotated[
    StrictFloat, Field(ge=-90, le=90, allow_inf_nan=False, description="WGS-84", examples=[28.97])
]
Longitude = Annotated[
    StrictFloat,
    Field(ge=-180, le=180, allow_inf_nan=False, description="WGS-84", examples=[118.87]),
]
TimeZone = Annotated[CleanText, Field(min_length=1, max_length=64, examples=["Asia/Shanghai"])]


class NewLocation(Input):
    id: LocationId
    name: Annotated[ShortText, Field(min_length=1, examples=["衢州充电枢纽"])]
    address: ShortText = ""
    latitude: Latitude
    longitude: Longitude
    time_zone: TimeZone = "Asia/Shanghai"
    opening_times: OpeningTimes = OpeningTimes(twenty_four_seven=True)

    @field_validator("id")
    @classmethod
    def _not_a_route(cls, value: str) -> str:
        if value == "nearby":
            raise ValueError("This id stands for the list of what is near")
        return value


class LocationChange(Input):
    name: Annotated[ShortText, Field(min_length=1)] | None = None
    address: ShortText | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    time_zone: TimeZone | None = None
    opening_times: OpeningTimes | None = None


class NewEvseInput(Input):
    evse_no: EvseNo
    gun_code: GunCode | None = Field(
        None, description="Printed on the label; left out: one is made.", examples=["A101"]
    )
    max_power_w: PowerW | None = Field(None, description="Left out: the station's.")
    connectors: list[Standard] = Field(
        default=[DEFAULT_STANDARD], min_length=1, max_length=10, description="One per connector."
    )


class NewStationInput(Input):
    identity: Identity = Field(
        description="What the station calls itself in its URL; case does not matter.",
        examples=["CS001"],
    )
    location_id: LocationId
    name: ShortText = Field("", examples=["A 区 1 号桩"])
    max_power_w: PowerW
    evses: list[NewEvseInput] = Field(
        min_length=1, max_length=MAX_EVSES, examples=[[{"evse_no": 1}, {"evse_no": 2}]]
    )
    credential: Credential | None = Field(
        None,
        description="16 to 40 characters, or up to 64 where the station takes so many; left out: "
        "one is made, which is better.",
    )
    registration: RegistrationStatus = RegistrationStatus.ACCEPTED
    security_profile: Profile = 1
    bound_serial_number: SerialNumber | None = None

    @model_validator(mode="after")
    def _consistent(self) -> NewStationInput:
        if self.security_profile == 3 and self.bound_serial_number is None:
            raise ValueError("Security profile 3 needs bound_serial_number")
        if len({item.evse_no for item in self.evses}) < len(self.evses):
            raise ValueError("Two EVSEs have the same number")
        codes = [item.gun_code.lower() for item in self.evses if item.gun_code is not None]
        if len(set(codes)) < len(codes):
            raise ValueError("Two EVSEs have the same gun code")
        return self

    def plan(self) -> NewStation:
        return NewStation(
            identity=self.identity,
            location_id=self.location_id,
            name=self.name,
            max_power_w=self.max_power_w,
            evses=tuple(
                NewEvse(
                    item.evse_no,
                    item.max_power_w or self.max_power_w,
                    item.gun_code or new_gun_code(),
                    tuple(item.connectors),
                )
                for item in self.evses
            ),
            credential=self.credential,
            registration=self.registration.value,
            security_profile=self.security_profile,
            bound_serial_number=self.bound_serial_number,
        )


class StationChange(Input):
    name: ShortText | None = None
    location_id: LocationId | None = None
    max_power_w: PowerW | None = None
    registration: RegistrationStatus | None = Field(
        None, description="What the station is told at its next boot; Rejected shuts it out."
    )
    security_profile: Profile | None = None
    bound_serial_number: SerialNumber | None = Field(
        None, description="No two stations in service have the same. Null takes it away."
    )
    heartbeat_interval_s: Annotated[StrictInt, Field(ge=10, le=86_400)] | None = Field(
        None, description="What the station is told at its next boot (B01.FR.04).", examples=[300]
    )


class CredentialRequest(Input):
    credential: Credential | None = Field(
        None, description="Left out: one is made.", examples=[None]
    )


class ReplacementRequest(Input):
    identity: Identity = Field(
        description="Of the new station; may be the old one's.", examples=["CS001"]
    )
    credential: Credential | None = Field(
        None, description="Left out: one is made.", examples=[None]
    )
    security_profile: Annotated[StrictInt, Field(ge=0, le=2)] | None = Field(
        None, description="Left out: the old one's, at most 2.", examples=[None]
    )


class CommissionedStation(BaseModel):
    identity: str = Field(examples=["CS001"])
    credential: str = Field(
        description="Shown this once. The station's password; its user name is the identity. "
        "Enter it as text or, where the station asks for hex, as hex.",
        examples=["8f14e45fceea167a5a36dedd4bea2543c9a1b2d3"],
    )
    gun_codes: list[str] = Field(examples=[["A101", "A102"]])


class ImportResult(BaseModel):
    count: int = Field(description="Stations in the file.", examples=[91])
    imported: bool = Field(description="False after a dry run.")
    stations: list[CommissionedStation]


class NewCredential(BaseModel):
    identity: str = Field(examples=["CS001"])
    credential: str = Field(
        description="Shown this once.", examples=["8f14e45fceea167a5a36dedd4bea2543c9a1b2d3"]
    )


class CredentialChangeResult(BaseModel):
    command_id: UUID
    status: str | None = Field(description="The station's own status word.", examples=["Accepted"])
    valid_credentials: ValidCredentials = Field(
        description="Which password the hub takes now. `both`: until the station uses one of them, "
        "or, when it said RebootRequired, uses the new one or boots with the old one. `another`: "
        "neither, because it was rotated by hand meanwhile."
    )


def _commissioned(done: Commissioned) -> CommissionedStation:
    return CommissionedStation(
        identity=done.identity, credential=done.credential, gun_codes=list(done.gun_codes)
    )


def _given(body: Input) -> dict[str, Any]:
    """Return the fields that carry a value, as plain JSON values."""
    return body.model_dump(mode="json", exclude_unset=True, exclude_none=True)


def _columns(body: NewLocation | LocationChange) -> dict[str, Any]:
    """Return what is to be written, by column."""
    values = _given(body) if isinstance(body, LocationChange) else body.model_dump()
    if values.pop("opening_times", None) is not None and body.opening_times is not None:
        values["regular_hours"] = body.opening_times.stored()
        values["opening_exceptions"] = body.opening_times.stored_exceptions()
    return values


@router.post(
    "/locations",
    status_code=201,
    responses=problems(*GUARDS, LocationTaken, UnknownTimeZone),
)
async def create_location(body: NewLocation, principal: Admin, parts: Parts) -> views.LocationView:
    """Create a location."""
    await parts.commissioning.create_location(_columns(body), actor=principal.login)
    async with parts.database.read() as connection:
        return views.location_view(await read_location(connection, body.id))


@router.patch(
    "/locations/{location_id}",
    responses=problems(*GUARDS, NotFound, UnknownTimeZone),
)
async def change_location(
    location_id: LocationPath, body: LocationChange, principal: Admin, parts: Parts
) -> views.LocationView:
    """Change a location's name, address, position, time zone or opening times."""
    await parts.commissioning.change_location(location_id, _columns(body), actor=principal.login)
    async with parts.database.read() as connection:
        return views.location_view(await read_location(connection, location_id))


@router.post(
    "/charging-stations",
    status_code=201,
    responses=problems(
        *GUARDS,
        IdentityTaken,
        GunCodeTaken,
        SerialNumberTaken,
        UnknownLocation,
        NotFound,
    ),
)
async def create_charging_station(
    body: NewStationInput, principal: Admin, parts: Parts
) -> CommissionedStation:
    """Commission a station. Its credential is in this answer and nowhere else."""
    return _commissioned(await parts.commissioning.create(body.plan(), actor=principal.login))


@router.post(
    "/charging-stations/import",
    status_code=201,
    responses=problems(
        *GUARDS,
        ImportRefused,
        IdentityTaken,
        GunCodeTaken,
        SerialNumberTaken,
        UnsupportedMediaType,
    )
    | {200: {"model": ImportResult, "description": "Checked with dry_run; nothing imported."}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"text/csv": {"schema": {"type": "string"}, "example": CSV_EXAMPLE}},
        }
    },
)
async def import_charging_stations(
    request: Request,
    response: Response,
    principal: Admin,
    parts: Parts,
    *,
    dry_run: Annotated[bool, Query(description="Check everything, import nothing.")] = False,
) -> ImportResult:
    """Commission all stations of a CSV file, or none and say what is wrong in which line.

    Columns: identity, location, max_power_kw; optional: name, evses (default 2), gun_codes
    (separated by spaces), credential, security_profile, serial_number. UTF-8, comma or semicolon,
    a header line. At most 2,000 stations.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "text/csv":
        raise UnsupportedMediaType("Send text/csv.")
    lines, errors = await asyncio.to_thread(parse_import, await request.body())
    done = await parts.commissioning.import_stations(
        lines, errors, actor=principal.login, dry_run=dry_run
    )
    if dry_run:
        response.status_code = HTTPStatus.OK
    return ImportResult(
        count=len(lines), imported=not dry_run, stations=[_commissioned(item) for item in done]
    )


@router.patch(
    "/charging-stations/{identity}",
    responses=problems(
        *GUARDS,
        NotFound,
        UnknownLocation,
        SecurityProfileLowered,
        SerialNumberNeeded,
        SerialNumberTaken,
    ),
)
async def change_charging_station(
    identity: IdentityPath, body: StationChange, principal: Admin, parts: Parts
) -> views.StationDetail:
    """Rename or move a station; change its power, registration, heartbeat or how it must enter."""
    changes = _given(body)
    if "bound_serial_number" in body.model_fields_set:
        changes["bound_serial_number"] = body.bound_serial_number
    await parts.commissioning.change(identity, changes, actor=principal.login)
    async with parts.database.read() as connection:
        return await station_detail(connection, parts, identity)


@router.post(
    "/charging-stations/{identity}/credential",
    responses=problems(*GUARDS, NotFound),
)
async def rotate_credential(
    identity: IdentityPath,
    principal: Admin,
    parts: Parts,
    body: Annotated[CredentialRequest | None, Body(examples=[{}])] = None,
) -> NewCredential:
    """Give a station another credential; the old one is void at once."""
    credential = await parts.commissioning.rotate_credential(
        identity, actor=principal.login, credential=body.credential if body else None
    )
    return NewCredential(identity=identity, credential=credential)


@router.post(
    "/charging-stations/{identity}/credential/change",
    responses=problems(*GUARDS, *COMMAND_PROBLEMS, CredentialChangePending),
)
async def change_credential_over_ocpp(
    identity: IdentityPath, principal: Admin, parts: Parts
) -> CredentialChangeResult:
    """Give the station another password over OCPP; nobody is shown it.

    An error that says `valid_credentials` tells which password the hub takes now.
    """
    done = await parts.credential_change.change(identity, actor=principal.login)
    return CredentialChangeResult(
        command_id=done.command_id, status=done.status, valid_credentials=done.valid
    )


@router.post(
    "/charging-stations/{identity}/replace",
    status_code=201,
    responses=problems(*GUARDS, NotFound, IdentityTaken),
)
async def replace_charging_station(
    identity: IdentityPath, body: ReplacementRequest, principal: Admin, parts: Parts
) -> CommissionedStation:
    """Put another station in this one's place; location, EVSEs and gun codes stay."""
    done = await parts.commissioning.replace(
        identity,
        new_identity=body.identity,
        actor=principal.login,
        credential=body.credential,
        security_profile=body.security_profile,
    )
    return _commissioned(done)


@router.post(
    "/charging-stations/{identity}/decommission",
    status_code=204,
    responses=problems(*GUARDS, NotFound),
)
async def decommission_charging_station(
    identity: IdentityPath, principal: Admin, parts: Parts
) -> None:
    """Take a station out of service for good; its history stays."""
    await parts.commissioning.decommission(identity, actor=principal.login)
