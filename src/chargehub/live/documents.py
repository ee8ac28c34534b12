"""The board in JSON: the parts that frames and snapshots are made of. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson

from chargehub.live.facts import LocationFacts
from chargehub.live.places import Evse, Running, Station
from chargehub.stations.states import evse_state


def encode(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS)


def layout(locations: Iterable[LocationFacts], stations: Iterable[Station]) -> dict[str, Any]:
    """Return what stands where, which changes with a new snapshot only."""
    return {
        "locations": [
            {"id": location.location_id, "name": location.name, "time_zone": location.time_zone}
            for location in locations
        ],
        "stations": [
            {
                "id": facts.station_id,
                "identity": facts.identity,
                "name": facts.name,
                "location_id": facts.location_id,
                "max_power_w": facts.max_power_w,
                "evses": [
                    {
                        "id": evse.key,
                        "evse_no": evse.facts.evse_no,
                        "gun_code": evse.facts.gun_code,
                        "max_power_w": evse.facts.max_power_w,
                    }
                    for evse in station.evses.values()
                ],
            }
            for station in stations
            for facts in (station.facts,)
        ],
    }


def board(
    stations: Iterable[Station], evses: Iterable[Evse], hub: dict[str, Any]
) -> dict[str, Any]:
    """Return the state of these stations and EVSEs, and of the hub as a whole."""
    shown = [(evse, evse.shown(), evse.shown_running) for evse in evses]
    return {
        "stations": [
            {
                "id": station.facts.station_id,
                "online": station.online,
                "since": station.since,
                "status": station.whole.status,
                "error": station.whole.error,
            }
            for station in stations
        ],
        "evses": [
            {
                "id": evse.key,
                "status": fact.status,
                "since": fact.since,
                "error": fact.error,
                "transaction_id": running.transaction_id if running else None,
                "started_at": running.started_at if running else None,
            }
            for evse, fact, running in shown
        ],
        "hub": hub,
    }


def hub_state(
    stations: Collection[Station], active: int, transactions_today: Mapping[str, int]
) -> dict[str, Any]:
    """Return the hub's figures; `active`: the transactions that are shown."""
    states: Counter[str] = Counter()
    for station in stations:
        for evse in station.evses.values():
            state = evse_state(evse.shown().status, None, online=station.online)
            states[state.value] += 1
    return {
        "stations": len(stations),
        "stations_online": sum(station.online for station in stations),
        "evses_by_state": dict(sorted(states.items())),
        "transactions_active": active,
        "transactions_today": dict(transactions_today),
    }


def power(
    evses: Iterable[Evse], shown: Iterable[Running], energy_today_wh: Mapping[str, int]
) -> dict[str, Any]:
    """Return power and energy of these EVSEs, and of the hub: of all transactions shown."""
    # An offline station's last power is a memory, not a load.
    power_w = sum(running.power_w or 0 for running in shown if running.evse.station.online)
    return {
        "evses": [
            {
                "id": evse.key,
                "power_w": running.power_w if running else None,
                "energy_wh": running.energy_wh if running else None,
                "soc_percent": running.soc_percent if running else None,
            }
            for evse in evses
            for running in (evse.shown_running,)
        ],
        "hub": {"power_w": power_w, "energy_today_wh": dict(energy_today_wh)},
    }
