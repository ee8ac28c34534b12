"""What the API takes and shows of opening times: OCPI Hours, and how the table holds them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    model_validator,
)
from sqlalchemy import Row

from chargehub.kit.fields import UtcTime
from chargehub.stations.opening import minutes_of, overlap, read_periods


class RegularHours(BaseModel):
    """OCPI RegularHours: open on this weekday, by the wall clock of the Location."""

    model_config = ConfigDict(extra="forbid")

    weekday: Annotated[StrictInt, Field(ge=1, le=7)] = Field(
        description="1 Monday to 7 Sunday.", examples=[1]
    )
    period_begin: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = Field(
        examples=["06:00"]
    )
    period_end: Annotated[str, StringConstraints(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")] = (
        Field(description="Later than the begin, 24:00 at the latest.", examples=["22:30"])
    )

    @model_validator(mode="after")
    def _forward(self) -> RegularHours:
        if minutes_of(self.period_end) <= minutes_of(self.period_begin):
            raise ValueError(
                "A period ends later than it begins; one through midnight is two: until 24:00, "
                "and from 00:00 of the next day"
            )
        return self


class ExceptionalPeriod(BaseModel):
    """OCPI ExceptionalPeriod: from the begin until before the end, as a holiday is."""

    model_config = ConfigDict(extra="forbid")

    period_begin: UtcTime = Field(examples=["2027-02-06T00:00:00+08:00"])
    period_end: UtcTime = Field(examples=["2027-02-13T00:00:00+08:00"])

    @model_validator(mode="after")
    def _forward(self) -> ExceptionalPeriod:
        if self.period_end <= self.period_begin:
            raise ValueError("A period ends later than it begins")
        return self


ExceptionalPeriods = Annotated[list[ExceptionalPeriod], Field(max_length=100, examples=[[]])]


class OpeningTimes(BaseModel):
    """OCPI Hours: round the clock, or regular hours; and dated exceptions, as holidays are."""

    model_config = ConfigDict(extra="forbid")

    twenty_four_seven: StrictBool = Field(examples=[True])
    regular_hours: list[RegularHours] = Field(default=[], max_length=70, examples=[[]])
    exceptional_openings: ExceptionalPeriods = Field(
        default=[], description="Open also then, beside the regular hours."
    )
    exceptional_closings: ExceptionalPeriods = Field(
        default=[], description="Closed then, whatever the regular hours say."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> OpeningTimes:
        if self.twenty_four_seven == bool(self.regular_hours):
            raise ValueError("Either twenty_four_seven or regular_hours, not both and not neither")
        if overlap(read_periods(self.stored()) or ()):
            raise ValueError("Two periods of one weekday overlap")
        if self._contradict():
            raise ValueError("An exceptional opening and an exceptional closing overlap")
        return self

    def _contradict(self) -> bool:
        return any(
            opening.period_begin < closing.period_end and closing.period_begin < opening.period_end
            for opening in self.exceptional_openings
            for closing in self.exceptional_closings
        )

    def stored(self) -> list[dict[str, Any]] | None:
        """Return what `locations.regular_hours` holds."""
        if self.twenty_four_seven:
            return None
        return [item.model_dump() for item in self.regular_hours]

    def stored_exceptions(self) -> list[dict[str, Any]] | None:
        """Return what `locations.opening_exceptions` holds."""
        exceptions = [
            {
                "closed": closed,
                "begin": one.period_begin.isoformat(),
                "end": one.period_end.isoformat(),
            }
            for closed, periods in (
                (False, self.exceptional_openings),
                (True, self.exceptional_closings),
            )
            for one in periods
        ]
        return exceptions or None


def opening_times_of(row: Row[Any]) -> OpeningTimes:
    hours = row.regular_hours
    exceptions = row.opening_exceptions or ()
    # As stored: what was acceptable once is shown, whatever is asked for by then.
    return OpeningTimes.model_construct(
        twenty_four_seven=hours is None,
        regular_hours=[RegularHours.model_construct(**item) for item in hours or ()],
        exceptional_openings=[_exceptional(item) for item in exceptions if not item["closed"]],
        exceptional_closings=[_exceptional(item) for item in exceptions if item["closed"]],
    )


def _exceptional(item: dict[str, Any]) -> ExceptionalPeriod:
    begin, end = (datetime.fromisoformat(item[name]) for name in ("begin", "end"))
    return ExceptionalPeriod.model_construct(period_begin=begin, period_end=end)
