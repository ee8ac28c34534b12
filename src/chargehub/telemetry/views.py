"""How the API shows a sample and what is doubtful about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Row

from chargehub.kit.fields import UtcTime
from chargehub.kit.paging import Page, PageQuery
from chargehub.telemetry.readings import Flag


class SeriesQuery(PageQuery):
    limit: int = Field(1000, ge=1, le=5000, description="Samples a page.")
    begin: UtcTime | None = Field(None, description="From this time on.", alias="from")
    end: UtcTime | None = Field(None, description="Before this time.", alias="to")


class SampleView(BaseModel):
    sampled_at: datetime = Field(description="The station's own time.")
    received_at: datetime
    evse_no: int = Field(description="0: the station as a whole.", examples=[1])
    transaction_id: int | None = Field(examples=[1042])
    context: str = Field(examples=["Sample.Periodic"])
    register_wh: int | None = Field(description="As reported.", examples=[10482300])
    energy_wh: int | None = Field(
        description="Corrected, since the transaction's begin.", examples=[12400]
    )
    power_w: int | None = Field(examples=[98500])
    offered_power_w: int | None
    voltage_v: float | None = Field(examples=[402.5])
    current_a: float | None = Field(examples=[244.7])
    soc_percent: float | None = Field(examples=[57.0])
    temperature_c: float | None
    flags: list[str] = Field(description="Why it deserves a second look.", examples=[[]])
    extras: dict[str, Any] | None = Field(description="Other measurands, phases, locations.")
    raw: Any = Field(None, description="The station's own element, kept when a flag is set.")


class SamplePage(Page[SampleView]):
    pass


def flag_names(flags: int) -> list[str]:
    """Return the names of a stored bit set; bits we do not know are left out."""
    return [flag.name for flag in Flag if flag.name and flag & flags]


def sample_view(row: Row[Any]) -> SampleView:
    return SampleView(
        sampled_at=row.sampled_at,
        received_at=row.received_at,
        evse_no=row.evse_no,
        transaction_id=row.transaction_id or None,
        context=row.context,
        register_wh=row.register_wh,
        energy_wh=row.energy_wh,
        power_w=row.power_w,
        offered_power_w=row.offered_power_w,
        voltage_v=row.voltage_v,
        current_a=row.current_a,
        soc_percent=row.soc_percent,
        temperature_c=row.temperature_c,
        flags=flag_names(row.flags),
        extras=row.extras,
        raw=row.raw,
    )
