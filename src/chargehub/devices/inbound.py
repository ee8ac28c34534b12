"""What stations tell of their variables, decided and stored in the group commit's batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
import structlog
from psycopg import AsyncConnection

from chargehub.devices.reports import (
    VariableReported,
    VariablesReported,
    VariablesWritten,
    WriteEffect,
)
from chargehub.devices.rules import (
    ReportJob,
    ReportState,
    join_page,
    room_for,
    shown_value,
)
from chargehub.kit import jobs
from chargehub.kit.group_commit import BatchHandler, BatchStatement, Decision, Item, Row, Writes
from chargehub.kit.metrics import limit_counter
from chargehub.kit.report_handler import ReportHandler
from chargehub.stations.commands import VariableName
from chargehub.stations.reports import BootReported

log = structlog.get_logger(__name__)
_FULL = limit_counter("station_variables")

Connection = AsyncConnection[Row]

GIVE_UP = "report.give_up"
"""Due row: the report `subject` has had no further page for long."""
GIVE_UP_AFTER = timedelta(minutes=10)
INVENTORY = "station.inventory"
"""Due row: the station `subject` has booted with a firmware that no inventory is known of."""

STATION_TOLD = "station.drift"
"""Due row: the station `subject` has told something of its variables."""
TEMPLATE_CHANGED = "template.drift"
"""Due row: the template `subject` is new or another."""

UPSERT_VARIABLES = BatchStatement(
    "station_variables.upsert",
    """
    INSERT INTO station_variables AS v (station_id, key, path, component, component_instance,
        evse_no, connector_no, variable, variable_instance, attribute, value, mutability, data_type,
        unit, min_limit, max_limit, values_list, own_key, read_at)
    SELECT DISTINCT ON (station_id, key) *
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[],
        %s::smallint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::text[], %s::double precision[], %s::double precision[], %s::text[], %s::text[],
        %s::timestamptz[])
        AS u(station_id, key, path, component, component_instance, evse_no, connector_no, variable,
             variable_instance, attribute, value, mutability, data_type, unit, min_limit, max_limit,
             values_list, own_key, read_at)
    ORDER BY station_id, key, read_at DESC
    ON CONFLICT (station_id, key) DO UPDATE SET
        path = EXCLUDED.path, value = EXCLUDED.value, read_at = EXCLUDED.read_at, supported = true,
        mutability = coalesce(EXCLUDED.mutability, v.mutability),
        data_type = coalesce(EXCLUDED.data_type, v.data_type),
        unit = coalesce(EXCLUDED.unit, v.unit),
        min_limit = coalesce(EXCLUDED.min_limit, v.min_limit),
        max_limit = coalesce(EXCLUDED.max_limit, v.max_limit),
        values_list = coalesce(EXCLUDED.values_list, v.values_list),
        own_key = coalesce(EXCLUDED.own_key, v.own_key)
    """,
)

_NAME_COLUMNS = """station_id, key, path, component, component_instance, evse_no, connector_no,
        variable, variable_instance, attribute"""
_NAME_ARRAYS = """%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[],
        %s::smallint[], %s::text[], %s::text[], %s::text[]"""

MARK_UNSUPPORTED = BatchStatement(
    "station_variables.unsupported",
    f"""
    INSERT INTO station_variables ({_NAME_COLUMNS}, supported)
    SELECT DISTINCT ON (station_id, key) *, false FROM unnest({_NAME_ARRAYS})
        AS u({_NAME_COLUMNS})
    ON CONFLICT (station_id, key) DO UPDATE SET
        supported = false, value = NULL, pending_value = NULL
    """,  # noqa: S608  Constants of this module.
    order=51,
)

# The value is what the station confirmed. Where it is not read back, nothing is known but that.
APPLY_WRITES = BatchStatement(
    "station_variables.apply",
    f"""
    INSERT INTO station_variables AS v ({_NAME_COLUMNS}, value, read_at)
    SELECT DISTINCT ON (station_id, key) *
    FROM unnest({_NAME_ARRAYS}, %s::text[], %s::timestamptz[])
        AS u({_NAME_COLUMNS}, value, read_at)
    ON CONFLICT (station_id, key) DO UPDATE SET
        value = CASE WHEN v.mutability = 'WriteOnly' THEN NULL ELSE EXCLUDED.value END,
        read_at = EXCLUDED.read_at, supported = true, pending_value = NULL, pending_at = NULL
    """,  # noqa: S608  As above.
    order=52,
)

HOLD_WRITES = BatchStatement(
    "station_variables.hold",
    f"""
    INSERT INTO station_variables AS v ({_NAME_COLUMNS}, pending_value, pending_at)
    SELECT DISTINCT ON (station_id, key) *
    FROM unnest({_NAME_ARRAYS}, %s::text[], %s::timestamptz[])
        AS u({_NAME_COLUMNS}, pending_value, pending_at)
    ON CONFLICT (station_id, key) DO UPDATE SET
        supported = true, pending_value = EXCLUDED.pending_value, pending_at = EXCLUDED.pending_at
    """,  # noqa: S608  As above.
    order=53,
)

UPDATE_REPORT = BatchStatement(
    "variable_reports.update",
    """
    UPDATE variable_reports r SET state = u.state, pages = u.pages::jsonb, last_page = u.last_page,
        ended_at = u.ended_at
    FROM unnest(%s::integer[], %s::text[], %s::text[], %s::integer[], %s::timestamptz[])
        AS u(request_id, state, pages, last_page, ended_at)
    WHERE r.request_id = u.request_id
    """,
)

# What a whole report does not name any more is not there any more.
FORGET_OLDER = BatchStatement(
    "station_variables.forget",
    """
    DELETE FROM station_variables v USING unnest(%s::bigint[], %s::timestamptz[])
        AS u(station_id, asked_at)
    WHERE v.station_id = u.station_id
        AND coalesce(v.read_at < u.asked_at, v.pending_at < u.asked_at, true)
    """,
    order=60,
)


# After the boot itself is stored. Most stations boot with the firmware that they had.
ASK_INVENTORY = BatchStatement(
    "station_variables.ask_inventory",
    """
    INSERT INTO due_actions (kind, subject, due_at)
    SELECT DISTINCT ON (u.station_id) u.kind, u.station_id::text, u.due_at
    FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[]) AS u(kind, station_id, due_at)
    JOIN charging_stations s ON s.id = u.station_id
        AND s.inventoried_firmware IS DISTINCT FROM coalesce(s.firmware_version, '')
    ORDER BY u.station_id, u.due_at DESC
    ON CONFLICT (kind, subject) DO UPDATE SET due_at = EXCLUDED.due_at, attempts = 0
    """,
    order=80,
)


COMPARE = BatchStatement(
    "template_drift.compare",
    """
    INSERT INTO due_actions (kind, subject, due_at)
    SELECT DISTINCT ON (u.station_id) u.kind, u.station_id::text, u.due_at
    FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[]) AS u(kind, station_id, due_at)
    WHERE EXISTS (SELECT FROM configuration_templates)
    ORDER BY u.station_id, u.due_at DESC
    ON CONFLICT (kind, subject) DO UPDATE SET due_at = EXCLUDED.due_at, attempts = 0
    """,
    order=80,
)


class _Job(NamedTuple):
    station_id: int
    asked_at: datetime
    job: ReportJob


class _Facts(NamedTuple):
    jobs: Mapping[int, _Job]
    """By request id."""
    counts: Mapping[int, int]
    """Variables that are stored, by station."""
    known: Mapping[int, frozenset[str]]
    """Of the reported keys those that are stored, by station."""


def station_booted(report: BootReported, writes: Writes) -> None:
    """Have a station asked for all its variables, where this firmware's are not known."""
    writes.add(ASK_INVENTORY, (INVENTORY, report.station_id, report.received_at))


@dataclass(slots=True, eq=False)
class VariablesHandler:
    """Keeps the last told value of every variable, and counts the pages of the reports."""

    station_variables: int
    """How many are kept of a station."""

    async def read(
        self, connection: Connection, items: Sequence[Item[VariablesReported]]
    ) -> _Facts:
        numbers = [item.report.request_id for item in items if item.report.request_id is not None]
        stations = [item.report.station_id for item in items]
        keys = [list(_keys(item.report)) for item in items]
        cursor = await connection.execute(
            "SELECT station_id, count(*) FROM station_variables WHERE station_id = ANY(%s)"
            " GROUP BY station_id",
            (stations,),
        )
        counts: dict[int, int] = {row[0]: row[1] for row in await cursor.fetchall()}
        known: dict[int, frozenset[str]] = {}
        for station_id, reported in zip(stations, keys, strict=True):
            # As a rule there is room for all, and nobody needs to know which are new.
            if counts.get(station_id, 0) + len(reported) > self.station_variables:
                known[station_id] = await _stored_keys(connection, station_id, reported)
        return _Facts(await _jobs(connection, numbers), counts, known)

    def decide(
        self, item: Item[VariablesReported], facts: _Facts, writes: Writes
    ) -> Decision[None]:
        report = item.report
        station_id = report.station_id
        stored = facts.known.get(station_id, frozenset())
        keys = list(_keys(report))
        kept = room_for(keys, stored, facts.counts.get(station_id, 0), self.station_variables)
        writes.add(COMPARE, (STATION_TOLD, station_id, report.received_at))
        if len(kept) < len(set(keys)):
            _FULL.inc()
            log.warning("variables_not_kept", station=station_id, count=len(set(keys)) - len(kept))
        for variable in _last_of_each(report.variables):
            if variable.name.key in kept:
                writes.add(UPSERT_VARIABLES, _row(report, variable))
        for name in report.unsupported:
            if name.key in kept:
                writes.add(MARK_UNSUPPORTED, name_row(station_id, name))
        found = None if report.request_id is None else facts.jobs.get(report.request_id)
        # A number that we gave to another station is none of this one's.
        if found is not None and found.station_id == station_id:
            self._join(report, found, writes)
        return Decision(None)

    def _join(self, report: VariablesReported, found: _Job, writes: Writes) -> None:
        if report.seq_no is None:
            return
        joined = join_page(found.job, report.seq_no, last=report.last)
        if joined == found.job:
            return
        number = report.request_id
        complete = joined.state is ReportState.COMPLETE
        pages = orjson.dumps(sorted(joined.pages)).decode()
        ended_at = None if joined.state.open else report.received_at
        writes.add(UPDATE_REPORT, (number, str(joined.state), pages, joined.last_page, ended_at))
        if complete and found.job.state is not ReportState.COMPLETE:
            writes.add(FORGET_OLDER, (report.station_id, found.asked_at))
        elif joined.state.open:
            due_at = report.received_at + GIVE_UP_AFTER
            writes.add(jobs.SCHEDULE, (GIVE_UP, str(number), due_at, "{}"))


class WritesHandler(ReportHandler[VariablesWritten, None]):
    """Changes what is stored of a variable when the station has confirmed it, not before."""

    def decide_report(self, report: VariablesWritten, writes: Writes) -> Decision[None]:
        writes.add(COMPARE, (STATION_TOLD, report.station_id, report.received_at))
        for told in {outcome.name.key: outcome for outcome in report.outcomes}.values():
            name = name_row(report.station_id, told.name)
            value = shown_value(told.name, told.value)
            if told.effect is WriteEffect.APPLIED:
                writes.add(APPLY_WRITES, (*name, value, report.received_at))
            elif told.effect is WriteEffect.AFTER_REBOOT:
                writes.add(HOLD_WRITES, (*name, value, report.received_at))
            elif told.effect is WriteEffect.UNSUPPORTED:
                writes.add(MARK_UNSUPPORTED, name)
        return Decision(None)


async def _jobs(connection: Connection, numbers: Sequence[int]) -> dict[int, _Job]:
    if not numbers:
        return {}
    cursor = await connection.execute(
        "SELECT request_id, station_id, asked_at, state, pages, last_page"
        " FROM variable_reports WHERE request_id = ANY(%s)",
        (numbers,),
    )
    return {
        row[0]: _Job(row[1], row[2], ReportJob(ReportState(row[3]), frozenset(row[4]), row[5]))
        for row in await cursor.fetchall()
    }


async def _stored_keys(
    connection: Connection, station_id: int, keys: Sequence[str]
) -> frozenset[str]:
    cursor = await connection.execute(
        "SELECT key FROM station_variables WHERE station_id = %s AND key = ANY(%s)",
        (station_id, list(keys)),
    )
    return frozenset(row[0] for row in await cursor.fetchall())


def _keys(report: VariablesReported) -> Iterable[str]:
    yield from (variable.name.key for variable in report.variables)
    yield from (name.key for name in report.unsupported)


def _row(report: VariablesReported, variable: VariableReported) -> tuple[object, ...]:
    return (
        *name_row(report.station_id, variable.name),
        shown_value(variable.name, variable.value),
        variable.mutability,
        variable.data_type,
        variable.unit,
        variable.min_limit,
        variable.max_limit,
        variable.values_list,
        variable.own_key,
        report.received_at,
    )


def name_row(station_id: int, name: VariableName) -> tuple[object, ...]:
    return (
        station_id,
        name.key,
        name.path,
        name.component,
        name.component_instance,
        name.evse_no,
        name.connector_no,
        name.variable,
        name.variable_instance,
        name.attribute,
    )


def _last_of_each(variables: Iterable[VariableReported]) -> Iterable[VariableReported]:
    return {variable.name.key: variable for variable in variables}.values()


def handlers(station_variables: int) -> dict[type, BatchHandler[Any, Any, Any]]:
    """Return who handles what, by report."""
    return {
        VariablesReported: VariablesHandler(station_variables),
        VariablesWritten: WritesHandler(),
    }
