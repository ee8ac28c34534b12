"""The parts of this feature, built together for the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chargehub.devices.drift import DriftWatch
from chargehub.devices.inbound import GIVE_UP, INVENTORY, STATION_TOLD, TEMPLATE_CHANGED
from chargehub.devices.inventory import Inventory
from chargehub.devices.templates import APPLY, Templates
from chargehub.devices.variables import Variables
from chargehub.kit.db import Database
from chargehub.kit.worker import DueAction, OutboxAction
from chargehub.stations.dispatch import COMMAND_UNSUPPORTED
from chargehub.stations.events import BOOTED
from chargehub.stations.orders import Orders


@dataclass(frozen=True, slots=True)
class Devices:
    database: Database
    orders: Orders
    inventory: Inventory
    variables: Variables
    templates: Templates
    drift: DriftWatch

    @classmethod
    def with_orders(cls, orders: Orders, *, at_once: int, stations_max: int) -> Devices:
        database = orders.queue.database
        inventory = Inventory(database, orders.desk, orders.queue.clock)
        return cls(
            database,
            orders,
            inventory,
            Variables(database, orders.queue, inventory),
            Templates(database, orders.queue, at_once, stations_max),
            DriftWatch(database, orders.queue.clock),
        )

    def due(self) -> dict[str, DueAction]:
        return {GIVE_UP: self.inventory.give_up, STATION_TOLD: self.drift.station_told}

    def topics(self) -> dict[str, OutboxAction]:
        return {
            BOOTED: self.station_booted,
            COMMAND_UNSUPPORTED: self.variables.command_unsupported,
        }

    def slow(self) -> dict[str, DueAction]:
        """Return the due actions that wait for stations, or have much to do."""
        return {
            APPLY: self.templates.carry_on,
            INVENTORY: self.inventory.station_booted,
            TEMPLATE_CHANGED: self.drift.template_changed,
        }

    async def station_booted(self, subject: str, _payload: dict[str, Any]) -> None:
        """Queue what a boot calls for, and wait for no station. Repeatable."""
        await self.orders.control.station_booted(subject)
        await self.variables.station_booted(subject)
