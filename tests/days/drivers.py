"""What drivers do on the day: reserve, come, try a gun, wait, charge, linger, leave.

Each is a coroutine that yields when it goes on. Whoever finds the hub full joins the queue with
the app, or stands by and takes what becomes free, or gives up; who has a promise or is called looks
at the app for the gun to go to.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from simulators.clock import rfc3339
from tests.days.ledger import TERMINAL, Promise, seconds
from tests.days.people import MIDNIGHT, MINUTE, Booking, Character, Manner, Plan
from tests.days.place import LOCATION, Day, Place, Steps
from tests.scenarios.drivers import Phone, new_phone

LOOKS_EVERY_S = 20.0
READS_EVERY_S = 45.0
"""So often who waits in the queue reads whether they are called."""
AVOIDS_FOR_S = 5 * MINUTE
"""A gun that has refused somebody is not tried again at once."""


@dataclass
class Driver:
    day: Day
    plan: Plan
    phone: Phone
    card: str
    place: Place | None = None
    """The gun that they charge with."""
    found_at: float = 0.0
    """When they drove up to it."""
    refused_by: dict[str, float] = field(default_factory=dict)
    stands_at: Place | None = None
    """Before which gun, promised to them, they wait for somebody who is refused there to go."""

    async def live(self) -> Steps:
        promise = None
        booking = self.plan.booking
        if booking is not None:
            yield booking.at
            promise = await self._book(booking)
            if promise is not None and booking.character in {Character.CANCELS, Character.EXTENDS}:
                yield booking.changes_at
                await self._change(promise, booking)
            if booking.character in {Character.CANCELS, Character.NO_SHOW} and promise is not None:
                return
        yield self.plan.arrives_at
        if promise is None or promise.until <= self.day.now:
            visit = self._come_as_a_walk_in()
        else:
            visit = self._come_for(promise)
        async for at in visit:
            yield at
        async for at in self._charge():
            yield at

    async def _ask(self, method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
        answer = await self.day.ask(self.phone.token, method, path, **more)
        return answer.status_code, answer.json()

    # Reserving.

    async def _book(self, booking: Booking) -> Promise | None:
        """Reserve as planned; whose gun is not to be had takes any of that power."""
        promise = None
        if booking.gun is not None:
            codes = sorted(self.day.places)
            promise = await self._reserve(gun_code=codes[int(booking.gun * len(codes))])
        if promise is None:
            promise = await self._reserve(location_id=LOCATION, power_w=booking.power_w)
        if promise is not None and self.plan.number % 7 == 0:
            assert await self._reserve(location_id=LOCATION) is None  # One is the most.
        return promise

    async def _reserve(self, **wanted: Any) -> Promise | None:
        booking = self.plan.booking
        assert booking is not None
        if booking.starts_at is not None:
            wanted["starts_at"] = rfc3339(booking.starts_at)
        number = len(self.day.ledger.promises) + sum(self.day.ledger.refusals.values())
        key = {"Idempotency-Key": f"day-{self.plan.number}-{number}-{len(wanted)}"}
        status, told = await self._ask("POST", "/reservations", json=wanted, headers=key)
        if status != 201:
            self.day.ledger.refused(told)
            return None
        if self.plan.number % 5 == 0:
            again = await self._ask("POST", "/reservations", json=wanted, headers=key)
            assert again == (status, told)
            self.day.ledger.repeated += 1
        return self.day.ledger.promised(self.plan.number, told)

    async def _change(self, promise: Promise, booking: Booking) -> None:
        verb = "cancel" if booking.character is Character.CANCELS else "extend"
        status, told = await self._ask("POST", f"/reservations/{promise.id}/{verb}")
        if status != 200:
            self.day.ledger.refused(told)
        elif verb == "cancel":
            promise.withdrawn = True
        else:
            promise.until = max(promise.until, seconds(told["hold_until"]))
            self.day.ledger.extended += 1

    async def look_up(self, promise: Promise) -> dict[str, Any]:
        """Return what the app says of the reservation now."""
        status, told = await self._ask("GET", f"/reservations/{promise.id}")
        assert status == 200, told
        self.day.ledger.saw(promise, told)
        return told

    # Coming.

    async def _come_for(self, promise: Promise) -> Steps:
        """Go to the gun that the app says, else to any free one of that power, until one is had."""
        promise.arrived_at = self.day.now
        gives_up_at = max(self.day.now, promise.starts_at) + self.plan.patience_s
        while self.place is None:
            place = self._best_place(await self.look_up(promise), promise)
            if place is not None:
                async for at in self._try(place):
                    yield at
            elif self.day.now > gives_up_at:
                self._stand_at(None)
                return
            else:
                yield self.day.now + LOOKS_EVERY_S
        self._stand_at(None)
        promise.served_at, promise.served_with_w = self.found_at, self.place.power_w

    def _best_place(self, told: dict[str, Any], promise: Promise) -> Place | None:
        own = self.day.places[told["gun_code"]]
        self._stand_at(own if own.gun.plugged_in and own.gun.transaction is None else None)
        refused = self.refused_by.get(own.code, 0) > self.day.now
        usable = not own.blocked and not refused
        if usable and own.station.online:
            return own
        free = self._worth_trying(promise.power_w)
        if free:
            return free[0]
        return own if usable and self.plan.by_card else None

    async def _come_as_a_walk_in(self) -> Steps:
        came_at = self.day.now
        while self.place is None:
            free = self._worth_trying(0)
            if free:
                place = free[int(self.plan.choice * len(free))]
                async for at in self._look_and_try(place):
                    yield at
            elif self.day.now > came_at + self.plan.patience_s:
                self.day.ledger.turned_away += 1
                return
            elif self.plan.looks_first and await self._joins_the_queue():
                async for at in self._wait_in_the_queue(came_at):
                    yield at
                return
            else:
                yield self.day.now + LOOKS_EVERY_S
        self.day.ledger.walk_in_waits_s.append(self.found_at - came_at)

    # The queue.

    async def _joins_the_queue(self) -> bool:
        wish = {"location_id": LOCATION, "power_w": self.plan.queues_for_w}
        key = {"Idempotency-Key": f"queue-{self.plan.number}-{int(self.day.now)}"}
        status, told = await self._ask("POST", "/queue", json=wish, headers=key)
        if status != 201:
            self.day.ledger.refused(told)
            return False
        if self.plan.number % 5 == 0:
            again = await self._ask("POST", "/queue", json=wish, headers=key)
            assert again == (status, told)
            self.day.ledger.repeated += 1
        self.day.ledger.joined += 1
        return True

    async def _wait_in_the_queue(self, came_at: float) -> Steps:
        """Stay in the car until the app names a gun, and go there; or have enough and leave."""
        while True:
            _, told = await self._ask("GET", "/queue")
            if told["call"] is not None and self.plan.manner is not Manner.SLEEPS:
                call = self.day.ledger.called(
                    self.plan.number, told["call"], told["wanted_power_w"]
                )
                if not await self._gives_way(call):
                    async for at in self._come_when_called(call):
                        yield at
                    if self.place is not None:
                        self.day.ledger.queue_waits_s.append(self.found_at - came_at)
                        return
            elif told["status"] == "out" or self.day.now > came_at + self.plan.patience_s:
                status, told = await self._ask("DELETE", "/queue")
                assert status == 200, told
                self.day.ledger.turned_away += 1
                return
            yield self.day.now + READS_EVERY_S

    async def _gives_way(self, call: Promise) -> bool:
        """Let the next in the queue go first, where that is this driver's manner."""
        if self.plan.manner is not Manner.GIVES_WAY or call.arrived_at is not None:
            return False
        key = {"Idempotency-Key": f"skip-{call.id}"}
        status, told = await self._ask("POST", "/queue/skip", headers=key)
        if status != 200:
            self.day.ledger.refused(told)
        call.withdrawn = status == 200
        return call.withdrawn

    async def _come_when_called(self, call: Promise) -> Steps:
        """Go where the app says until a gun is had, or the call is over."""
        call.arrived_at = self.day.now
        while self.place is None:
            told = await self.look_up(call)
            if told["status"] in TERMINAL:
                self._stand_at(None)
                return
            place = self._best_place(told, call)
            if place is None:
                yield self.day.now + LOOKS_EVERY_S
                continue
            async for at in self._try(place):
                yield at
        self._stand_at(None)
        call.served_at, call.served_with_w = self.found_at, self.place.power_w

    def _stand_at(self, place: Place | None) -> None:
        """Nobody drives in front of a car that stands before a gun: it is next there."""
        if self.stands_at is not None:
            self.day.stood_at[self.stands_at.code] -= 1
        if place is not None:
            self.day.stood_at[place.code] += 1
        self.stands_at = place

    def _worth_trying(self, power_w: int) -> list[Place]:
        now = self.day.now
        return [
            place
            for place in self.day.free_places(power_w)
            if self.refused_by.get(place.code, 0) <= now
            and (place is self.stands_at or not self.day.stood_at[place.code])
        ]

    async def _look_and_try(self, place: Place) -> Steps:
        """Drive up to a gun, unless the app is asked first and says that it is not free."""
        if self.plan.looks_first:
            _, told = await self._ask("GET", "/guns/resolve", params={"code": place.code})
            if not told["may_start"]:
                self.refused_by[place.code] = self.day.now + MINUTE
                self.day.ledger.refused_at_held_gun += told["state"] == "reserved"
                return
        async for at in self._try(place):
            yield at
        if self.place is None and place.looks_free:
            self.day.ledger.refused_at_held_gun += 1

    async def _try(self, place: Place) -> Steps:
        """Plug in and ask for energy; unplug where that is refused."""
        station, gun = place.station, place.gun
        if place.blocked:
            return  # Somebody else was quicker.
        self.found_at = self.day.now
        await station.plug_in(gun.evse_no, replace(self.plan.car))
        self.day.stirred = True
        yield self.day.now + self.plan.to_the_reader_s
        if gun.fault is None:
            if self.plan.by_card:
                await station.present_token(gun.evse_no, self.card)
            else:
                await self._ask("POST", "/charges", json={"gun_code": place.code})
            await station.settled()
        self.day.stirred = True
        if gun.transaction is not None and gun.transaction.charging:
            self.place = place
            return
        self.refused_by[place.code] = self.day.now + AVOIDS_FOR_S
        await station.unplug(gun.evse_no)

    async def _charge(self) -> Steps:
        """Charge until the car has enough, linger, and leave."""
        if self.place is None:
            return
        station, gun = self.place.station, self.place.gun
        transaction = gun.transaction
        while gun.transaction is transaction and transaction is not None:
            yield self.day.now + MINUTE / 2
        yield self.day.now + self.plan.lingers_s
        await station.unplug(gun.evse_no)
        self.day.stirred = True


async def new_driver(day: Day, plan: Plan) -> Driver:
    phone = await new_phone(day.stage)
    card = await phone.add_card("ISO14443")
    return Driver(day, plan, phone, card)


def first_of_day(plan: Plan) -> float:
    """Return when the driver is first heard of."""
    return max(MIDNIGHT, plan.booking.at if plan.booking is not None else plan.arrives_at)
