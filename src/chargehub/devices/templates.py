"""Wanted configurations: named templates, who they are for, and applying them to many stations.

An application is rows: its stations are released in waves, each in one transaction with its durable
commands, so it goes on after a restart where it was. What became of it is read from those commands.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.access.rules import Role
from chargehub.devices.inbound import TEMPLATE_CHANGED
from chargehub.devices.names import meant
from chargehub.devices.queries import (
    find_application,
    find_template,
    read_inventoried,
    read_known,
    read_meant,
    read_open_writes,
)
from chargehub.devices.rules import (
    DriftState,
    Variable,
    drift_state,
    duplicates,
    may_change,
    refused_write,
    request_limit,
    split,
)
from chargehub.devices.store import (
    configuration_templates,
    template_application_stations,
    template_applications,
)
from chargehub.devices.variables import InvalidWrite
from chargehub.kit import jobs
from chargehub.kit.db import Database
from chargehub.kit.errors import Conflict, Forbidden, InvalidInput, NotFound
from chargehub.kit.metrics import limit_counter
from chargehub.stations.command_queue import CommandQueue
from chargehub.stations.commands import (
    Command,
    CommandOutcome,
    CommandQueueFull,
    SetVariables,
    VariableName,
    VariableWrite,
)
from chargehub.stations.rights import writes_need_admin
from chargehub.stations.store import charging_stations, station_commands

log = structlog.get_logger(__name__)

APPLY = "template.application"
"""Due row: stations of the application `subject` wait to be released."""

_TOO_MANY = limit_counter("template_stations_max")
_stations = template_application_stations.c


class TemplateNameTaken(Conflict):
    """There is a configuration template of that name already."""

    code = "template-name-taken"


@dataclass(frozen=True, slots=True)
class NewTemplate:
    name: str
    wanted: tuple[VariableWrite, ...]
    description: str = ""
    vendor: str | None = None
    model: str | None = None
    firmware_version: str | None = None
    identities: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """One wanted value at one station."""

    name: VariableName
    wanted: str
    known: Variable | None
    state: DriftState


@dataclass(slots=True)
class Templates:
    database: Database
    queue: CommandQueue
    at_once: int
    """Stations that one application is under way at."""
    stations_max: int

    async def create(self, new: NewTemplate, actor: str) -> Row[Any]:
        """Raises InvalidWrite, TemplateNameTaken."""
        async with self.database.write() as connection:
            values = self._values(new, actor)
            row = await _stored(
                connection,
                insert(configuration_templates).values(values).returning(configuration_templates),
            )
            await self._compare(connection, row)
            await self._audit(connection, actor, "template.created", row.name)
        return row

    async def change(self, template_id: int, new: NewTemplate, actor: str) -> Row[Any]:
        """Replace all of it. Raises NotFound, InvalidWrite, TemplateNameTaken."""
        async with self.database.write() as connection:
            old = await find_template(connection, template_id, lock=True)
            values = self._values(new, actor) | {"revision": old.revision + 1}
            row = await _stored(
                connection,
                update(configuration_templates)
                .where(configuration_templates.c.id == template_id)
                .values(values)
                .returning(configuration_templates),
            )
            await self._compare(connection, row)
            await self._audit(connection, actor, "template.changed", row.name)
        return row

    async def remove(self, template_id: int, actor: str) -> None:
        """Forget a template; its applications stay on record."""
        async with self.database.write() as connection:
            row = await find_template(connection, template_id, lock=True)
            await connection.execute(
                delete(configuration_templates).where(configuration_templates.c.id == template_id)
            )
            await self._audit(connection, actor, "template.deleted", row.name)

    def _values(self, new: NewTemplate, actor: str) -> dict[str, Any]:
        _check(new.wanted, self.queue.limits.waiting)
        return {
            "name": new.name,
            "description": new.description,
            "vendor": new.vendor,
            "model": new.model,
            "firmware_version": new.firmware_version,
            "identities": None if new.identities is None else list(new.identities),
            "wanted": [{**asdict(write.name), "value": write.value} for write in new.wanted],
            "changed_by": actor,
            "changed_at": self.queue.clock.now(),
        }

    async def _compare(self, connection: AsyncConnection, template: Row[Any]) -> None:
        now = self.queue.clock.now()
        await jobs.schedule(connection, TEMPLATE_CHANGED, str(template.id), now)

    async def _audit(
        self, connection: AsyncConnection, actor: str, action: str, subject: str, **more: Any
    ) -> None:
        await audit(connection, self.queue.clock.now(), actor, action, subject, **more)

    # Applying ----------------------------------------------------------------------------------

    async def apply(
        self,
        template_id: int,
        actor: str,
        *,
        identities: Collection[str] | None,
        only_drift: bool,
        wait: timedelta | None,
        as_admin: bool = False,
    ) -> UUID:
        """Write an application down; the worker carries it out. Raises NotFound, Forbidden."""
        application_id, now = uuid.uuid4(), self.queue.clock.now()
        async with self.database.write() as connection:
            template = await find_template(connection, template_id)
            if not as_admin and writes_need_admin(wanted_of(template)):
                told = "The template says what stations connect to or trust."
                raise Forbidden(told, needed_role=Role.ADMIN.value)
            meant = await read_meant(
                connection,
                template,
                after=None,
                limit=self.stations_max + 1,
                identities=identities,
            )
            _check_stations(meant, identities, self.stations_max)
            await connection.execute(
                insert(template_applications).values(
                    id=application_id,
                    template_id=template.id,
                    template_name=template.name,
                    revision=template.revision,
                    wanted=template.wanted,
                    only_drift=only_drift,
                    requested_by=actor,
                    requested_at=now,
                    expires_at=self.queue.expiry(wait),
                )
            )
            await connection.execute(
                insert(template_application_stations),
                [{"application_id": application_id, "station_id": row.id} for row in meant],
            )
            await jobs.schedule_once(connection, APPLY, [application_id], now)
            await self._audit(
                connection, actor, "template.applied", template.name, stations=len(meant)
            )
        return application_id

    async def carry_on(self, subject: str, _payload: dict[str, Any]) -> None:
        """Release the stations of an application in waves, until none waits. Repeatable.

        It waits for the stations of each wave, so the worker does it apart; for silent ones no
        longer than whoever asks a station something waits. What they were told goes on.
        """
        application_id = UUID(subject)
        while released := await self.release(application_id):
            with suppress(TimeoutError):
                async with asyncio.timeout(self.queue.limits.answer_within_s):
                    await asyncio.gather(*(self.queue.deliver(one) for one in released))
        log.info("template_application_released", application_id=subject)

    async def release(self, application_id: UUID) -> list[int]:
        """Release the next wave in one transaction with its commands; return its stations."""
        async with self.database.write() as connection:
            application = await find_application(connection, application_id)
            await _pass_over_retired(connection, application_id)
            waiting = await connection.execute(
                select(_stations.station_id)
                .where(_stations.application_id == application_id, _stations.state == "waiting")
                .order_by(_stations.station_id)
                .limit(self.at_once)
                .with_for_update()
            )
            ids = list(waiting.scalars())
            wanted = wanted_of(application)
            compared = await compare(connection, ids, wanted)
            writes = await read_open_writes(connection, ids)
            for station_id in ids:
                await self._order(
                    connection, application, station_id, compared[station_id], writes[station_id]
                )
        return ids

    async def _order(
        self,
        connection: AsyncConnection,
        application: Row[Any],
        station_id: int,
        compared: Sequence[Compared],
        open_writes: Sequence[Command | None],
    ) -> None:
        refused: list[dict[str, str]] = []
        writes: list[VariableWrite] = []
        known = {item.name.key: item.known for item in compared if item.known is not None}
        for item in compared:
            write = VariableWrite(item.name, item.wanted)
            problem = refused_write(write, item.known)
            stays = item.state is DriftState.IN_SYNC and not may_change(item.name, open_writes)
            if application.only_drift and stays:
                continue
            if application.only_drift and item.state is DriftState.UNSUPPORTED:
                problem = "is not there, says the station"
            if problem is None:
                writes.append(write)
            else:
                refused.append({"variable": item.name.path, "message": problem})
        state = "released" if writes else "in_sync" if len(refused) < len(compared) else "refused"
        try:
            async with connection.begin_nested():
                limits = (await read_known(connection, [station_id], ()))[station_id]
                for chunk in split(writes, request_limit({**limits, **known}, "SetVariables")):
                    await self.queue.add(
                        connection,
                        station_id,
                        SetVariables(chunk),
                        application.requested_by,
                        expires_at=application.expires_at,
                        order_id=application.id,
                    )
        except CommandQueueFull as error:
            state = "refused"
            refused.append({"variable": "", "message": error.detail})
        await connection.execute(
            update(template_application_stations)
            .where(_stations.application_id == application.id, _stations.station_id == station_id)
            .values(state=state, refused=refused)
        )

    async def cancel(self, application_id: UUID, actor: str) -> None:
        """Send no more of it; what is under way ends as it will. Repeatable. Raises NotFound."""
        now = self.queue.clock.now()
        async with self.database.write() as connection:
            row = await find_application(connection, application_id, lock=True)
            await connection.execute(
                update(template_application_stations)
                .where(_stations.application_id == application_id, _stations.state == "waiting")
                .values(state="cancelled")
            )
            await connection.execute(
                update(station_commands)
                .where(
                    station_commands.c.order_id == application_id,
                    station_commands.c.outcome == CommandOutcome.QUEUED,
                )
                .values(outcome=CommandOutcome.CANCELLED, completed_at=now)
            )
            if row.cancelled_at is None:
                await connection.execute(
                    update(template_applications)
                    .where(template_applications.c.id == application_id)
                    .values(cancelled_at=now)
                )
                await self._audit(
                    connection, actor, "template.application_cancelled", row.template_name
                )


async def _pass_over_retired(connection: AsyncConnection, application_id: UUID) -> None:
    """End what no wave has come to at stations that never come back."""
    retired = select(charging_stations.c.id).where(
        charging_stations.c.decommissioned_at.is_not(None)
    )
    await connection.execute(
        update(template_application_stations)
        .where(
            _stations.application_id == application_id,
            _stations.state == "waiting",
            _stations.station_id.in_(retired),
        )
        .values(state="cancelled")
    )


def wanted_of(row: Row[Any]) -> list[VariableWrite]:
    """Return the wanted values of a template or an application."""
    return [
        VariableWrite(
            meant(VariableName(**{key: value for key, value in item.items() if key != "value"})),
            item["value"],
        )
        for item in row.wanted
    ]


async def compare(
    connection: AsyncConnection, station_ids: Sequence[int], wanted: Sequence[VariableWrite]
) -> Mapping[int, list[Compared]]:
    """Hold what each station told last against what is wanted."""
    known = await read_known(connection, station_ids, [write.name.key for write in wanted])
    inventoried = await read_inventoried(connection, station_ids)
    return {
        station_id: [
            Compared(
                write.name,
                write.value,
                found := known[station_id].get(write.name.key),
                drift_state(write.value, found, inventoried=station_id in inventoried),
            )
            for write in wanted
        ]
        for station_id in station_ids
    }


def _check(wanted: Sequence[VariableWrite], most: int) -> None:
    """Refuse what no station may be told; the rest depends on the station."""
    # Many a station takes one value a request, and each of them waits for its turn.
    if len(wanted) > most:
        raise InvalidInput(f"A template has {most} values at most: as many may wait for a station.")
    errors = [(name, "is named twice") for name in duplicates(write.name for write in wanted)]
    for write in wanted:
        problem = refused_write(write, None)
        if problem is not None:
            errors.append((write.name, problem))
    if errors:
        raise InvalidWrite.of(errors)


def _check_stations(
    meant: Sequence[Row[Any]], identities: Collection[str] | None, stations_max: int
) -> None:
    if len(meant) > stations_max:
        _TOO_MANY.inc()
        raise InvalidInput(f"One application is for {stations_max} charging stations at most.")
    found = {row.identity.lower() for row in meant}
    strangers = sorted(name for name in identities or () if name.lower() not in found)
    if strangers:
        raise NotFound(f"The template is not for {strangers[0]}.", identities=strangers)
    if not meant:
        raise NotFound("The template is for no charging station.")


async def _stored(connection: AsyncConnection, statement: Any) -> Row[Any]:
    try:
        async with connection.begin_nested():
            row: Row[Any] = (await connection.execute(statement)).one()
    except IntegrityError as error:
        raise TemplateNameTaken from error
    return row
