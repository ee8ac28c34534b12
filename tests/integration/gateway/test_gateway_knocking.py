"""Whoever can reach the port can knock; that must cost neither the API nor the hub its database."""

from __future__ import annotations

import asyncio

from sqlalchemy import text
from websockets.exceptions import InvalidStatus

from tests.hub_fixtures import DEADLINE_S, RunningHub

KNOCKING = 24
# No handshake times out while the database is locked.
LIMITS = {"max_handshakes": KNOCKING, "handshake_timeout_s": 120.0}
# The handshakes' question alone: the hub's own parts may wait for the table too.
WAITING = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND query LIKE '%credential_hash%'"""


async def knock(hub: RunningHub) -> int:
    try:
        station = await hub.connect("CS-UNKNOWN")
    except InvalidStatus as refused:
        return refused.response.status_code
    await station.leave()
    return 101


async def test_many_handshakes_leave_the_database_to_others(hub: RunningHub) -> None:
    async with hub.database.write() as connection:
        # Whoever asks for a station now waits, and keeps a connection of the pool.
        await connection.execute(text("LOCK TABLE charging_stations IN ACCESS EXCLUSIVE MODE"))
        knocking = [asyncio.create_task(knock(hub)) for _ in range(KNOCKING + 1)]
        await hub.until(WAITING, 1)
        first = asyncio.FIRST_COMPLETED
        answered, waiting = await asyncio.wait(knocking, timeout=DEADLINE_S, return_when=first)
        assert [task.result() for task in answered] == [503]
        async with asyncio.timeout(DEADLINE_S), hub.hub.database.read() as other:
            assert (await other.execute(text("SELECT 1"))).scalar_one() == 1
        assert await hub.value(WAITING) == 1
    assert await asyncio.gather(*waiting) == [404] * KNOCKING
    # The places are free again.
    assert await knock(hub) == 404
