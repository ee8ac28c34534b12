"""Many stations that are connected and answer nothing: nobody else waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from chargehub.kit.worker import CONCURRENT
from chargehub.stations.commands import RawCommand
from simulators.misbehaviour import Misbehaviour
from tests.scenarios.speech import Payload
from tests.scenarios.stage import RawStation, Stage

MANY = CONCURRENT + 8
"""More than there are turns of any kind."""
ACCEPTED = {"status": "Accepted"}
ANSWERS: dict[str, Payload] = {
    "ChangeAvailability": ACCEPTED,
    "ClearCache": ACCEPTED,
    "GetConfiguration": {"configurationKey": []},
    "GetBaseReport": {"status": "EmptyResultSet"},
}
INVENTORY = {"GetConfiguration", "GetBaseReport"}
DEADLINE_S = 20.0
"""Below the time that the hub waits for a station's answer."""


async def queue(stage: Stage, station: RawStation) -> None:
    orders = stage.hub.orders.queue
    async with stage.database.write() as connection:
        await orders.add(
            connection,
            station.station_id,
            RawCommand("ClearCache", {}),
            "a scenario",
            expires_at=orders.expiry(),
        )


async def until(question: Callable[[], Awaitable[bool]]) -> None:
    while not await question():  # noqa: ASYNC110  It asks for rows.
        await asyncio.sleep(0.02)


async def test_nobody_waits_for_silent_stations(stage: Stage, version: str) -> None:
    """Not an inventory, not a wish told again after a boot, not an operator's command."""
    assert stage.settings.limits.deliveries < MANY
    silent = [await stage.raw(version) for _ in range(MANY)]
    for station in silent:
        station.wire.quirks = frozenset((Misbehaviour.SILENT_TO_CALLS,))
        await queue(stage, station)
    ids = [station.station_id for station in silent]

    async def all_asked() -> bool:
        rows = await stage.rows(
            "SELECT count(DISTINCT (station_id, action)) AS asked FROM station_commands"
            " WHERE station_id = ANY(:ids) AND outcome = 'pending'",
            ids=ids,
        )
        return bool(rows[0].asked == 2 * MANY)

    stage.hub.worker.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            # Each is waited for twice: for its inventory, and for what waited for it.
            await until(all_asked)
            station = await stage.raw(version)
            station.answers.update(ANSWERS)

            async def boot_heard() -> bool:
                rows = await stage.rows(
                    "SELECT 1 FROM outbox WHERE subject = :id AND handled_at IS NULL",
                    id=str(station.station_id),
                )
                return not rows

            # Else it may be heard of after the wish, which is told once more then.
            await until(boot_heard)
            control, identity = stage.hub.orders.control, station.identity
            told = await control.change_availability(
                identity, operative=False, evse_no=1, actor="test"
            )
            assert told.answer is not None
            assert told.answer.status == "Accepted"
            await station.boot()

            async def served() -> bool:
                asked = [action for action, _ in station.asked]
                wishes = asked.count("ChangeAvailability")
                return wishes == 2 and not INVENTORY.isdisjoint(asked)

            await until(served)
        assert await all_asked(), "and they are silent still"
    finally:
        await stage.hub.worker.stop()
        await stage.send_home()
        await stage.hub.orders.queue.idle()
