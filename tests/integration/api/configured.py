"""Stations with variables, and templates that are applied to them, for tests over REST."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from chargehub.devices.reports import VariablesWritten, VariableWritten, WriteEffect
from chargehub.devices.store import station_variables
from chargehub.stations.commands import (
    CommandAnswer,
    VariableName,
)
from tests.integration.api.conftest import (
    RunningApi,
    make_station,
)

NAMES = itertools.count(1)
BEAT = VariableName("OCPPCommCtrlr", "HeartbeatInterval")
DOOR = VariableName("NetworkConfiguration", "OcppCsmsUrl", component_instance="1")
FIRST, SECOND = VariableName("Own", "First"), VariableName("Own", "Second")
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


async def new_station(hub: RunningApi, *, online: bool = True) -> str:
    identity = f"V-{next(NAMES):03}"
    await make_station(hub, identity, "north")
    if online:
        hub.link.online.add(await hub.station_id(identity))
    return identity


async def known(hub: RunningApi, identity: str, name: VariableName, **facts: Any) -> None:
    values = {
        "station_id": await hub.station_id(identity),
        "key": name.key,
        "path": name.path,
        "component": name.component,
        "variable": name.variable,
        "variable_instance": name.variable_instance,
        "attribute": name.attribute,
        "read_at": NOW,
        **facts,
    }
    async with hub.database.write() as connection:
        await connection.execute(
            insert(station_variables)
            .values(values)
            .on_conflict_do_update(index_elements=["station_id", "key"], set_=facts)
        )


def told(*outcomes: tuple[VariableName, str, str, WriteEffect]) -> CommandAnswer:
    """Return an answer as the gateway reads it."""
    words = sorted({word for _, _, word, _ in outcomes})
    report = VariablesWritten(1, NOW, tuple(VariableWritten(*outcome) for outcome in outcomes))
    return CommandAnswer(", ".join(words), {}, (report,))


def item(name: VariableName, value: str) -> dict[str, Any]:
    return {"component": name.component, "variable": name.variable, "value": value}


async def make_template(hub: RunningApi, *identities: str, **more: Any) -> int:
    template = {
        "name": f"template {next(NAMES)}",
        "identities": list(identities),
        "wanted": [item(FIRST, "1"), item(SECOND, "2")],
        **more,
    }
    answer = await hub.admin.post("/configuration-templates", json=template)
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["id"]
    return number


async def drift(hub: RunningApi, template_id: int) -> dict[str, dict[str, str]]:
    answer = await hub.viewer.get(f"/configuration-templates/{template_id}/drift")
    return {
        station["identity"]: {one["variable"]: one["state"] for one in station["variables"]}
        for station in answer.json()["items"]
    }


async def apply(hub: RunningApi, template_id: int, **more: Any) -> dict[str, Any]:
    answer = await hub.operator.post(
        f"/configuration-templates/{template_id}/applications", json=more
    )
    assert answer.status_code == 202, answer.text
    application: dict[str, Any] = answer.json()
    return application


async def carry_on(hub: RunningApi, application: dict[str, Any]) -> dict[str, Any]:
    await hub.devices.templates.carry_on(application["id"], {})
    await hub.queue.idle()
    answer = await hub.viewer.get(f"/template-applications/{application['id']}")
    found: dict[str, Any] = answer.json()
    return found


async def stations_of(hub: RunningApi, application: dict[str, Any]) -> dict[str, dict[str, Any]]:
    answer = await hub.viewer.get(f"/template-applications/{application['id']}/stations")
    return {one["identity"]: one for one in answer.json()["items"]}
