"""What the demo shows of the running hub: figures read from its database and its metrics."""

from __future__ import annotations

import json
import math
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from prometheus_client.parser import text_string_to_metric_families
from psycopg.rows import dict_row
from rich.table import Table

from chargehub.demo.seed import GUNS, HUB, HUB_STATIONS
from chargehub.kit.clock import HubClock
from chargehub.kit.errors import ChargeHubError
from chargehub.stations.reports import ConnectorStatus
from chargehub.stations.states import Charge, evse_state, most_telling

EVSES = HUB_STATIONS * GUNS

RUNNING = """
WITH hub AS (
    SELECT id FROM charging_stations WHERE location_id = %(hub)s AND decommissioned_at IS NULL
), running AS (
    SELECT t.id, last.power_w, last.energy_wh FROM transactions AS t
    CROSS JOIN LATERAL (
        SELECT
            (array_agg(power_w ORDER BY sampled_at DESC)
                FILTER (WHERE power_w IS NOT NULL))[1] AS power_w,
            (array_agg(energy_wh ORDER BY sampled_at DESC)
                FILTER (WHERE energy_wh IS NOT NULL))[1] AS energy_wh
        FROM (SELECT power_w, energy_wh, sampled_at FROM samples AS s
              WHERE s.station_id = t.station_id AND s.evse_no = t.evse_no
                AND s.transaction_id = t.id
              ORDER BY sampled_at DESC LIMIT 10) AS newest) AS last
    WHERE t.state = 'Active'
)
"""

COUNTS = """
SELECT
    (SELECT count(*) FROM hub JOIN station_connections ON station_id = hub.id
        WHERE disconnected_at IS NULL) AS stations_online,
    (SELECT json_object_agg(security_profile, many) FROM (
        SELECT c.security_profile, count(*) AS many
        FROM hub JOIN station_connections AS c ON c.station_id = hub.id
        WHERE c.disconnected_at IS NULL GROUP BY 1) AS profiles) AS profiles,
    (SELECT count(DISTINCT (station_id, evse_no)) FROM connectors JOIN hub ON hub.id = station_id
        WHERE status_received_at IS NOT NULL) AS evses_reported,
    -- One at no EVSE, or at one that does not exist, charges nothing.
    (SELECT count(*) FROM transactions JOIN evses USING (station_id, evse_no)
        WHERE state = 'Active') AS active,
    (SELECT count(*) FROM transactions WHERE state = 'Ended') AS completed,
    -- Of what runs still, the energy is that of the newest sample.
    (SELECT coalesce(sum(coalesce(last.energy_wh, t.energy_wh)), 0)::bigint
        FROM transactions AS t LEFT JOIN running AS last ON last.id = t.id) AS energy_wh,
    (SELECT coalesce(sum(power_w), 0)::bigint FROM running) AS power_w
"""

# Of several open transactions at an EVSE the one that began last is meant.
STATES = """
SELECT c.station_id, c.evse_no, array_agg(c.status) AS statuses,
    coalesce(bool_and(l.disconnected_at IS NULL AND l.epoch IS NOT NULL), false) AS online,
    max(t.charging_state) AS charging_state, max(t.power_w) AS power_w, max(t.id) AS transaction_id
FROM connectors AS c JOIN hub ON hub.id = c.station_id
LEFT JOIN station_connections AS l ON l.station_id = c.station_id
LEFT JOIN LATERAL (
    SELECT id, charging_state, running.power_w FROM transactions
    LEFT JOIN running USING (id)
    WHERE state = 'Active' AND station_id = c.station_id AND evse_no = c.evse_no
    ORDER BY started_at DESC, id DESC LIMIT 1) AS t ON true
GROUP BY c.station_id, c.evse_no
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
    profiles: Mapping[str, int] = field(default_factory=dict)
    """Stations online by the security profile that they use."""

    def line(self) -> str:
        """Render as one plain line."""
        states = ", ".join(f"{many} {name}" for name, many in sorted(self.evse_states.items()))
        return (
            f"hub time {self.hub_time:%Y-%m-%d %H:%M:%S}Z | "
            f"stations online {self.stations_online}/{HUB_STATIONS} | "
            f"EVSEs {states or 'none yet'} | "
            f"transactions {self.active} active, {self.completed} completed | "
            f"energy, running charges too, {self.energy_wh / 1000:,.1f} kWh | "
            f"power {self.power_w / 1000:,.0f} kW | security profiles {self.profile_list()}"
        )

    def profile_list(self) -> str:
        """Say how many stations use which security profile."""
        counts = sorted(self.profiles.items())
        return ", ".join(f"{profile}: {many}" for profile, many in counts) or "none yet"

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
        table.add_row("Security profiles", self.profile_list(), end_section=True)
        table.add_row("Transactions active", str(self.active))
        table.add_row("Transactions completed", str(self.completed))
        table.add_row("Energy, running charges too", f"{self.energy_wh / 1000:,.1f} kWh")
        table.add_row("Power now", f"{self.power_w / 1000:,.0f} kW")
        return table


def read_progress(connection: psycopg.Connection[Any], clock: HubClock) -> Progress:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(RUNNING + COUNTS, {"hub": HUB}).fetchone()
        evses = cursor.execute(RUNNING + STATES, {"hub": HUB}).fetchall()
    assert row is not None
    states = Counter(_state_of(evse) for evse in evses)
    profiles = row.pop("profiles") or {}
    return Progress(hub_time=clock.now(), evse_states=states, profiles=profiles, **row)


def _state_of(evse: Mapping[str, Any]) -> str:
    status = most_telling(ConnectorStatus(status) for status in evse["statuses"])
    charge = None
    if evse["transaction_id"] is not None:
        charge = Charge(evse["charging_state"], evse["power_w"])
    return evse_state(status, charge, online=evse["online"]).value


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
