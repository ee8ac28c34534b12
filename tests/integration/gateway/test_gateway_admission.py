"""Handshakes that come together are looked up together; what befalls one is not the others'."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.clock import ClockPair, HubClock
from chargehub.kit.db import Database
from chargehub.stations.admission import Admission
from tests.hub_fixtures import DEADLINE_S, RunningHub

CLOCK = HubClock(ClockPair(0, 0, 1))
LOOKING = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND query LIKE '%credential_hash%'"""


async def test_one_that_gives_up_waiting_leaves_the_others_their_answers(hub: RunningHub) -> None:
    known = [await hub.new_station() for _ in range(3)]
    admission = Admission(hub.database, CLOCK, b"key")
    async with hub.database.write() as connection:
        await connection.execute(text("LOCK TABLE charging_stations IN ACCESS EXCLUSIVE MODE"))
        first = asyncio.create_task(admission.find(known[0]))
        await hub.until(LOOKING, 1)
        # These wait for the next look; of two that ask for one station, one gives up.
        later = [asyncio.create_task(admission.find(name)) for name in (*known, "nobody", known[2])]
        await asyncio.sleep(0)
        later[2].cancel()
    async with asyncio.timeout(DEADLINE_S):
        found = await first
        assert found is not None
        assert found.identity == known[0]
        answers = await asyncio.gather(*later, return_exceptions=True)
    names = [getattr(answer, "identity", answer) for answer in answers]
    assert isinstance(names.pop(2), asyncio.CancelledError)
    assert names == [known[0], known[1], None, known[2]]


class FailingDatabase(Database):
    failures = 1

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        if self.failures:
            self.failures -= 1
            raise OSError("no connection to be had")
        async with super().read() as connection:
            yield connection


async def test_a_look_that_fails_is_told_to_all_who_wait_and_the_next_succeeds(
    hub: RunningHub,
) -> None:
    known = await hub.new_station()
    database = FailingDatabase(hub.database_url)
    admission = Admission(database, CLOCK, b"key")
    async with asyncio.timeout(DEADLINE_S):
        asked = await asyncio.gather(
            admission.find(known), admission.find("nobody"), return_exceptions=True
        )
        assert [type(answer) for answer in asked] == [OSError, OSError]
        found = await admission.find(known.upper())
    assert found is not None
    assert found.identity == known
    await database.close()


async def test_a_failed_look_refuses_the_handshake_and_nothing_else(hub: RunningHub) -> None:
    async with hub.database.write() as connection:
        await connection.execute(text("LOCK TABLE charging_stations IN ACCESS EXCLUSIVE MODE"))
        knocking = asyncio.create_task(hub.connect("CS-UNKNOWN"))
        await hub.until(LOOKING, 1)
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE '%credential_hash%'"
                " AND wait_event_type = 'Lock'"
            )
        )
        with pytest.raises(Exception, match="500"):
            await knocking
    async with hub.station() as station:
        await station.call("Heartbeat", {})
