"""Which station may open a socket: looked up by identity; entry.py decides by what it presents.

In a demo an unknown station is registered on the spot, with the password it came with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ARRAY, Text, any_, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.stations.credentials import hash_credential
from chargehub.stations.entry import (
    Candidate,
    Entry,
    Presented,
    Refusal,
    SecurityProfile,
    decide_entry,
)
from chargehub.stations.new_stations import insert_stations
from chargehub.stations.rules import NewEvse, NewStation, is_identity
from chargehub.stations.store import (
    charging_stations,
    credential_changes,
    locations,
    station_connections,
)

SELF_REGISTERED_POWER_W = 120_000
SELF_REGISTERED_EVSES = 2


@dataclass(slots=True)
class Admission:
    """Whoever can reach the port can knock: however many do, one database connection looks them up.

    A demo takes a second one, to register whom it does not know.
    """

    database: Database
    clock: HubClock
    key: bytes
    self_registration: bool = False
    organisation: str | None = None
    """The operator's name, as the O of client certificates says it."""
    _asked: list[tuple[str, asyncio.Future[Candidate | None]]] = field(default_factory=list)
    """Who waits for the next query: those who come together are looked up together."""
    _answering: asyncio.Task[None] | None = None
    _registering: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, identity: str) -> Candidate | None:
        """Find a station by its identity, whose case means nothing (identifierString)."""
        found: asyncio.Future[Candidate | None] = asyncio.get_running_loop().create_future()
        self._asked.append((identity.lower(), found))
        if self._answering is None or self._answering.done():
            self._answering = asyncio.create_task(self._answer(), name="admission")
        return await found

    async def _answer(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, []
            candidates: dict[str, Candidate] | Exception
            try:
                candidates = await self._look_up({name for name, _ in asked})
            except Exception as error:  # noqa: BLE001  It is the askers' to deal with.
                candidates = error
            for name, found in asked:
                if found.done():
                    continue  # Gave up waiting.
                if isinstance(candidates, Exception):
                    found.set_exception(candidates)
                else:
                    found.set_result(candidates.get(name))

    async def _look_up(self, names: Collection[str]) -> dict[str, Candidate]:
        name = func.lower(charging_stations.c.identity)
        async with self.database.read() as connection:
            rows = await connection.execute(
                select(
                    charging_stations.c.id,
                    charging_stations.c.identity,
                    charging_stations.c.credential_hash,
                    charging_stations.c.security_profile,
                    charging_stations.c.bound_serial_number,
                    credential_changes.c.credential_hash.label("pending_hash"),
                    name.label("name"),
                )
                .join(
                    credential_changes,
                    credential_changes.c.station_id == charging_stations.c.id,
                    isouter=True,
                )
                .where(
                    name == any_(literal(list(names), ARRAY(Text))),
                    charging_stations.c.decommissioned_at.is_(None),
                )
            )
        return {
            row.name: Candidate(
                row.id,
                row.identity,
                row.credential_hash,
                row.security_profile,
                row.pending_hash,
                row.bound_serial_number,
            )
            for row in rows
        }

    def decide(self, candidate: Candidate, presented: Presented) -> Entry | Refusal:
        """Say how the station comes in, or why it does not."""
        return decide_entry(candidate, presented, self.key, self.organisation)

    async def find_or_register(self, identity: str, password: bytes | None) -> Candidate | None:
        return await self.find(identity) or await self.register(identity, password)

    async def register(self, identity: str, password: bytes | None) -> Candidate | None:
        """Register an unknown station of a demo; None where that is not allowed.

        Nor is an identity under which the API could not reach it.
        """
        if not self.self_registration or not is_identity(identity):
            return None
        try:
            async with self._registering, self.database.write() as connection:
                await self._insert(connection, identity, password)
        except IntegrityError:
            pass  # Its other socket was faster.
        return await self.find(identity)

    async def _insert(
        self, connection: AsyncConnection, identity: str, password: bytes | None
    ) -> None:
        location_id = await connection.scalar(select(locations.c.id).limit(1))
        if location_id is None:
            location_id = "demo"
            # Many unknown stations may arrive at once.
            await connection.execute(
                insert(locations)
                .values(id="demo", name="Demo", latitude=0, longitude=0)
                .on_conflict_do_nothing()
            )
        station = NewStation(
            identity,
            location_id,
            SELF_REGISTERED_POWER_W,
            tuple(
                NewEvse(number, SELF_REGISTERED_POWER_W, f"{identity}-{number}")
                for number in range(1, SELF_REGISTERED_EVSES + 1)
            ),
            name=identity,
            security_profile=SecurityProfile.BASIC if password else SecurityProfile.OPEN,
        )
        hashed = hash_credential(self.key, password) if password else None
        await insert_stations(connection, self.clock.now(), [(station, hashed)])


async def close_left_open_connections(connection: AsyncConnection, at: datetime) -> None:
    """Mark, at start-up, the sockets of the dead server as closed."""
    await connection.execute(
        update(station_connections)
        .where(station_connections.c.disconnected_at.is_(None))
        .values(disconnected_at=at, epoch=station_connections.c.epoch + text("1"))
    )
