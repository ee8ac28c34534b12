"""Builds what the routers of drivers need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from chargehub.drivers.account_end import AccountEnd
from chargehub.drivers.account_parts import AccountPart
from chargehub.drivers.bindings import AutochargePart
from chargehub.drivers.entry import Budgets, DriverEntry
from chargehub.drivers.logins import DriverLogins
from chargehub.drivers.logins_api import DriverParts
from chargehub.drivers.own_parts import OWN_PARTS
from chargehub.drivers.ports import DriverPorts
from chargehub.drivers.vehicle_identity import CarNames
from chargehub.drivers.vehicles import Garage
from chargehub.kit.clock import HubClock, wall_now
from chargehub.kit.db import Database
from chargehub.kit.sealing import Seal


def driver_services(
    database: Database,
    clock: HubClock,
    seal: Seal,
    ports: DriverPorts,
    *,
    secure_cookies: bool = False,
    budgets: Budgets | None = None,
    parts: Iterable[AccountPart] = (),
    wall: Callable[[], datetime] = wall_now,
) -> tuple[object, ...]:
    """Return what the routers find by type.

    `parts` are those of other packages who keep something of a driver and have a say when an
    account ends.
    """
    logins = DriverLogins(database, wall=wall)
    names = CarNames(seal)
    known = (*OWN_PARTS, AutochargePart(names), *parts)
    entry = DriverEntry(database, clock, seal, logins, ports, budgets=budgets, parts=known)
    garage = Garage(seal)
    closing = AccountEnd(database, clock, seal, logins=logins, garage=garage, parts=known)
    return seal, names, logins, entry, garage, closing, DriverParts(secure_cookies)
