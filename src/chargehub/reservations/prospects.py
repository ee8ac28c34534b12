"""Whether a driver who goes to the gun held for them finds it free, as one look tells. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Any

from sqlalchemy import Row

from chargehub.reservations.guns import Gun, Running, Starting

GUN_REFUSED = frozenset(("Occupied", "Faulted", "Unavailable"))
"""Words of a station on the gun itself. Rejected says only that it takes no reservations."""


class Prospect(Enum):
    FREE = "free"
    TAKING = "taking"
    """A car came to it after its driver was called, or their own start is under way: perhaps they
    are plugging in."""
    IN_DOUBT = "in doubt"
    """Its line is down, or what charges there is nobody's: time tells."""
    LOST = "lost"


def prospect_of(gun: Gun | None, row: Row[Any]) -> Prospect:
    """Judge a reservation's gun (None: not in service any more); its row says who was called."""
    if gun is None or _is_lost(gun, row):
        return Prospect.LOST
    if not gun.online:
        return Prospect.IN_DOUBT
    if gun.starting is not None:
        return Prospect.TAKING
    if not gun.has_car:
        return Prospect.FREE
    return Prospect.TAKING if gun.running is None else Prospect.IN_DOUBT


def _is_lost(gun: Gun, row: Row[Any]) -> bool:
    # A car that may be its driver's does not block it.
    if gun.broken or gun.blocked or row.station_answer in GUN_REFUSED:
        return True
    if gun.starting is not None:
        return not is_of(gun.starting, row)  # Somebody else is plugging in there.
    if not gun.online or not gun.has_car:
        return False
    charge = gun.running
    return row.called_at is None or (charge is not None and charge.authorized)


def is_of(charge: Running | Starting, row: Row[Any]) -> bool:
    """Tell whether the driver or the group charges, or is about to, that has the reservation."""
    group = charge.group_id_token
    own_group = group is not None and group.lower() == (row.group_token or "").lower()
    return charge.id_token == row.id_token or own_group
