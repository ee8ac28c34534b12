"""What the API takes and shows of charging profiles; built from query rows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt
from sqlalchemy import Row

from chargehub.kit.fields import MAX_INT64, UtcTime
from chargehub.kit.paging import Page
from chargehub.smart_charging.composite import CompositeSchedule
from chargehub.smart_charging.ledger import ENDED, IN_FORCE
from chargehub.smart_charging.rules import StationLimits
from chargehub.smart_charging.service import ProfileSet, ProfileWanted
from chargehub.smart_charging.store import profile_of, schedule_of, whole_second
from chargehub.stations.profiles import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)
from chargehub.stations.rules import MAX_EVSES

MAX_INT31 = 2**31 - 1
MAX_RATE = 100_000_000.0
Rate = Annotated[StrictFloat, Field(ge=0, le=MAX_RATE, allow_inf_nan=False, examples=[30_000.0])]
ProfileId = Annotated[StrictInt, Field(ge=1, le=MAX_INT31, examples=[17])]
StackLevel = Annotated[StrictInt, Field(ge=0, le=MAX_INT31, examples=[0])]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PeriodInput(_Input):
    start_s: StrictInt = Field(
        ge=0, le=MAX_INT31, description="Seconds after the schedule's start."
    )
    limit: Rate = Field(description="In the schedule's unit, one decimal; A is per phase.")
    phases: StrictInt | None = Field(None, ge=1, le=3, examples=[None])


class ScheduleInput(_Input):
    unit: RateUnit = Field(examples=[RateUnit.W])
    periods: list[PeriodInput] = Field(
        min_length=1, max_length=1024, examples=[[{"start_s": 0, "limit": 30000.0}]]
    )
    starts_at: UtcTime | None = Field(
        None,
        description="Left out, an Absolute schedule starts now; Relative ones have none.",
        examples=["2026-11-23T04:00:00Z"],
    )
    duration_s: StrictInt | None = Field(
        None, ge=1, le=MAX_INT31, description="Left out: until something else.", examples=[3600]
    )
    min_charging_rate: Rate | None = Field(None, examples=[None])


class ProfileFields(_Input):
    profile_id: ProfileId | None = Field(
        None,
        description=(
            "Left out, the hub chooses; the profile of this id is set anew, and one with another "
            "purpose, stack level or place is refused. With `replace`, the id of the other one."
        ),
        examples=[None],
    )
    stack_level: StackLevel = 0
    kind: ProfileKind = ProfileKind.ABSOLUTE
    recurrency: Recurrency | None = Field(None, examples=[None])
    valid_from: UtcTime | None = Field(None, examples=[None])
    valid_to: UtcTime | None = Field(None, examples=[None])
    schedules: list[ScheduleInput] = Field(
        min_length=1,
        max_length=3,
        description="One, unless the car has told its needs.",
    )
    force: StrictBool = Field(
        False, description="Send it although stations of this model did not take such profiles."
    )

    def to_profile(self, purpose: ProfilePurpose, now: datetime) -> ChargingProfile:
        return ChargingProfile(
            id=self.profile_id or 0,
            stack_level=self.stack_level,
            purpose=purpose,
            kind=self.kind,
            schedules=tuple(
                _schedule(schedule, number, self.kind, now)
                for number, schedule in enumerate(self.schedules, start=1)
            ),
            recurrency=self.recurrency,
            valid_from=None if self.valid_from is None else whole_second(self.valid_from),
            valid_to=None if self.valid_to is None else whole_second(self.valid_to),
        )


class ProfileRequest(ProfileFields):
    evse_no: StrictInt = Field(
        ge=0, le=MAX_EVSES, description="0: the whole station.", examples=[1]
    )
    purpose: ProfilePurpose = Field(examples=[ProfilePurpose.TX_DEFAULT])
    transaction_id: StrictInt | None = Field(
        None, ge=1, le=MAX_INT64, description="For a TxProfile: which one.", examples=[None]
    )
    replace: StrictBool = Field(
        False,
        description="Take the place of the one profile it would clash with, at the same EVSE.",
    )

    def to_wanted(self, now: datetime) -> ProfileWanted:
        return ProfileWanted(
            evse_no=self.evse_no,
            profile=self.to_profile(self.purpose, now),
            transaction_id=self.transaction_id,
            replace=self.replace,
            force=self.force,
        )


def _schedule(
    given: ScheduleInput, number: int, kind: ProfileKind, now: datetime
) -> ChargingSchedule:
    starts_at = given.starts_at
    if starts_at is None and kind is ProfileKind.ABSOLUTE:
        starts_at = now
    return ChargingSchedule(
        unit=given.unit,
        periods=tuple(
            SchedulePeriod(period.start_s, period.limit, period.phases) for period in given.periods
        ),
        starts_at=None if starts_at is None else whole_second(starts_at),
        duration_s=given.duration_s,
        min_charging_rate=given.min_charging_rate,
        id=number,
    )


class PeriodView(BaseModel):
    start_s: int = Field(examples=[0])
    limit: float | None = Field(description="Null: no limit.", examples=[30000.0])
    phases: int | None = Field(None, examples=[None])


class ScheduleView(BaseModel):
    unit: RateUnit
    periods: list[PeriodView]
    starts_at: datetime | None
    duration_s: int | None = Field(examples=[3600])
    min_charging_rate: float | None = Field(examples=[None])


class ProfileView(BaseModel):
    id: int = Field(description="Of this attempt to set it; newest is highest.", examples=[4711])
    profile_id: int = Field(description="What the station knows it by.", examples=[17])
    evse_no: int = Field(description="0: the whole station.", examples=[1])
    purpose: ProfilePurpose
    stack_level: int = Field(examples=[0])
    kind: ProfileKind
    recurrency: Recurrency | None
    valid_from: datetime | None
    valid_to: datetime | None
    schedules: list[ScheduleView]
    state: str = Field(
        description=(
            "In force: pending, installed, unknown (no answer came). No longer: rejected, unsent, "
            "replaced, cleared, lost (the station reports it no more), ended (its transaction)."
        ),
        examples=["installed"],
    )
    status: str | None = Field(description="The station's own word.", examples=["Accepted"])
    source: str = Field(description="CSO is this hub.", examples=["CSO"])
    transaction_id: int | None = Field(examples=[1042])
    set_by: str | None = Field(examples=["operator"])
    set_at: datetime
    settled_at: datetime | None = Field(description="When we last learned of it.")
    reported_at: datetime | None = Field(description="When the station last reported it.")
    closed_at: datetime | None


class ProfilePage(Page[ProfileView]):
    pass


class ProfileResult(BaseModel):
    command_id: UUID
    status: str | None = Field(description="The station's own word.", examples=["Accepted"])
    state: str = Field(examples=["installed"])
    profile_id: int = Field(examples=[17])
    warnings: list[str] = Field(
        description="What stations of this model did before.", examples=[[]]
    )


class ClearResult(BaseModel):
    command_id: UUID
    status: str | None = Field(examples=["Accepted"])
    cleared: int = Field(description="How many known profiles are gone.", examples=[1])


class ReportResult(BaseModel):
    command_id: UUID
    status: str | None = Field(
        description="After Accepted the profiles follow by themselves.", examples=["Accepted"]
    )
    request_id: int = Field(examples=[3])


class CompositePeriodView(BaseModel):
    start_s: int = Field(examples=[0])
    limit: float | None = Field(
        description="At most, whatever the station may hold. Null: no limit that is certain.",
        examples=[30000.0],
    )
    limited_by: list[int] = Field(
        description="Ids of the profiles whose limit it is; 0 is a limit set by others.",
        examples=[[17]],
    )


class CompositeView(BaseModel):
    starts_at: datetime
    duration_s: int = Field(examples=[3600])
    unit: RateUnit
    periods: list[CompositePeriodView]


class CompositeAnswer(BaseModel):
    evse_no: int = Field(examples=[1])
    ours: CompositeView = Field(description="From the profiles believed to be installed.")
    station: CompositeView | None = Field(
        None, description="The station's own, where it was asked and said something usable."
    )
    status: str | None = Field(None, description="The station's own word.", examples=["Accepted"])
    verdict: str | None = Field(
        None,
        description="Whether the station keeps to ours: obeyed, ignored; null: not comparable.",
        examples=["obeyed"],
    )
    command_id: UUID | None = None


class ExternalLimitView(BaseModel):
    evse_no: int = Field(examples=[0])
    source: str = Field(examples=["EMS"])
    grid_critical: bool
    schedules: list[ScheduleView]
    told_at: datetime


class EvNeedsView(BaseModel):
    evse_no: int = Field(examples=[1])
    transaction_id: int | None = Field(examples=[1042])
    needs: dict[str, Any] = Field(description="As the station told them.")
    max_schedule_tuples: int | None = Field(examples=[12])
    departs_at: datetime | None
    told_at: datetime
    answer: str = Field(examples=["Processing"])
    schedule: ScheduleView | None = Field(description="How the car then said it would charge.")
    within_limits: bool | None = Field(
        description="Whether it keeps to our limits; null where it was too much to compare."
    )


class LimitsView(BaseModel):
    """What a station reported that it takes; null where it said nothing."""

    max_stack_level: int | None = Field(examples=[8])
    max_periods: int | None = Field(examples=[24])
    max_profiles: int | None = Field(examples=[10])
    units: list[RateUnit] = Field(description="Empty: not told.")


class ChargingLimits(BaseModel):
    takes: LimitsView
    set_by_others: list[ExternalLimitView]
    ev_needs: list[EvNeedsView]


class ObservationView(BaseModel):
    vendor: str = Field(examples=["ACME"])
    model: str = Field(examples=["DC-120-2"])
    firmware: str = Field(examples=["1.4.2"])
    purpose: ProfilePurpose
    unit: RateUnit
    stack_level: int = Field(examples=[0])
    accepted: int = Field(examples=[12])
    rejected: int = Field(examples=[0])
    not_supported: int = Field(examples=[0])
    obeyed: int = Field(description="Seen in the station's own schedule.", examples=[3])
    ignored: int = Field(description="Accepted, and not seen in it.", examples=[0])
    observed_at: datetime


class ObservationPage(Page[ObservationView]):
    pass


def schedule_view(schedule: ChargingSchedule) -> ScheduleView:
    return ScheduleView(
        unit=schedule.unit,
        periods=[
            PeriodView(start_s=period.start_s, limit=period.limit, phases=period.phases)
            for period in schedule.periods
        ],
        starts_at=schedule.starts_at,
        duration_s=schedule.duration_s,
        min_charging_rate=schedule.min_charging_rate,
    )


def profile_view(row: Row[Any]) -> ProfileView:
    profile = profile_of(row.reported or row.document)
    over = row.over and row.state in IN_FORCE
    return ProfileView(
        id=row.id,
        profile_id=row.profile_id,
        evse_no=row.transaction_evse_no or row.evse_no,
        purpose=profile.purpose,
        stack_level=profile.stack_level,
        kind=profile.kind,
        recurrency=profile.recurrency,
        valid_from=profile.valid_from,
        valid_to=profile.valid_to,
        schedules=[schedule_view(schedule) for schedule in profile.schedules],
        state=ENDED if over else row.state,
        status=row.status,
        source=row.source,
        transaction_id=row.of_transaction,
        set_by=row.set_by,
        set_at=row.set_at,
        settled_at=row.settled_at,
        reported_at=row.reported_at,
        closed_at=row.closed_at,
    )


def profile_result(done: ProfileSet) -> ProfileResult:
    return ProfileResult(
        command_id=done.command_id,
        status=done.answer.status,
        state=done.outcome.state,
        profile_id=done.profile.id,
        warnings=list(done.warnings),
    )


def composite_view(composite: CompositeSchedule) -> CompositeView:
    return CompositeView(
        starts_at=composite.starts_at,
        duration_s=composite.duration_s,
        unit=composite.unit,
        periods=[
            CompositePeriodView(
                start_s=period.start_s, limit=period.limit, limited_by=list(period.limited_by)
            )
            for period in composite.periods
        ],
    )


def limits_view(limits: StationLimits) -> LimitsView:
    return LimitsView(
        max_stack_level=limits.max_stack_level,
        max_periods=limits.max_periods,
        max_profiles=limits.max_profiles,
        units=sorted(limits.units),
    )


def external_limit_view(row: Row[Any]) -> ExternalLimitView:
    return ExternalLimitView(
        evse_no=row.evse_no,
        source=row.source,
        grid_critical=row.grid_critical,
        schedules=[schedule_view(schedule_of(document)) for document in row.schedules],
        told_at=row.told_at,
    )


def ev_needs_view(row: Row[Any]) -> EvNeedsView:
    schedule = None if row.schedule is None else schedule_view(schedule_of(row.schedule))
    return EvNeedsView(
        evse_no=row.evse_no,
        transaction_id=row.transaction_id,
        needs=row.needs,
        max_schedule_tuples=row.max_schedule_tuples,
        departs_at=row.departs_at,
        told_at=row.told_at,
        answer=row.answer,
        schedule=schedule,
        within_limits=row.within_limits,
    )


def observation_view(row: Row[Any]) -> ObservationView:
    return ObservationView.model_validate(row, from_attributes=True)
