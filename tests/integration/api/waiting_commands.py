"""What the tests of waiting commands ask of the hub and read from it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from chargehub.kit.jobs import due_actions, outbox
from chargehub.stations.dispatch import COMMAND_UNKNOWN
from tests.integration.api.conftest import (
    RunningApi,
)


async def ask(hub: RunningApi, identity: str, value: str, key: str = "A", **query: Any) -> Any:
    return await hub.operator.post(
        f"/charging-stations/{identity}/commands/ChangeConfiguration",
        json={"key": key, "value": value},
        params={"durable": True, **query},
    )


async def waiting(hub: RunningApi, identity: str) -> list[dict[str, Any]]:
    answer = await hub.viewer.get(f"/charging-stations/{identity}/queued-commands")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def outcomes(hub: RunningApi, identity: str) -> list[tuple[str, str, str | None]]:
    """Return value, outcome and status of all commands, oldest first."""
    answer = await hub.viewer.get(f"/charging-stations/{identity}/commands")
    items = reversed(answer.json()["items"])
    return [(item["payload"].get("value"), item["outcome"], item["status"]) for item in items]


async def come_back(hub: RunningApi, identity: str) -> int:
    station_id = await hub.station_id(identity)
    hub.link.online.add(station_id)
    await hub.queue.station_due(str(station_id), {})
    await hub.queue.idle()
    return station_id


async def due(hub: RunningApi, kind: str, subject: str) -> int:
    query = select(due_actions).where(due_actions.c.kind == kind, due_actions.c.subject == subject)
    async with hub.database.read() as connection:
        return len((await connection.execute(query)).all())


async def due_at(hub: RunningApi, kind: str, subject: str) -> datetime:
    query = select(due_actions.c.due_at).where(
        due_actions.c.kind == kind, due_actions.c.subject == subject
    )
    async with hub.database.read() as connection:
        found: datetime = (await connection.execute(query)).scalar_one()
        return found


async def told_unknown(hub: RunningApi, command_id: str) -> int:
    query = select(outbox).where(outbox.c.topic == COMMAND_UNKNOWN, outbox.c.subject == command_id)
    async with hub.database.read() as connection:
        return len((await connection.execute(query)).all())


async def somebody_waits_for_a_lock(hub: RunningApi) -> bool:
    async with hub.database.read() as connection:
        found = await connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(found.scalar_one())


async def age(hub: RunningApi, cs: str, value: str) -> None:
    """Let a command that waits have waited long enough."""
    async with hub.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE station_commands SET expires_at = %s"
            " WHERE station_id = %s AND payload->>'value' = %s",
            (hub.clock.now() - timedelta(seconds=1), await hub.station_id(cs), value),
        )
