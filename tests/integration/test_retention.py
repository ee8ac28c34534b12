"""What only tells what was goes after its time; what is younger stays."""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import Column, Table, insert, select, update

from chargehub.access.store import audit_entries
from chargehub.charging.store import charges
from chargehub.devices.store import template_application_stations, template_applications
from chargehub.drivers.accounts import open_account
from chargehub.drivers.guests import forget_guests
from chargehub.drivers.inbox import notify
from chargehub.drivers.store import driver_logins, drivers, id_tokens, inbox_messages
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


async def visit(hub: RunningHub, days_ago: float, *, guest: bool = True) -> UUID:
    """Open a guest whose time ended so many days ago, with a message and a login."""
    at, number = wall_now() - timedelta(days=days_ago), secrets.token_bytes(8)
    seal = hub.hub.features.seal
    async with hub.database.write() as connection:
        driver_id = await open_account(connection, at, seal, guest_until=at if guest else None)
        assert driver_id is not None
        login = {"token_hash": number, "csrf_hash": number, "created_at": at}
        await connection.execute(
            insert(driver_logins).values(
                id=uuid4(), driver_id=driver_id, expires_at=wall_now(), **login
            )
        )
        await notify(connection, driver_id, "charging_failed", {"charge_id": str(uuid4())}, at)
    return driver_id


async def charge(hub: RunningHub, driver_id: UUID, station_id: int) -> None:
    async with hub.database.write() as connection:
        at = wall_now()
        told = {"state": "failed", "requested_at": at, "ended_at": at, "end_reason": "refused"}
        await connection.execute(
            insert(charges).values(
                id=uuid4(),
                driver_id=driver_id,
                station_id=station_id,
                started_by="app",
                id_token="app-x",
                **told,
            )
        )


async def of_drivers(hub: RunningHub, table: Table, column: Column[UUID]) -> set[UUID]:
    async with hub.database.read() as connection:
        return set(await connection.scalars(select(column).select_from(table)))


async def test_guests_are_forgotten_a_week_after_their_end_unless_they_charged(
    database_url: str,
) -> None:
    async with running_hub(database_url) as hub:
        # The hub's own daily look has been.
        waits = "SELECT count(*) FROM due_actions WHERE kind = :kind AND due_at > :now"
        await hub.until(waits, 1, kind=PRUNE_HISTORY, now=wall_now())
        station_id = hub.station_ids[await hub.new_station()]
        over = {await visit(hub, 7.1) for _ in range(5)}
        charged, young = await visit(hub, 30), await visit(hub, 6.9)
        account = await visit(hub, 30, guest=False)
        await charge(hub, charged, station_id)
        assert await forget_guests(hub.database, wall_now(), chunk=2) == 5
        assert await forget_guests(hub.database, wall_now(), chunk=2) == 0
        for table, column in (
            (drivers, drivers.c.id),
            (id_tokens, id_tokens.c.driver_id),
            (driver_logins, driver_logins.c.driver_id),
            (inbox_messages, inbox_messages.c.driver_id),
        ):
            left = await of_drivers(hub, table, column)
            assert {charged, young, account} <= left, table
            assert not over & left, table


async def test_history_is_kept_for_its_time(database_url: str) -> None:
    async with running_hub(database_url) as hub:
        waits = "SELECT count(*) FROM due_actions WHERE kind = :kind AND due_at > :now"
        await hub.until(waits, 1, kind=PRUNE_HISTORY, now=wall_now())
        identity = await hub.new_station()
        await grow_old(hub, hub.station_ids[identity])
        await apply_templates(hub, hub.station_ids[identity])
        await repeat_requests(hub)
        guest = await visit(hub, 8)
        old_day, kept_day = [await log_a_frame(hub, identity, days) for days in (16, 13)]
        await log_a_frame(hub, identity, 15, own_day=False)
        await log_a_frame(hub, identity, 12, own_day=False)
        async with hub.database.write() as connection:
            prune = due_actions.c.kind == PRUNE_HISTORY
            await connection.execute(update(due_actions).where(prune).values(due_at=wall_now()))
        # It falls due again tomorrow.
        await hub.until(waits, 1, kind=PRUNE_HISTORY, now=wall_now())
        assert await hub.value("SELECT count(*) FROM drivers WHERE id = :id", id=guest) == 0
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
