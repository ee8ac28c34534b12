"""The inbox of a whole hub: a restart loses nothing and doubles nothing, and it is pruned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import httpx
from sqlalchemy import insert, update
from structlog.testing import capture_logs

from chargehub.drivers.accounts import open_account
from chargehub.drivers.inbox import notify
from chargehub.drivers.logins import DriverLogins
from chargehub.drivers.store import inbox_messages
from chargehub.housekeeping import PRUNE_HISTORY
from chargehub.kit.clock import wall_now
from chargehub.kit.jobs import due_actions
from tests.hub_fixtures import RunningHub, eventually, running_hub
from tests.live_client import EventReader, StreamEvent

DEADLINE_S = 25.0
PHONE = "+8613812345678"


async def new_driver(hub: RunningHub) -> tuple[UUID, str]:
    async with hub.database.write() as connection:
        driver_id = await open_account(connection, wall_now(), hub.hub.features.seal, phone=PHONE)
        assert driver_id is not None
        issued = await DriverLogins(hub.database).issue(connection, driver_id, "test")
    return driver_id, issued.token


async def tell(hub: RunningHub, driver_id: UUID, gun: str) -> None:
    async with hub.database.write() as connection:
        facts = {"until": wall_now(), "gun_code": gun}
        await notify(connection, driver_id, "your_turn", facts, wall_now(), key=gun)


@asynccontextmanager
async def watching(
    hub: RunningHub, token: str, last_event_id: str = ""
) -> AsyncIterator[AsyncIterator[StreamEvent]]:
    headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": last_event_id}
    url = f"{hub.addresses.api_url}/api/v1/inbox/stream"
    async with (
        httpx.AsyncClient(timeout=DEADLINE_S, trust_env=False) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        assert response.status_code == 200

        async def events() -> AsyncIterator[StreamEvent]:
            reader = EventReader()
            async for chunk in response.aiter_bytes():
                for event in reader.feed(chunk):
                    yield event

        yield events()


async def test_a_restarted_hub_loses_no_message_and_doubles_none(database_url: str) -> None:
    guns: list[str] = []
    async with asyncio.timeout(4 * DEADLINE_S), running_hub(database_url) as hub:
        driver_id, token = await new_driver(hub)
        async with watching(hub, token) as told:
            await anext(told)
            await tell(hub, driver_id, "A1")
            last = await anext(told)
            guns.append(last.data["facts"]["gun_code"])
            # The hub ends the stream as it stops; what it did not tell any more waits as a row.
            await tell(hub, driver_id, "A2")
            restarting = asyncio.create_task(hub.restart())
            async for event in told:
                last = event
                guns.append(event.data["facts"]["gun_code"])
            await restarting
        async with watching(hub, token, last.event_id) as told:
            await anext(told)
            await tell(hub, driver_id, "A3")
            while guns[-1] != "A3":
                guns.append((await anext(told)).data["facts"]["gun_code"])
    assert guns == ["A1", "A2", "A3"]


async def test_a_demo_shows_in_its_log_what_would_be_sent(database_url: str) -> None:
    async with running_hub(database_url, demo=True) as hub:
        driver_id, _ = await new_driver(hub)
        with capture_logs() as lines:
            await tell(hub, driver_id, "A1")

            def sent() -> list[str]:
                return [line["title"] for line in lines if line["event"] == "notification_not_sent"]

            await eventually(lambda: bool(sent()))
    assert sent() == ["轮到您了"]


async def test_messages_are_kept_for_their_time(database_url: str) -> None:
    async with running_hub(database_url, inbox_days=10) as hub:
        waits = "SELECT count(*) FROM due_actions WHERE kind = :kind AND due_at > :now"
        await hub.until(waits, 1, kind=PRUNE_HISTORY, now=wall_now())
        driver_id, _ = await new_driver(hub)
        async with hub.database.write() as connection:
            for days in (9, 11):
                at = wall_now() - timedelta(days=days)
                old = {"driver_id": driver_id, "kind": "your_turn", "facts": {"days": days}}
                await connection.execute(insert(inbox_messages).values(**old, at=at))
            prune = due_actions.c.kind == PRUNE_HISTORY
            await connection.execute(update(due_actions).where(prune).values(due_at=wall_now()))
        await hub.until(waits, 1, kind=PRUNE_HISTORY, now=wall_now())
        assert await hub.value("SELECT (facts ->> 'days')::int FROM inbox_messages") == 9
