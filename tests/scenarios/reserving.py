"""Reservations on the stage: booked as rows, asked of stations as the hub asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Row, delete, insert, select, update

from chargehub.drivers.store import drivers
from chargehub.kit import jobs
from chargehub.live.feed import LiveFeed
from chargehub.reservations.queries import read_own
from chargehub.reservations.store import ASK, RELEASE, reservations
from chargehub.reservations.views import ReservationView, view
from tests.scenarios.stage import MAX_POWER_W, Stage

R = reservations.c


@dataclass
class Booked:
    """One reservation and what is asked of its station."""

    stage: Stage
    id: int

    async def row(self) -> Row[Any]:
        async with self.stage.database.read() as connection:
            return (await connection.execute(select(reservations).where(R.id == self.id))).one()

    async def view(self) -> ReservationView:
        """Return it as its driver is shown it."""
        driver_id = (await self.row()).driver_id
        async with self.stage.database.read() as connection:
            (row,) = await read_own(connection, driver_id, before=None, limit=2, only_open=False)
        return view(row)

    async def change(self, **values: Any) -> None:
        async with self.stage.database.write() as connection:
            await connection.execute(update(reservations).where(R.id == self.id).values(values))

    async def ask(self) -> str | None:
        """Have the station asked as the worker does, and return its answer."""
        await self.stage.hub.worker.slow[ASK](str(self.id), {})
        answer: str | None = (await self.row()).station_answer
        return answer

    async def is_asked_again(self) -> bool:
        """Tell whether its station is to be told again by now, and forget it."""
        return str(self.id) in await take_due(self.stage, ASK, str(self.id))

    async def release(self) -> bool:
        """Have the station forget it as the worker does; False: it is to be tried again."""
        subject = f"{self.id}:{(await self.row()).station_id}"
        await self.stage.hub.worker.slow[RELEASE](subject, {})
        self.stage.pass_time(60)
        return not await take_due(self.stage, RELEASE, subject)


async def book(stage: Stage, identity: str, token: str, evse_no: int = 1, **more: Any) -> Booked:
    """Let a gun be held for a token, from now on for 15 minutes unless told otherwise."""
    now = stage.clock.date()
    driver_id = uuid4()
    held_from = more.pop("held_from", now)
    hold_until = more.pop("hold_until", now + timedelta(minutes=15))
    values = {
        "driver_id": driver_id,
        "id_token": token.lower(),
        "location_id": "hub",
        "station_id": await stage.station_id(identity),
        "evse_no": evse_no,
        "any_evse": False,
        "binds_any": False,
        "wanted_power_w": MAX_POWER_W,
        "held_from": held_from,
        "starts_at": held_from,
        "hold_until": hold_until,
        "status": "pending",
        "created_at": now,
        **more,
    }
    async with stage.database.write() as connection:
        await connection.execute(
            insert(drivers).values(id=driver_id, group_token=f"DRV-{driver_id.hex}", created_at=now)
        )
        number = await connection.scalar(insert(reservations).values(values).returning(R.id))
    assert number is not None
    return Booked(stage, number)


async def shown(stage: Stage, identity: str, evse_no: int = 1) -> str:
    """Return what the board shows of a gun."""
    feed, key = stage.hub.feed, f"{await stage.station_id(identity)}-{evse_no}"
    if all(one["id"] != key for one in _guns(feed)):
        await feed.reload()  # The station is new.
    await feed.look_at_holds()
    (word,) = [one["status"] for one in _guns(feed) if one["id"] == key]
    return str(word)


def _guns(feed: LiveFeed) -> list[dict[str, Any]]:
    guns: list[dict[str, Any]] = orjson.loads(feed.board.snapshot())["board"]["evses"]
    return guns


async def take_due(stage: Stage, kind: str, begin: str) -> list[str]:
    """Return the subjects of what is due of a kind by now that begin so, and forget it."""
    due = jobs.due_actions.c
    statement = delete(jobs.due_actions).where(
        due.kind == kind, due.due_at <= stage.clock.date(), due.subject.startswith(begin)
    )
    async with stage.database.write() as connection:
        return sorted(await connection.scalars(statement.returning(due.subject)))
