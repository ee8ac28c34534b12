"""What the API takes and shows of variables, templates and applications."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints
from sqlalchemy import Row

from chargehub.devices.names import meant
from chargehub.devices.queries import name_of, variable_of
from chargehub.devices.rules import DriftState, ReportState, StationOutcome, missing_pages
from chargehub.devices.templates import Compared, wanted_of
from chargehub.devices.variables import WriteResult
from chargehub.kit.fields import CleanText, ShortText
from chargehub.kit.paging import Page
from chargehub.stations.commands import VariableName, VariableWrite

NameText = Annotated[CleanText, StringConstraints(max_length=50)]
MAX_ITEMS = 200


class NameInput(BaseModel):
    """The name of a variable, in the words of the OCPP 2.x device model.

    A configuration key that the hub knows as a 2.x variable is taken for that variable.
    """

    model_config = ConfigDict(extra="forbid")

    component: NameText = Field(
        description="Empty for a configuration key that has no 2.x name.",
        examples=["OCPPCommCtrlr"],
    )
    variable: NameText = Field(min_length=1, examples=["HeartbeatInterval"])
    component_instance: NameText | None = Field(None, examples=[None])
    evse_no: StrictInt | None = Field(None, ge=0, le=32_767, examples=[None])
    connector_no: StrictInt | None = Field(None, ge=0, le=32_767, examples=[None])
    variable_instance: NameText | None = Field(None, examples=[None])
    attribute: Literal["Actual", "Target", "MinSet", "MaxSet"] = "Actual"

    def name(self) -> VariableName:
        return meant(name_of(self))


class WriteInput(NameInput):
    value: CleanText = Field(max_length=1_000, examples=["300"])

    def write(self) -> VariableWrite:
        return VariableWrite(self.name(), self.value)


class WritesInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    writes: list[WriteInput] = Field(min_length=1, max_length=MAX_ITEMS)


class NamesInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    names: list[NameInput] = Field(
        default_factory=list,
        max_length=MAX_ITEMS,
        description="Empty: a report of everything, which arrives by itself.",
    )


class NameView(BaseModel):
    component: str = Field(examples=["OCPPCommCtrlr"])
    variable: str = Field(examples=["HeartbeatInterval"])
    component_instance: str | None
    evse_no: int | None
    connector_no: int | None
    variable_instance: str | None
    attribute: str = Field(examples=["Actual"])


class VariableView(NameView):
    own_key: str | None = Field(
        description="What the station calls it, where that is another name.",
        examples=["HeartbeatInterval"],
    )
    value: str | None = Field(
        description="As last told; null where it has none or may not be read.", examples=["300"]
    )
    mutability: str | None = Field(examples=["ReadWrite"])
    data_type: str | None = Field(examples=["integer"])
    unit: str | None = Field(examples=["s"])
    min_limit: float | None
    max_limit: float | None
    values_list: list[str] | None
    supported: bool = Field(description="False: the station said that it has no such variable.")
    pending_value: str | None = Field(
        description="A value that it takes at its next boot.", examples=[None]
    )
    read_at: datetime | None


class ReportView(BaseModel):
    """The newest report of everything."""

    request_id: int
    state: ReportState
    asked_at: datetime
    ended_at: datetime | None
    pages: int
    missing_pages: list[int] = Field(description="The first ten; empty for a complete report.")


class VariablePage(Page[VariableView]):
    report: ReportView | None


class WriteResultView(NameView):
    value: str = Field(examples=["300"])
    effect: Literal[
        "applied",
        "after_reboot",
        "refused",
        "unsupported",
        "waiting",
        "replaced",
        "cancelled",
        "expired",
        "unknown",
        "failed",
        "not_sent",
    ]
    status: str | None = Field(description="The station's own word.", examples=["Accepted"])
    command_id: UUID | None
    error: str | None = Field(
        description="The problem's code, where the request failed.", examples=[None]
    )


class WriteResults(BaseModel):
    results: list[WriteResultView]


class ToldView(NameView):
    value: str | None


class ReadResults(BaseModel):
    told: list[ToldView]
    unsupported: list[NameView] = Field(description="What the station does not have.")
    request_id: int | None = Field(
        description="Of the report of everything, where that was asked for."
    )


class TemplateInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: ShortText = Field(min_length=1, examples=["Hub standard"])
    description: ShortText = ""
    vendor: ShortText | None = Field(None, examples=["ChargeHub Simulators"])
    model: ShortText | None = Field(None, examples=["DC-120-2"])
    firmware_version: ShortText | None = None
    identities: list[CleanText] | None = Field(
        None, max_length=5_000, description="These stations, as far as the filters let them."
    )
    wanted: list[WriteInput] = Field(min_length=1, max_length=MAX_ITEMS)


class WantedView(NameView):
    value: str


class TemplateView(BaseModel):
    id: int
    name: str
    description: str
    vendor: str | None
    model: str | None
    firmware_version: str | None
    identities: list[str] | None
    wanted: list[WantedView]
    revision: int
    changed_by: str
    changed_at: datetime
    drifting_stations: int = Field(
        description="Stations that differ from it by what they told last; each has a notice "
        "(ConfigurationDrift) of when it began and ended.",
        examples=[3],
    )


class TemplatePage(Page[TemplateView]):
    pass


class DriftItem(NameView):
    wanted: str
    actual: str | None
    pending_value: str | None
    state: DriftState
    read_at: datetime | None


class StationDrift(BaseModel):
    identity: str = Field(examples=["CS001"])
    counts: dict[DriftState, int] = Field(examples=[{"in_sync": 4, "drift": 1}])
    variables: list[DriftItem]


class DriftPage(Page[StationDrift]):
    pass


class ApplicationInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    identities: list[CleanText] | None = Field(
        None, min_length=1, max_length=5_000, description="Only these of the template's stations."
    )
    only_drift: StrictBool = Field(
        True, description="Send what differs or is not known; else everything."
    )
    expires_in_s: StrictInt | None = Field(
        None, ge=1, le=31_536_000, description="Hub seconds that a station may stay away."
    )


class ApplicationView(BaseModel):
    id: UUID
    template_id: int
    template_name: str
    revision: int
    only_drift: bool
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    cancelled_at: datetime | None
    station_count: int
    counts: dict[StationOutcome, int] = Field(examples=[{"accepted": 88, "under_way": 3}])


class ApplicationPage(Page[ApplicationView]):
    pass


class Refused(BaseModel):
    variable: str
    message: str


class ApplicationStation(BaseModel):
    identity: str = Field(examples=["CS001"])
    outcome: StationOutcome
    commands: dict[str, int] = Field(
        description="Its commands by outcome.", examples=[{"answered": 2}]
    )
    statuses: dict[str, int] = Field(
        description="The station's own words.", examples=[{"Accepted": 2}]
    )
    refused: list[Refused] = Field(description="Values that were not sent, and why.")


class ApplicationStationPage(Page[ApplicationStation]):
    pass


def name_fields(name: VariableName) -> dict[str, Any]:
    return {field: getattr(name, field) for field in NameView.model_fields}


def variable_view(row: Row[Any]) -> VariableView:
    known = variable_of(row)
    listed = known.values_list
    return VariableView(
        **name_fields(known.name),
        own_key=known.own_key,
        value=known.value,
        mutability=known.mutability,
        data_type=known.data_type,
        unit=known.unit,
        min_limit=known.min_limit,
        max_limit=known.max_limit,
        values_list=None if listed is None else [part.strip() for part in listed.split(",")],
        supported=known.supported,
        pending_value=known.pending_value,
        read_at=known.read_at,
    )


def report_view(row: Row[Any] | None) -> ReportView | None:
    if row is None:
        return None
    state = ReportState(row.state)
    paged = state in {ReportState.RECEIVING, ReportState.INCOMPLETE}
    missing = missing_pages(row.pages, row.last_page)[:10] if paged else []
    return ReportView(
        request_id=row.request_id,
        state=state,
        asked_at=row.asked_at,
        ended_at=row.ended_at,
        pages=len(row.pages),
        missing_pages=missing,
    )


def result_view(result: WriteResult) -> WriteResultView:
    return WriteResultView.model_validate(
        {
            **name_fields(result.name),
            "value": result.value,
            "effect": result.effect,
            "status": result.status,
            "command_id": result.command_id,
            "error": result.error,
        }
    )


def template_view(row: Row[Any], drifting: int) -> TemplateView:
    return TemplateView(
        id=row.id,
        name=row.name,
        description=row.description,
        vendor=row.vendor,
        model=row.model,
        firmware_version=row.firmware_version,
        identities=row.identities,
        wanted=[
            WantedView(**name_fields(write.name), value=write.value) for write in wanted_of(row)
        ],
        revision=row.revision,
        changed_by=row.changed_by,
        changed_at=row.changed_at,
        drifting_stations=drifting,
    )


def drift_item(compared: Compared) -> DriftItem:
    known = compared.known
    return DriftItem(
        **name_fields(compared.name),
        wanted=compared.wanted,
        actual=None if known is None else known.value,
        pending_value=None if known is None else known.pending_value,
        state=compared.state,
        read_at=None if known is None else known.read_at,
    )
