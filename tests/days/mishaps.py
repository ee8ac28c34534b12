"""What goes wrong on the day: guns break, a station is offline for a while, the server restarts."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.days.people import HOUR, MIDNIGHT, MINUTE, PEAK_AT_H
from tests.days.place import Day, Place, Steps

GUNS_A_FAULT = 40
"""In the evening one of so many guns breaks."""
AWAY_S = 45.0
"""How long the server is down: a crash and a start."""


@dataclass
class Mishaps:
    day: Day
    rng: random.Random

    def plan(self) -> None:
        peak = MIDNIGHT + PEAK_AT_H * HOUR
        for number in range(max(1, len(self.day.places) // GUNS_A_FAULT)):
            at = peak + (number - 1) * 14 * MINUTE + self.rng.uniform(0, 5) * MINUTE
            self.day.add(MIDNIGHT, self._break_a_gun(at))
        self.day.add(MIDNIGHT, self._lose_a_line(peak + 3 * MINUTE))
        # At a moment of its own: whose request is cut off would have to repeat it.
        self.day.add(MIDNIGHT, self._restart(peak + 11 * MINUTE + 17.37))

    async def _break_a_gun(self, at: float) -> Steps:
        """Break a gun that waits for its driver, where there is one."""
        yield at
        place = self._held_place()
        await place.station.set_fault(place.gun.evse_no, "GroundFailure")
        self.day.stirred = True
        yield at + self.rng.uniform(20, 40) * MINUTE
        await place.station.set_fault(place.gun.evse_no, None)
        self.day.stirred = True

    async def _lose_a_line(self, at: float) -> Steps:
        yield at
        station = self._held_place().station
        await station.go_offline()
        self.day.stirred = True
        yield at + 40 * MINUTE
        await station.come_back()
        self.day.stirred = True

    async def _restart(self, at: float) -> Steps:
        yield at
        away = [station for station in self.day.stations if not station.connected]
        await self.day.restart(AWAY_S, away)
        self.day.stirred = True

    def _held_place(self) -> Place:
        held = [self.day.places[told["gun_code"]] for told in self.day.held if told["called_at"]]
        waiting = [place for place in held if not place.blocked and place.station.online]
        others = [place for place in self.day.places.values() if place.station.online]
        return self.rng.choice(waiting or others)
