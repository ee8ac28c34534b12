"""What only tells what was goes after its time; what is younger stays."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import insert, update

from chargehub.access.store import audit_entries
from chargehub.devices.store import template_application_stations, template_applications
from chargehub.frame_log.store import DAYS, INBOUND, frames
from chargehub.housekeeping import PRUNE_HISTORY
from chargehub.kit.clock import wall_now
from chargehub.kit.idempotency import idempotency_keys
from chargehub.kit.jobs import due_actions
from chargehub.stations.store import (
    connector_status_events,
    station_commands,
    station_notices,
)
from tests.hub_fixtures import RunningHub, running_hub

AGES_DAYS = (0, 399, 401, 1_094, 1_096)
LIVED = timedelta(days=30)
"""Between the begin and the end of what is kept for its time after its end."""


async def grow_old(hub: RunningHub, station_id: int) -> None:
    async with hub.database.write() as connection:
        for days in AGES_DAYS:
            at = wall_now() - timedelta(days=days)
            of_station = {"station_id": station_id}
            await connection.execute(
                insert(connector_status_events).values(
                    **of_station,
                    evse_no=1,
                    connector_no=1,
                    status="Available",
                    at=at,
                    received_at=at,
                )
            )
            await connection.execute(
                insert(station_notices).values(
                    **of_station, kind="x", at=at, received_at=at, flagged=False, payload={}
                )
            )
            await connection.execute(
                insert(station_commands).values(
                    **of_station,
                    id=uuid4(),
                    action="ClearCache",
                    payload={},
                    requested_by="a test",
                    requested_at=at - LIVED,
                    outcome="answered",
                    completed_at=at,
                )
            )
            await connection.execute(
                insert(audit_entries).values(
                    at=at, actor="a test", action="x", subject="x", facts={}
                )
            )


async def apply_templates(hub: RunningHub, station_id: int) -> None:
    async with hub.database.write() as connection:
        for days in AGES_DAYS:
            at, number = wall_now() - timedelta(days=days), uuid4()
            await connection.execute(
                insert(template_applications).values(
                    id=number,
                    template_id=1,
                    template_name="x",
                    revision=1,
                    wanted=[],
                    only_drift=True,
                    requested_by="a test",
                    requested_at=at - LIVED,
                    expires_at=at,
                )
            )
            await connection.execute(
                insert(template_application_stations).values(
                    application_id=number, station_id=station_id, state="in_sync"
                )
            )


async def repeat_requests(hub: RunningHub) -> None:
    async with hub.database.write() as connection:
        for hours in (23, 25):
            await connection.execute(
                insert(idempotency_keys).values(
                    principal="a test",
                    key_hash=b"%d" % hours,
                    fingerprint=b"x",
                    state="unclear",
                    begun_at=wall_now() - timedelta(hours=hours),
                )
            )


async def log_a_frame(hub: RunningHub, identity: str, days: int, *, own_day: bool = True) -> str:
    """Put a frame of so many days ago into the log; return its day's partition."""
    at = wall_now() - timedelta(days=days)
    async with hub.database.write() as connection:
        if own_day:
            await DAYS.ensure(connection, at, 0)
        await connection.execute(
            insert(frames).values(
                at=at,
                station_id=hub.station_ids[identity],
                epoch=1,
                number=days,
                direction=INBOUND,
                protocol="x",
                text="x",
            )
        )
    return DAYS.name(at)


async def test_history_is_kept_for_its_time(database_url: str) -> None:
    async with running_hub(database_url) as hub:
        waits = "SELECT count(*) FROM due_actions WHERE kind = :kind AND due_at > :now"
        await hub.until(waits, 1, kind=PRUNE_HISTORY, now=wall_now())
        identity = await hub.new_station()
        await grow_old(hub, hub.station_ids[identity])
        await apply_templates(hub, hub.station_ids[identity])
        await repeat_requests(hub)
        old_day, kept_day = [await log_a_frame(hub, identity, days) for days in (16, 13)]
        await log_a_frame(hub, identity, 15, own_day=False)
        await log_a_frame(hub, identity, 12, own_day=False)
        async with hub.database.write() as connection:
            prune = due_actions.c.kind == PRUNE_HISTORY
            await connection.execute(update(due_actions).where(prune).values(due_at=wall_now()))
        # It falls due again tomorrow.
        await hub.until(waits, 1, kind=PRUNE_HISTORY, now=wall_now())
        days = "SELECT count(*) FROM frames WHERE station_id = :station"
        # The default partition's rows go one by one, a day's rows with their day.
        await hub.until(days, 2, station=hub.station_ids[identity])
        assert await hub.value("SELECT to_regclass(:name)::text", name=old_day) is None
        assert await hub.value("SELECT to_regclass(:name)::text", name=kept_day) == kept_day
        assert await hub.value("SELECT count(*) FROM template_applications") == 2
        assert await hub.value("SELECT count(*) FROM idempotency_keys") == 1
        tables = ("connector_status_events", "station_notices", "station_commands")
        for table in (*tables, "template_application_stations"):
            assert await hub.count(table, identity) == 2, table
        kept = await hub.value("SELECT count(*) FROM audit_entries WHERE actor = 'a test'")
        assert kept == 4
