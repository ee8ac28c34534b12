"""What drivers are told is free follows what a station says and does, on every version."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.hub_fixtures import TOKEN, V16, VERSIONS, RunningHub, Station, at, status
from tests.integration.api.conftest import NO_TLS


async def near(hub: RunningHub) -> dict[str, Any]:
    async with httpx.AsyncClient(verify=NO_TLS, trust_env=False, timeout=30) as client:
        answer = await client.get(
            f"{hub.addresses.api_url}/api/v1/locations/nearby",
            params={"latitude": 28.97, "longitude": 118.87},
        )
        (found,) = answer.raise_for_status().json()["items"]
        return dict(found)


async def begin(station: Station) -> None:
    if station.version == V16:
        payload: dict[str, Any] = {
            "connectorId": 1,
            "idTag": TOKEN,
            "meterStart": 0,
            "timestamp": at(),
        }
        await station.call("StartTransaction", payload)
        return
    payload = {
        "eventType": "Started",
        "timestamp": at(),
        "triggerReason": "CablePluggedIn",
        "seqNo": 0,
        "transactionInfo": {"transactionId": f"T-{station.identity}"},
        "evse": {"id": 1, "connectorId": 1},
        "idToken": {"idToken": TOKEN, "type": "ISO14443"},
    }
    await station.call("TransactionEvent", payload)


@pytest.mark.parametrize("version", VERSIONS)
async def test_free_guns_follow_the_station(hub: RunningHub, version: str) -> None:
    before = await near(hub) if hub.station_ids else {"guns_free": 0, "guns_total": 0}
    async with hub.station(version) as station:
        total = before["guns_total"] + 2
        assert (await near(hub))["guns_total"] == total
        assert (await near(hub))["guns_free"] == 0  # Nothing was said of its guns yet.
        for evse in (1, 2):
            await station.call("StatusNotification", status(version, evse=evse))
        assert (await near(hub))["guns_free"] == 2
        await begin(station)
        busy = await near(hub)
        assert (busy["guns_free"], busy["last_charged_minutes_ago"]) == (1, 0)
        await station.call("StatusNotification", status(version, "Faulted", evse=2))
        assert (await near(hub))["guns_free"] == 0
        await station.call("StatusNotification", status(version, evse=2))
        assert (await near(hub))["guns_free"] == 1
    await hub.until(
        "SELECT count(*) FROM station_connections WHERE station_id = :id"
        " AND disconnected_at IS NOT NULL",
        1,
        id=hub.station_ids[station.identity],
    )
    assert (await near(hub))["guns_free"] == 0
