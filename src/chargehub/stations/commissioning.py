"""Use cases of commissioning: create, import, change, rotate, replace, decommission; locations.

A credential is returned once, by the call that made it; only its HMAC is stored. Gun codes are
printed on labels, so a replacement takes them over, and a retired station's are set aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.kit import jobs
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import Conflict, InvalidInput, NotFound
from chargehub.kit.events import EventBus
from chargehub.stations.commands import StationLink
from chargehub.stations.credential_change import forget_change
from chargehub.stations.credentials import generate_credential, hash_credential
from chargehub.stations.entry import SecurityProfile, check_profile
from chargehub.stations.events import RETIRED, HubLayoutChanged, StationWentOffline
from chargehub.stations.fence import PARTING, ends_connection, lock_fence, shut_out
from chargehub.stations.new_stations import insert_stations
from chargehub.stations.obstacles import UnknownLocation, find_obstacles, name_taken
from chargehub.stations.queries import find_station_in_service
from chargehub.stations.rules import ImportLine, LineError, NewEvse, NewStation
from chargehub.stations.store import charging_stations, connectors, evses, locations
from chargehub.stations.waiting_commands import drop_queue


class LocationTaken(Conflict):
    """A location has this id."""

    code = "location-taken"


class UnknownTimeZone(InvalidInput):
    """There is no such time zone."""

    code = "unknown-time-zone"


class ImportRefused(InvalidInput):
    """The import has errors, so nothing was imported."""

    code = "import-refused"


@dataclass(frozen=True, slots=True)
class Commissioned:
    station_id: int
    identity: str
    credential: str
    gun_codes: tuple[str, ...]


async def commission_stations(
    connection: AsyncConnection,
    at: datetime,
    key: bytes,
    stations: Sequence[NewStation],
    *,
    actor: str,
) -> list[Commissioned]:
    """Insert stations with their EVSEs and connectors in the caller's transaction."""
    ready = [item if item.credential else _with_credential(item) for item in stations]
    hashed = [(item, hash_credential(key, (item.credential or "").encode())) for item in ready]
    try:
        async with connection.begin_nested():
            ids = await insert_stations(connection, at, hashed)
    except IntegrityError as error:
        raise name_taken(error) from error
    done: list[Commissioned] = []
    for item in ready:
        assert item.credential is not None
        codes = tuple(evse.gun_code for evse in item.evses)
        done.append(Commissioned(ids[item.identity.lower()], item.identity, item.credential, codes))
        await audit(
            connection,
            at,
            actor,
            "station.commissioned",
            item.identity,
            location=item.location_id,
            gun_codes=list(codes),
        )
    return done


def _with_credential(station: NewStation) -> NewStation:
    return replace(station, credential=generate_credential())


class Commissioning:
    """Every change of who a station is ends its connection: it comes back as what it is now."""

    def __init__(
        self, database: Database, clock: HubClock, key: bytes, bus: EventBus, link: StationLink
    ) -> None:
        self._database = database
        self._clock = clock
        self._key = key
        self._bus = bus
        self._link = link

    async def create(self, station: NewStation, *, actor: str) -> Commissioned:
        now = self._clock.now()
        async with self._database.write() as connection:
            for obstacle in await find_obstacles(connection, [station]):
                raise obstacle.error
            [done] = await commission_stations(connection, now, self._key, [station], actor=actor)
        self._bus.publish(HubLayoutChanged(now))
        return done

    async def import_stations(
        self,
        lines: Sequence[ImportLine],
        errors: Sequence[LineError] = (),
        *,
        actor: str,
        dry_run: bool,
    ) -> list[Commissioned]:
        """Commission all or none; ImportRefused names every line in the way, and `errors`."""
        stations = [item.station for item in lines]
        now = self._clock.now()
        async with self._database.write() as connection:
            obstacles = await find_obstacles(connection, stations)
            if obstacles or errors:
                raise import_refused(
                    [
                        *errors,
                        *(
                            LineError(lines[item.index].line, item.column, item.error.detail)
                            for item in obstacles
                        ),
                    ]
                )
            if dry_run:
                return []
            done = await commission_stations(connection, now, self._key, stations, actor=actor)
        self._bus.publish(HubLayoutChanged(now))
        return done

    async def change(self, identity: str, changes: dict[str, Any], *, actor: str) -> None:
        """Set columns of a station: name, place, power, registration, heartbeat, how it enters."""
        now = self._clock.now()
        was_online = False
        async with self._database.write() as connection:
            if PARTING & changes.keys():
                await lock_fence(connection)
            station = await _lock_station(connection, identity)
            different = {
                key: value for key, value in changes.items() if getattr(station, key) != value
            }
            if not different:
                return
            serial_number = changes.get("bound_serial_number", station.bound_serial_number)
            profile = changes.get("security_profile", station.security_profile)
            check_profile(profile, serial_number, before=station.security_profile)
            if "location_id" in different:
                await _check_location(connection, different["location_id"])
            await _set_unless_taken(connection, station.id, different)
            parts = await ends_connection(connection, station.id, different)
            if parts:
                was_online = await shut_out(connection, station.id, now)
            await audit(connection, now, actor, "station.changed", station.identity, **different)
        self._bus.publish(HubLayoutChanged(now))
        if parts:
            await self._part(station, now, was_online=was_online)

    async def rotate_credential(
        self, identity: str, *, actor: str, credential: str | None = None
    ) -> str:
        """Give the station another credential and return it; the old one is void at once."""
        now = self._clock.now()
        fresh = credential or generate_credential()
        async with self._database.write() as connection:
            await lock_fence(connection)
            station = await _lock_station(connection, identity)
            await _set(
                connection,
                station.id,
                credential_hash=hash_credential(self._key, fresh.encode()),
                credential_rotated_at=now,
            )
            await forget_change(connection, station.id)
            was_online = await shut_out(connection, station.id, now)
            await audit(connection, now, actor, "station.credential_rotated", station.identity)
        await self._part(station, now, was_online=was_online)
        return fresh

    async def decommission(self, identity: str, *, actor: str) -> None:
        now = self._clock.now()
        async with self._database.write() as connection:
            await lock_fence(connection)
            station = await _lock_station(connection, identity)
            was_online = await shut_out(connection, station.id, now)
            codes = await _retire(connection, station.id, now)
            await audit(
                connection, now, actor, "station.decommissioned", station.identity, gun_codes=codes
            )
        await self._part(station, now, was_online=was_online)
        self._bus.publish(HubLayoutChanged(now))

    async def replace(
        self,
        identity: str,
        *,
        new_identity: str,
        actor: str,
        credential: str | None = None,
        security_profile: int | None = None,
    ) -> Commissioned:
        """Put another station in the place of this one: same location, EVSEs and gun codes.

        The identity may stay the same: then only the device and its credential are new. Unless
        told, it must use the old one's security profile, but no certificate: it has none yet.
        """
        now = self._clock.now()
        async with self._database.write() as connection:
            await lock_fence(connection)
            old = await _lock_station(connection, identity)
            successor = NewStation(
                identity=new_identity,
                location_id=old.location_id,
                name=old.name,
                max_power_w=old.max_power_w,
                evses=await _evses_of(connection, old.id),
                credential=credential,
                security_profile=min(old.security_profile, SecurityProfile.TLS_BASIC)
                if security_profile is None
                else security_profile,
            )
            was_online = await shut_out(connection, old.id, now)
            await _retire(connection, old.id, now)
            [done] = await commission_stations(connection, now, self._key, [successor], actor=actor)
            await _set(connection, old.id, replaced_by_id=done.station_id)
            await audit(connection, now, actor, "station.replaced", old.identity, by=done.identity)
        await self._part(old, now, was_online=was_online)
        self._bus.publish(HubLayoutChanged(now))
        return done

    async def _part(self, station: Row[Any], at: datetime, *, was_online: bool) -> None:
        """Close the socket that the transaction has shut out.

        Its own end tells nobody any more, because its epoch is stale: so this does.
        """
        if was_online:
            self._bus.publish(StationWentOffline(station.id, station.identity, at))
        await self._link.disconnect(station.id)

    async def create_location(self, values: dict[str, Any], *, actor: str) -> None:
        now = self._clock.now()
        async with self._database.write() as connection:
            await _check_time_zone(connection, values["time_zone"])
            try:
                async with connection.begin_nested():
                    await connection.execute(insert(locations).values(values))
            except IntegrityError as error:
                raise LocationTaken(location_id=values["id"]) from error
            await audit(connection, now, actor, "location.created", values["id"])
        self._bus.publish(HubLayoutChanged(now))

    async def change_location(
        self, location_id: str, changes: dict[str, Any], *, actor: str
    ) -> None:
        now = self._clock.now()
        async with self._database.write() as connection:
            if "time_zone" in changes:
                await _check_time_zone(connection, changes["time_zone"])
            known = await connection.execute(
                select(locations.c.id).where(locations.c.id == location_id).with_for_update()
            )
            if known.one_or_none() is None:
                raise NotFound("There is no such location.")
            if not changes:
                return
            await connection.execute(
                update(locations).where(locations.c.id == location_id).values(changes)
            )
            await audit(connection, now, actor, "location.changed", location_id, **changes)
        self._bus.publish(HubLayoutChanged(now))


def import_refused(errors: Sequence[LineError], *, shown: int = 100) -> ImportRefused:
    lines = [
        {
            "where": f"line {item.line}, {item.column}" if item.column else f"line {item.line}",
            "message": item.message,
            "line": item.line,
            "column": item.column,
        }
        for item in sorted(errors, key=lambda item: item.line)[:shown]
    ]
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    return ImportRefused(f"{count}; nothing was imported.", errors=lines, error_count=len(errors))


async def _lock_station(connection: AsyncConnection, identity: str) -> Row[Any]:
    station = await find_station_in_service(connection, identity)
    locked = await connection.execute(
        select(charging_stations.c.id)
        .where(
            charging_stations.c.id == station.id, charging_stations.c.decommissioned_at.is_(None)
        )
        .with_for_update()
    )
    if locked.one_or_none() is None:
        raise NotFound("This charging station was decommissioned just now.")
    return station


async def _set(connection: AsyncConnection, station_id: int, **values: Any) -> None:
    await connection.execute(
        update(charging_stations).where(charging_stations.c.id == station_id).values(values)
    )


async def _set_unless_taken(
    connection: AsyncConnection, station_id: int, values: dict[str, Any]
) -> None:
    try:
        async with connection.begin_nested():
            await _set(connection, station_id, **values)
    except IntegrityError as error:
        raise name_taken(error) from error


async def _retire(connection: AsyncConnection, station_id: int, at: datetime) -> list[str]:
    """Take a station out of service and free its identity and gun codes; return the codes."""
    await _set(connection, station_id, decommissioned_at=at)
    await jobs.post(connection, RETIRED, str(station_id), at)
    await forget_change(connection, station_id)
    await drop_queue(connection, station_id, at)
    rows = await connection.execute(
        select(evses.c.gun_code).where(evses.c.station_id == station_id).order_by(evses.c.evse_no)
    )
    codes = [row.gun_code for row in rows]
    # `~` is in no printed code, so a retired code never meets a label.
    await connection.execute(
        update(evses)
        .where(evses.c.station_id == station_id)
        .values(gun_code=evses.c.gun_code + f"~{station_id}")
    )
    return codes


async def _evses_of(connection: AsyncConnection, station_id: int) -> tuple[NewEvse, ...]:
    standards: dict[int, list[str]] = {}
    for row in await connection.execute(
        select(connectors)
        .where(connectors.c.station_id == station_id)
        .order_by(connectors.c.evse_no, connectors.c.connector_no)
    ):
        standards.setdefault(row.evse_no, []).append(row.standard)
    rows = await connection.execute(
        select(evses).where(evses.c.station_id == station_id).order_by(evses.c.evse_no)
    )
    return tuple(
        NewEvse(row.evse_no, row.max_power_w, row.gun_code, tuple(standards.get(row.evse_no, ())))
        for row in rows
    )


async def _check_location(connection: AsyncConnection, location_id: str) -> None:
    known = await connection.execute(select(locations.c.id).where(locations.c.id == location_id))
    if known.one_or_none() is None:
        raise UnknownLocation(location_id=location_id)


async def _check_time_zone(connection: AsyncConnection, name: str) -> None:
    # PostgreSQL's own list: a slim system has no time zone files for Python to read.
    known = await connection.execute(
        text("SELECT 1 FROM pg_timezone_names WHERE name = :name"), {"name": name}
    )
    if known.one_or_none() is None:
        raise UnknownTimeZone(time_zone=name)
