"""Says how a fleet is doing: a line for people, or a JSON object for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from simulators.clock import rfc3339
from simulators.fleet import Fleet
from simulators.gun import GunState


@dataclass(frozen=True, slots=True)
class Progress:
    hub_time: str
    online: int
    stations: int
    guns: dict[str, int]
    waiting_drivers: int
    arrived: int
    turned_away: int
    transactions_started: int
    transactions_completed: int
    energy_kwh: float
    messages_sent: int
    calls_received: int
    connects_failed: int
    connections_lost: int
    errors: int
    errors_by_kind: dict[str, int]
    reply_p50_ms: float | None
    reply_p99_ms: float | None

    @classmethod
    def of(cls, fleet: Fleet) -> Progress:
        statistics, turnout = fleet.statistics, fleet.turnout
        times = statistics.reply_times
        return cls(
            hub_time=rfc3339(fleet.clock.now()),
            online=fleet.online,
            stations=len(fleet.stations),
            guns={state.value: fleet.count(state) for state in GunState},
            waiting_drivers=turnout.waiting,
            arrived=turnout.arrived,
            turned_away=turnout.turned_away,
            transactions_started=statistics.transactions_started,
            transactions_completed=statistics.transactions_completed,
            energy_kwh=round(fleet.delivered_wh / 1000, 3),
            messages_sent=statistics.messages_sent,
            calls_received=statistics.calls_received,
            connects_failed=statistics.connects_failed,
            connections_lost=statistics.connections_lost,
            errors=statistics.error_count,
            errors_by_kind=dict(statistics.errors.most_common()),
            reply_p50_ms=_rounded(times.percentile_ms(50)),
            reply_p99_ms=_rounded(times.percentile_ms(99)),
        )

    def json_line(self, kind: str) -> str:
        fields: dict[str, Any] = {
            "type": kind,
            **{name: getattr(self, name) for name in self.__slots__},
        }
        return orjson.dumps(fields).decode()

    def line(self) -> str:
        return (
            f"hub {self.hub_time[:16]}Z  online {self.online}/{self.stations}"
            f"  charging {self.guns[GunState.CHARGING]}"
            f"  finished {self.transactions_completed}"
            f"  {self.energy_kwh:,.1f} kWh"
            f"  sent {self.messages_sent:,}"
            f"  errors {self.errors}"
            f"  reply p50 {_ms(self.reply_p50_ms)} p99 {_ms(self.reply_p99_ms)}"
        )

    def table(self) -> str:
        rows: list[tuple[str, str]] = [
            ("stations online", f"{self.online} of {self.stations}"),
            ("drivers arrived", str(self.arrived)),
            ("drivers turned away", str(self.turned_away)),
            ("transactions started", str(self.transactions_started)),
            ("transactions completed", str(self.transactions_completed)),
            ("energy", f"{self.energy_kwh:,.1f} kWh"),
            ("messages sent", f"{self.messages_sent:,}"),
            ("calls received", f"{self.calls_received:,}"),
            ("connects failed", str(self.connects_failed)),
            ("connections lost", str(self.connections_lost)),
            ("reply time", f"p50 {_ms(self.reply_p50_ms)}, p99 {_ms(self.reply_p99_ms)}"),
            ("errors", str(self.errors)),
            *((f"  {kind}", str(count)) for kind, count in self.errors_by_kind.items()),
        ]
        return "\n".join(f"{name:<26}{value}" for name, value in rows)


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 2)


def _ms(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.1f} ms"
