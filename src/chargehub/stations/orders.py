"""The ways by which something is asked of stations, built together for the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.events import EventBus
from chargehub.kit.worker import DueAction, OutboxAction
from chargehub.stations.boots import ASK_BOOT, BootWatch
from chargehub.stations.command_queue import DELIVER, EXPIRE, CommandQueue, QueueLimits
from chargehub.stations.commands import StationLink
from chargehub.stations.control import StationControl
from chargehub.stations.dispatch import COMMAND_UNKNOWN, CommandDesk


@dataclass(frozen=True, slots=True)
class Orders:
    desk: CommandDesk
    queue: CommandQueue
    control: StationControl

    @classmethod
    def through(
        cls,
        link: StationLink,
        database: Database,
        clock: HubClock,
        bus: EventBus,
        limits: QueueLimits,
    ) -> Orders:
        desk = CommandDesk(database, link, clock)
        queue = CommandQueue(database, desk, clock, limits)
        link.on_arrival(queue.arrived)
        return cls(desk, queue, StationControl(database, queue, clock, bus))

    def due(self) -> dict[str, DueAction]:
        return {DELIVER: self.queue.station_due, EXPIRE: self.queue.expire}

    def slow(self) -> dict[str, DueAction]:
        """Return the due actions that wait for stations."""
        return {ASK_BOOT: BootWatch(self.queue.database, self.desk).ask}

    def topics(self) -> dict[str, OutboxAction]:
        return {COMMAND_UNKNOWN: self.control.command_unknown}

    async def stop(self) -> None:
        await self.queue.stop()
        await self.desk.stop()
