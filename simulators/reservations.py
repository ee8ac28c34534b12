"""What a station holds for whom: one gun by name, or any one of its guns.

Owns which reservation rules at a gun and how each ends. What the hub is told of it is `charging`'s
matter, in the dialect's words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from simulators.gun import Gun, Reservation

Tell = Callable[[Reservation, str], None]
"""Takes a reservation that ended by itself, and how."""


class Reservations:
    def __init__(self, guns: Sequence[Gun], tell: Tell, changed: Callable[[Gun], None]) -> None:
        self.pooled: Reservation | None = None
        """Held at no gun by name: one must stay free for it (16 5.13, H01.FR.07)."""
        self._guns = guns
        self._tell = tell
        self._changed = changed

    def admits(self, gun: Gun, token: str, group: str | None) -> bool:
        held = gun.reservation or gun.kept
        return held is None or held.admits(token, group)

    def why_not(self, gun: Gun | None, reservation: Reservation) -> str | None:
        """Return why a reservation cannot be held at a gun, or anywhere; None: it can."""
        places = self._guns if gun is None else [gun]
        words = [self._refusal(place, reservation) for place in places]
        other = self.pooled is not None and self.pooled.id != reservation.id
        if None in words and not (gun is None and other):
            return None
        refusals = [word for word in words if word is not None]
        return "Occupied" if "Occupied" in refusals or not refusals else refusals[0]

    def _refusal(self, gun: Gun, reservation: Reservation) -> str | None:
        if gun.fault is not None:
            return "Faulted"
        if not gun.operative:
            return "Unavailable"
        held = gun.reservation or gun.kept
        amended = held is not None and held.id == reservation.id
        if gun.plugged_in or gun.waiting is not None or (held is not None and not amended):
            return "Occupied"
        return None

    def hold(self, gun: Gun | None, reservation: Reservation) -> None:
        """Hold a gun, or any. The same id moves or amends the reservation (H01.FR.02)."""
        self._forget(reservation.id)
        if gun is None:
            self.pooled = reservation
            self.share()
        else:
            gun.reservation = reservation
            self._changed(gun)

    def cancel(self, reservation_id: int) -> bool:
        return self._forget(reservation_id)

    def knows(self, reservation_id: int) -> bool:
        return any(held.id == reservation_id for held in self._all())

    def use(self, gun: Gun, token: str, group: str | None) -> Reservation | None:
        """Return the reservation that a transaction begins under, which is over with that."""
        held, gun.reservation = gun.reservation, None
        if held is None and self.pooled is not None and self.pooled.admits(token, group):
            held, self.pooled = self.pooled, None
        self.share()
        return held

    def lose(self, gun: Gun) -> None:
        """End what is held at a gun that broke or was taken out of use (H01.FR.16/17)."""
        held, gun.reservation = gun.reservation, None
        if held is not None:
            self._tell(held, "Removed")
        able = any(one.fault is None and one.operative for one in self._guns)
        if self.pooled is not None and not able:
            lost, self.pooled = self.pooled, None
            self._tell(lost, "Removed")
        self.share()

    def arrived_in_vain(self, gun: Gun, token: str, group: str | None) -> None:
        """A token was presented and no car came: it has used its reservation (H03.FR.09)."""
        for held in self._all():
            if held in (gun.reservation, self.pooled) and held.admits(token, group):
                self._forget(held.id)
                self._tell(held, "NoTransaction")
                return

    def expire(self, now: float) -> None:
        for held in self._all():
            if held.expires_at <= now:
                self._forget(held.id)
                self._tell(held, "Expired")

    def next_expiry(self) -> float | None:
        return min((held.expires_at for held in self._all()), default=None)

    def forget_all(self) -> None:
        for held in self._all():
            self._forget(held.id)

    def share(self) -> None:
        """Keep the last free gun for the pooled reservation (H01.FR.20)."""
        free = [gun for gun in self._guns if _is_open(gun)]
        for gun in self._guns:
            kept = self.pooled if free == [gun] else None
            if kept is not gun.kept:
                gun.kept = kept
                self._changed(gun)

    def _all(self) -> list[Reservation]:
        held = [gun.reservation for gun in self._guns]
        return [one for one in (*held, self.pooled) if one is not None]

    def _forget(self, reservation_id: int) -> bool:
        forgotten = False
        for gun in self._holding(reservation_id):
            gun.reservation = None
            self._changed(gun)
            forgotten = True
        if self.pooled is not None and self.pooled.id == reservation_id:
            self.pooled = None
            self.share()
            forgotten = True
        return forgotten

    def _holding(self, reservation_id: int) -> Iterator[Gun]:
        for gun in self._guns:
            if gun.reservation is not None and gun.reservation.id == reservation_id:
                yield gun


def _is_open(gun: Gun) -> bool:
    able = gun.operative and gun.fault is None and gun.reservation is None
    return able and not gun.plugged_in and gun.transaction is None and gun.waiting is None
