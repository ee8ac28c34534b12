"""REST of smart charging: profiles of a station, composite schedules, limits, what models obey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from chargehub.access.principal import GUARDS, Operator, Viewer, demand, viewer
from chargehub.access.rules import Role
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import Forbidden, NotFound
from chargehub.kit.fields import CleanText
from chargehub.kit.http import API_PREFIX, problems, provided
from chargehub.kit.paging import InvalidCursor, PageQuery, cut_page, decode_cursor, encode_cursor
from chargehub.kit.worker import DueAction, OutboxAction
from chargehub.smart_charging import views
from chargehub.smart_charging.capabilities import ProfileNotObeyed
from chargehub.smart_charging.comparison import Comparison
from chargehub.smart_charging.composite import Supply
from chargehub.smart_charging.inbound import PROFILES_REPORTED
from chargehub.smart_charging.ledger import NEEDS_TOLD
from chargehub.smart_charging.queries import (
    read_all_observations,
    read_external_limits,
    read_limits_of,
    read_needs,
    read_profiles,
)
from chargehub.smart_charging.reconciling import Reconciling
from chargehub.smart_charging.restoring import Restoring
from chargehub.smart_charging.rules import ChargingProfileClash, InvalidChargingProfile
from chargehub.smart_charging.service import ProfileWanted, SmartCharging, TransactionNotLive
from chargehub.stations.api import COMMAND_PROBLEMS, EvseNo, IdentityPath
from chargehub.stations.commands import ClearChargingProfile
from chargehub.stations.dispatch import CommandDesk
from chargehub.stations.profiles import ProfilePurpose, RateUnit
from chargehub.stations.queries import find_station, find_station_in_service
from chargehub.stations.rules import MAX_EVSES
from chargehub.transactions.api import IdTokenText
from chargehub.transactions.book import Book
from chargehub.transactions.orphans import TransactionNotActive
from chargehub.transactions.remote import (
    IdTokenNotAccepted,
    RemoteControl,
)
from chargehub.transactions.rows import TRANSACTION_RESUMED
from chargehub.transactions.views import StartResult


@dataclass(frozen=True, slots=True)
class SmartChargingParts:
    """What features.py has for this router."""

    database: Database
    clock: HubClock
    smart: SmartCharging
    reconciling: Reconciling
    comparison: Comparison
    restoring: Restoring

    @classmethod
    def build(
        cls,
        database: Database,
        clock: HubClock,
        desk: CommandDesk,
        *,
        book: Book,
        remote: RemoteControl,
        supply: Supply,
    ) -> Self:
        smart = SmartCharging(database, clock, desk, book, remote)
        reconciling = Reconciling(database, clock, desk)
        return cls(
            database,
            clock,
            smart,
            reconciling,
            Comparison(database, clock, supply, smart),
            Restoring(database, clock, smart, reconciling),
        )

    @property
    def topics(self) -> dict[str, OutboxAction]:
        """Return who acts on which event of this feature."""
        return {PROFILES_REPORTED: self.reconciling.act}

    @property
    def slow(self) -> dict[str, DueAction]:
        """Return the due actions, all of which wait for stations."""
        return {
            **self.restoring.slow,
            NEEDS_TOLD: self.comparison.answer_needs,
            TRANSACTION_RESUMED: self.smart.set_anew,
        }


router = APIRouter(prefix=API_PREFIX, tags=["Smart charging"])

Parts = Annotated[SmartChargingParts, Depends(provided(SmartChargingParts))]
SET_PROBLEMS = (
    InvalidChargingProfile,
    ChargingProfileClash,
    ProfileNotObeyed,
    TransactionNotActive,
    TransactionNotLive,
)
MAX_DURATION_S = 7 * 86_400


class ProfileQuery(PageQuery):
    past: bool = Field(False, description="Also those that are no longer in force.")


class ClearQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    profile_id: int | None = Field(
        None, ge=1, le=views.MAX_INT31, description="Alone it says everything.", examples=[17]
    )
    evse_no: int | None = Field(None, ge=0, le=MAX_EVSES, description="0: set on the station.")
    purpose: ProfilePurpose | None = None
    stack_level: int | None = Field(None, ge=0, le=views.MAX_INT31, examples=[0])


class ReportRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    evse_no: StrictInt | None = Field(
        None, ge=0, le=MAX_EVSES, description="Left out: all of them.", examples=[1]
    )


class CompositeQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    evse_no: int = Field(0, ge=0, le=MAX_EVSES, description="0: the whole station.")
    duration_s: int = Field(3600, ge=1, le=MAX_DURATION_S)
    unit: RateUnit = RateUnit.W
    source: Literal["ours", "station"] = Field(
        "ours",
        description=(
            "`station` asks the station too and shows both in W; needs the role operator."
        ),
    )


class ObservationQuery(PageQuery):
    model: CleanText | None = Field(None, max_length=255, examples=["DC-120-2"])


class StartUnderProfile(views.ProfileFields):
    """A start with the limit that its transaction is to have from its begin."""

    evse_no: EvseNo | None = Field(None, description="Left out: the station chooses.")
    id_token: IdTokenText


@router.get(
    "/charging-stations/{identity}/charging-profiles",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound, InvalidCursor),
)
async def list_charging_profiles(
    identity: IdentityPath, parts: Parts, query: Annotated[ProfileQuery, Query()]
) -> views.ProfilePage:
    """List the profiles a station is believed to hold, newest first."""
    after = decode_cursor("charging-profiles", query.cursor, int)
    async with parts.database.read() as connection:
        station = await find_station(connection, identity)
        rows = await read_profiles(
            connection,
            station.id,
            now=parts.clock.now(),
            after=None if after is None else after[0],
            limit=query.limit + 1,
            past=query.past,
        )
    page, following = cut_page(
        rows, query.limit, lambda row: encode_cursor("charging-profiles", row.id)
    )
    return views.ProfilePage(items=[views.profile_view(row) for row in page], next_cursor=following)


@router.post(
    "/charging-stations/{identity}/charging-profiles",
    responses=problems(*GUARDS, *SET_PROBLEMS, *COMMAND_PROBLEMS),
)
async def set_charging_profile(
    identity: IdentityPath, body: views.ProfileRequest, principal: Operator, parts: Parts
) -> views.ProfileResult:
    """Set a charging profile; each broken rule is named in `broken_rules`.

    A profile with the purpose and stack level of another at the same place is refused, also where
    the station would silently replace it; `replace` puts it in the other's place.
    """
    wanted = body.to_wanted(parts.clock.now())
    return views.profile_result(
        await parts.smart.set_profile(identity, wanted, actor=principal.login)
    )


@router.delete(
    "/charging-stations/{identity}/charging-profiles",
    responses=problems(*GUARDS, *COMMAND_PROBLEMS),
)
async def clear_charging_profiles(
    identity: IdentityPath,
    principal: Operator,
    parts: Parts,
    query: Annotated[ClearQuery, Query()],
) -> views.ClearResult:
    """Clear the profile of an id, else all that match every criterion given.

    Without any, a station clears all its profiles, or the request is refused: not every protocol
    allows that.
    """
    command = ClearChargingProfile(**query.model_dump())
    command_id, answer, cleared = await parts.smart.clear_profiles(
        identity, command, actor=principal.login
    )
    return views.ClearResult(command_id=command_id, status=answer.status, cleared=cleared)


@router.post(
    "/charging-stations/{identity}/charging-profiles/report",
    responses=problems(*GUARDS, *COMMAND_PROBLEMS),
)
async def report_charging_profiles(
    identity: IdentityPath, body: ReportRequest, principal: Operator, parts: Parts
) -> views.ReportResult:
    """Ask a station which profiles it holds; the list follows what it reports."""
    command_id, answer, number = await parts.reconciling.ask(
        identity, body.evse_no, actor=principal.login
    )
    return views.ReportResult(command_id=command_id, status=answer.status, request_id=number)


@router.get(
    "/charging-stations/{identity}/composite-schedule",
    responses=problems(*GUARDS, *COMMAND_PROBLEMS, Forbidden),
)
async def get_composite_schedule(
    identity: IdentityPath,
    principal: Viewer,
    parts: Parts,
    query: Annotated[CompositeQuery, Query()],
) -> views.CompositeAnswer:
    """Return what the installed profiles come to from now on, and the station's own answer beside.

    Their comparison teaches whether stations of this model obey.
    """
    if query.source == "ours":
        ours = await parts.comparison.our_schedule(
            identity, query.evse_no, query.duration_s, query.unit
        )
        return views.CompositeAnswer(evse_no=query.evse_no, ours=views.composite_view(ours))
    demand(principal, Role.OPERATOR)
    compared = await parts.comparison.compare(
        identity, query.evse_no, query.duration_s, query.unit, actor=principal.login
    )
    theirs = compared.theirs
    return views.CompositeAnswer(
        evse_no=query.evse_no,
        ours=views.composite_view(compared.ours),
        station=None if theirs is None else views.composite_view(theirs),
        status=compared.answer.status,
        verdict=compared.seen,
        command_id=compared.command_id,
    )


@router.get(
    "/charging-stations/{identity}/charging-limits",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, NotFound),
)
async def get_charging_limits(identity: IdentityPath, parts: Parts) -> views.ChargingLimits:
    """Return which profiles a station takes, which limits others have set, and what cars need."""
    async with parts.database.read() as connection:
        station = await find_station_in_service(connection, identity)
        limits = await read_limits_of(connection, station.id)
        others = await read_external_limits(connection, station.id)
        needs = await read_needs(connection, station.id)
    return views.ChargingLimits(
        takes=views.limits_view(limits),
        set_by_others=[views.external_limit_view(row) for row in others],
        ev_needs=[views.ev_needs_view(row) for row in needs],
    )


@router.get(
    "/charging-profile-observations",
    dependencies=[Depends(viewer)],
    responses=problems(*GUARDS, InvalidCursor),
)
async def list_charging_profile_observations(
    parts: Parts, query: Annotated[ObservationQuery, Query()]
) -> views.ObservationPage:
    """List what stations did with profiles, by model, firmware, purpose, unit and stack level."""
    name = "profile-observations"
    after = decode_cursor(name, query.cursor, str, str, str, str, str, int)
    async with parts.database.read() as connection:
        rows = await read_all_observations(
            connection,
            after=None if after is None else tuple(after),
            limit=query.limit + 1,
            model=query.model,
        )
    page, following = cut_page(
        rows,
        query.limit,
        lambda row: encode_cursor(
            name,
            row.vendor,
            row.model,
            row.firmware,
            row.purpose,
            row.unit,
            row.stack_level,
        ),
    )
    return views.ObservationPage(
        items=[views.observation_view(row) for row in page], next_cursor=following
    )


@router.post(
    "/charging-stations/{identity}/start-under-profile",
    responses=problems(*GUARDS, IdTokenNotAccepted, *SET_PROBLEMS, *COMMAND_PROBLEMS),
)
async def start_under_profile(
    identity: IdentityPath,
    body: StartUnderProfile,
    principal: Operator,
    parts: Parts,
) -> StartResult:
    """Ask a station to start charging for an idToken under a TxProfile."""
    wanted = ProfileWanted(
        evse_no=body.evse_no or 0,
        profile=body.to_profile(ProfilePurpose.TX, parts.clock.now()),
        force=body.force,
    )
    asked, _ = await parts.smart.start_under_profile(
        identity, wanted, body.id_token, actor=principal.login
    )
    return StartResult(
        command_id=asked.command_id,
        remote_start_id=asked.remote_start_id,
        status=asked.answer.status,
        payload=asked.answer.payload,
    )
