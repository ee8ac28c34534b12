"""Which of a Location's guns are there for who waits: what was promised before comes first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from chargehub.reservations.choice import Choice
from chargehub.reservations.guns import Gun
from chargehub.reservations.prospects import Prospect, prospect_of
from chargehub.reservations.queue.rules import assign
from chargehub.reservations.rules import Terms


def callable_guns(choice: Choice, terms: Terms, now: datetime) -> tuple[list[Gun], list[Row[Any]]]:
    """Return the guns to which somebody may be called, and the reservations that need one before.

    Promises first: who was promised a gun that cannot be had, by a booking or a call, takes the
    next that is free; and a gun is not given away whose window begins before who is called could
    have charged.
    """
    charged = now + terms.queue_call + terms.queue_charge
    promised = {(row.station_id, row.evse_no) for row in choice.held if row.starts_at < charged}
    free = [gun for gun in choice.fitting(0) if gun.key not in promised]
    guns = {gun.key: gun for gun in choice.guns}
    without_gun = []
    for row in sorted(choice.held, key=lambda row: (row.starts_at, row.id)):
        own = guns.get((row.station_id, row.evse_no))
        held = row.held_from <= now < row.hold_until
        if held and prospect_of(own, row) not in {Prospect.FREE, Prospect.TAKING}:
            without_gun.append(row)
    taken = {gun.key for _, gun in assign(without_gun, free)}
    return [gun for gun in free if gun.key not in taken], without_gun
