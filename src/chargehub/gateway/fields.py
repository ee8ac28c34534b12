"""Reads fields of a payload into values that fit their columns, whatever was sent. Pure.

Owns tolerance and ranges; which field means what belongs to the translators.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chargehub.gateway.translation import Context, Payload
from chargehub.kit.clean import clean_json
from chargehub.stations.reports import NoticeReported
from chargehub.telemetry.meter_values import read_timestamp
from chargehub.telemetry.readings import Flag

MAX_INT16 = 2**15 - 1
MAX_INT31 = 2**31 - 1
MAX_INT63 = 2**63 - 1


class Fields:
    """One JSON object, read field by field; remembers whether anything had to be left out."""

    __slots__ = ("_values", "dropped")

    def __init__(self, values: object) -> None:
        self.dropped = not isinstance(values, dict)
        self._values: dict[str, Any] = values if isinstance(values, dict) else {}

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def raw(self, name: str) -> Any:
        return self._values.get(name)

    def whole(self, name: str, low: int = 0, high: int = MAX_INT31) -> int | None:
        """Read an integer; one written as text or as a float with no fraction will do."""
        value = self._values.get(name)
        if type(value) is int and low <= value <= high:
            return value
        if value is None:
            return None
        number = _whole(value)
        if number is None or not low <= number <= high:
            self.dropped = True
            return None
        return number

    def text(self, name: str, limit: int = 255) -> str | None:
        """Read a text, cut to `limit`; a number will do. Empty text stays empty.

        Text is free of NUL and lone surrogates since the socket's JSON reader.
        """
        value = self._values.get(name)
        if value is None or (type(value) is str and len(value) <= limit):
            return value
        if not isinstance(value, str):
            number = _whole(value)
            if number is None or not abs(number) <= MAX_INT63:
                self.dropped = True
                return None
            value = str(number)
        if len(value) > limit:
            self.dropped = True
            value = value[:limit]
        return value

    def filled(self, name: str, limit: int = 255) -> str | None:
        """Read a text; empty text means absent."""
        return self.text(name, limit) or None

    def truth(self, name: str) -> bool:
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.dropped = True
        return False

    def child(self, name: str) -> Fields:
        """Read an object; an absent one reads as empty."""
        value = self._values.get(name)
        child = Fields({} if value is None else value)
        self.dropped = self.dropped or child.dropped
        return child

    def children(self, name: str) -> list[Fields]:
        """Read a list of objects; what is no object is left out."""
        value = self._values.get(name)
        if not isinstance(value, list):
            self.dropped = self.dropped or value is not None
            return []
        self.dropped = self.dropped or not all(isinstance(item, dict) for item in value)
        return [Fields(item) for item in value if isinstance(item, dict)]

    def moment(self, name: str, received_at: datetime) -> datetime | None:
        """Read a timestamp that may be absent; an unusable one counts as absent."""
        if self._values.get(name) is None:
            return None
        at, flag = read_timestamp(self._values[name], received_at)
        return None if flag and at == received_at else at


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    # int() accepts more than 20 digits only at a price.
    if isinstance(value, str) and 0 < len(value) <= 20:
        try:
            return int(value)
        except ValueError:
            return None
    return None


def reading_flags(context: Context) -> int:
    return 0 if context.valid else Flag.INVALID_PAYLOAD.value


def notice(
    kind: str, payload: Payload, context: Context, at: datetime | None = None
) -> NoticeReported:
    kept = clean_json(payload)
    return NoticeReported(
        station_id=context.station_id,
        received_at=context.received_at,
        kind=kind,
        payload=kept if isinstance(kept, dict) else {"payload": kept},
        at=at,
        flagged=not context.valid,
    )


def message_flags(fields: Fields, context: Context) -> int:
    return 0 if context.valid and not fields.dropped else Flag.INVALID_PAYLOAD.value


def flagged_notice(kind: str, payload: Payload, context: Context) -> tuple[NoticeReported, ...]:
    """Keep the whole payload beside what was read of it, when it failed its schema."""
    return () if context.valid else (notice(kind, payload, context),)
