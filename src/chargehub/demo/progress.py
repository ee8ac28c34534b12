"""What the demo shows of the running hub: figures read from its database and its metrics."""

from __future__ import annotations

import json
import math
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from prometheus_client.parser import text_string_to_metric_families
from psycopg.rows import dict_row
from rich.table import Table

from chargehub.demo.seed import GUNS, HUB, HUB_STATIONS
from chargehub.kit.clock import HubClock
from chargehub.kit.errors import ChargeHubError

EVSES = HUB_STATIONS * GUNS

QUERY = """
WITH hub AS (
    SELECT id FROM charging_stations WHERE location_id = %(hub)s AND decommissioned_at IS NULL
)
SELECT
    (SELECT count(*) FROM hub JOIN station_connections ON station_id = hub.id
        WHERE disconnected_at IS NULL) AS stations_online,
    (SELECT count(DISTINCT (station_id, evse_no)) FROM connectors JOIN hub ON hub.id = station_id
        WHERE status_received_at IS NOT NULL) AS evses_reported,
    (SELECT json_object_agg(state, many) FROM (
        -- A 2.x connector only says Occupied; its transaction knows more.
        SELECT CASE WHEN c.status = 'Occupied' THEN coalesce(t.charging_state, c.status)
            ELSE c.status END AS state, count(*) AS many
        FROM connectors AS c JOIN hub ON hub.id = c.station_id
        LEFT JOIN transactions AS t ON t.state = 'Active'
            AND t.station_id = c.station_id AND t.evse_no = c.evse_no
        GROUP BY 1) AS states) AS evse_states,
    (SELECT count(*) FROM transactions WHERE state = 'Active') AS active,
    (SELECT count(*) FROM transactions WHERE state = 'Ended') AS completed,
    (SELECT coalesce(sum(energy_wh), 0)::bigint FROM transactions) AS energy_wh,
    (SELECT coalesce(sum(last.power_w), 0)::bigint FROM transactions AS t
        CROSS JOIN LATERAL (
            SELECT power_w FROM samples AS s
            WHERE s.station_id = t.station_id AND s.evse_no = t.evse_no AND s.transaction_id = t.id
            ORDER BY sampled_at DESC LIMIT 1) AS last
        WHERE t.state = 'Active') AS power_w
"""


@dataclass(frozen=True, slots=True)
class Progress:
    hub_time: datetime
    stations_online: int
    evses_reported: int
    evse_states: Mapping[str, int]
    active: int
    completed: int
    energy_wh: int
    power_w: int

    def line(self) -> str:
        """Render as one plain line."""
        states = ", ".join(f"{many} {name}" for name, many in sorted(self.evse_states.items()))
        return (
            f"hub time {self.hub_time:%Y-%m-%d %H:%M:%S}Z | "
            f"stations online {self.stations_online}/{HUB_STATIONS} | "
            f"EVSEs {states or 'none yet'} | "
            f"transactions {self.active} active, {self.completed} completed | "
            f"energy {self.energy_wh / 1000:,.1f} kWh | power {self.power_w / 1000:,.0f} kW"
        )

    def table(self) -> Table:
        """Render for a terminal."""
        table = Table(title="ChargeHub", show_header=False, min_width=48)
        table.add_column(style="bold")
        table.add_column(justify="right", min_width=22)
        table.add_row("Hub time", f"{self.hub_time:%Y-%m-%d %H:%M:%S} UTC")
        table.add_row("Stations online", f"{self.stations_online} of {HUB_STATIONS}")
        table.add_row("EVSEs reported", f"{self.evses_reported} of {EVSES}", end_section=True)
        for name, many in sorted(self.evse_states.items(), key=lambda state: -state[1]):
            table.add_row(f"  {name}", str(many))
        table.add_section()
        table.add_row("Transactions active", str(self.active))
        table.add_row("Transactions completed", str(self.completed))
        table.add_row("Energy", f"{self.energy_wh / 1000:,.1f} kWh")
        table.add_row("Power now", f"{self.power_w / 1000:,.0f} kW")
        return table


def read_progress(connection: psycopg.Connection[Any], clock: HubClock) -> Progress:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(QUERY, {"hub": HUB}).fetchone()
    assert row is not None
    return Progress(hub_time=clock.now(), **{**row, "evse_states": row["evse_states"] or {}})


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the server's own metrics say of its work since it started."""

    messages: int
    errors: Mapping[str, int]
    p99_reply_s: float | None


class MetricsUnreadable(ChargeHubError):
    """The server's metrics cannot be read."""

    code = "metrics-unreadable"


class MetricsReader:
    """Reads `/metrics` as an operator, by plain HTTP."""

    def __init__(self, api_url: str, login: str, password: str) -> None:
        self._api_url = api_url
        body = json.dumps({"login": login, "password": password}).encode()
        answer = self._open("/api/v1/login", body)
        self._token = json.loads(answer)["token"]

    def read(self) -> Traffic:
        return parse_metrics(self._open("/metrics").decode())

    def _open(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(self._api_url + path, data=body)  # noqa: S310  Ours.
        if body is not None:
            request.add_header("Content-Type", "application/json")
        else:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  Ours.
                content: bytes = answer.read()
                return content
        except OSError as error:
            raise MetricsUnreadable(f"{request.full_url}: {error}") from error


ERROR_COUNTERS = {
    "chargehub_commit_failures_total": "commit failures",
    "chargehub_ocpp_throttled_total": "throttled",
}
REFUSED_KINDS = {"call_refused": "calls refused", "ignored": "frames ignored"}


def parse_metrics(text: str) -> Traffic:
    messages = 0.0
    errors: dict[str, float] = {}
    buckets: list[tuple[float, float]] = []
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            kind = sample.labels.get("kind", "")
            if sample.name == "chargehub_ocpp_reply_seconds_count":
                messages += sample.value
            elif sample.name == "chargehub_ocpp_messages_total":
                messages += sample.value
                if kind in REFUSED_KINDS:
                    errors[REFUSED_KINDS[kind]] = sample.value
            elif sample.name == "chargehub_ocpp_reply_seconds_count":
                messages += sample.value
            elif sample.name in ERROR_COUNTERS:
                name = ERROR_COUNTERS[sample.name]
                errors[name] = errors.get(name, 0) + sample.value
            elif sample.name == "chargehub_ocpp_reply_seconds_bucket":
                buckets.append((float(sample.labels["le"]), sample.value))
    found = {name: int(value) for name, value in errors.items() if value}
    return Traffic(int(messages), found, quantile(buckets, 0.99))


def quantile(buckets: list[tuple[float, float]], share: float) -> float | None:
    """Estimate as Prometheus does: linear inside the bucket; None without observations."""
    ordered = sorted(buckets)
    if not ordered or ordered[-1][1] == 0:
        return None
    wanted = ordered[-1][1] * share
    below, counted = 0.0, 0.0
    for bound, cumulated in ordered:
        if cumulated >= wanted:
            if math.isinf(bound):
                return below
            return below + (bound - below) * (wanted - counted) / (cumulated - counted)
        below, counted = bound, cumulated
    return below
