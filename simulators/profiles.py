"""The charging profiles that a simulated station holds, and the limits they set.

It keeps what it was told and works out limits moment by moment; which messages carry profiles is
in `smart_charging`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulators.client import Payload
from simulators.dialect import parse_time
from simulators.gun import Gun, Transaction

SUPPLY_V = 220.0
PHASES = 3
RECURS_S = {"Daily": 86_400, "Weekly": 7 * 86_400}
MAX, DEFAULT, TX = "ChargingStationMaxProfile", "TxDefaultProfile", "TxProfile"


@dataclass(slots=True)
class Profile:
    number: int
    evse_no: int
    level: int
    purpose: str
    kind: str
    unit: str
    periods: list[tuple[int, float, int]]
    """Start in seconds, limit in the unit, phases."""
    start: float | None
    duration_s: float
    recurs_s: int | None
    valid_from: float
    valid_to: float
    told: Payload
    """As the hub wrote it."""
    transaction: Transaction | None = None

    def power_at(self, now: float, began_at: float) -> float | None:
        """Return the limit in W at a moment; None where it says nothing."""
        if not self.valid_from <= now < self.valid_to:
            return None
        elapsed = now - (began_at if self.start is None else self.start)
        if elapsed < 0:
            return None
        if self.recurs_s is not None:
            elapsed %= self.recurs_s
        if elapsed >= self.duration_s:
            return None
        limits = [(limit, phases) for start, limit, phases in self.periods if start <= elapsed]
        limit, phases = limits[-1]
        return limit if self.unit == "W" else limit * SUPPLY_V * min(phases, PHASES)

    def turns(self, now: float, end: float, began_at: float) -> Iterator[float]:
        """Yield the moments at which it may say something else."""
        yield from (at for at in (self.valid_from, self.valid_to) if math.isfinite(at))
        start = began_at if self.start is None else self.start
        if self.recurs_s is not None and start < now:
            start += (now - start) // self.recurs_s * self.recurs_s
        while start < end:
            yield from (start + offset for offset, _, _ in self.periods)
            if math.isfinite(self.duration_s):
                yield start + self.duration_s
            if self.recurs_s is None:
                return
            start += self.recurs_s


def parse_profile(told: Payload, evse_no: int) -> Profile:
    """Read a profile in the form of either version family. Raises KeyError and ValueError."""
    schedules = told["chargingSchedule"]
    schedule = schedules[0] if isinstance(schedules, list) else schedules
    purpose = str(told["chargingProfilePurpose"])
    return Profile(
        number=int(told["id"] if "id" in told else told["chargingProfileId"]),
        evse_no=evse_no,
        level=int(told["stackLevel"]),
        purpose=MAX if purpose == "ChargePointMaxProfile" else purpose,
        kind=told["chargingProfileKind"],
        unit=schedule["chargingRateUnit"],
        periods=[
            (int(p["startPeriod"]), float(p["limit"]), int(p.get("numberPhases", PHASES)))
            for p in schedule["chargingSchedulePeriod"]
        ],
        start=parse_time(schedule["startSchedule"]) if "startSchedule" in schedule else None,
        duration_s=float(schedule.get("duration", math.inf)),
        recurs_s=RECURS_S[told["recurrencyKind"]] if "recurrencyKind" in told else None,
        valid_from=parse_time(told["validFrom"]) if "validFrom" in told else -math.inf,
        valid_to=parse_time(told["validTo"]) if "validTo" in told else math.inf,
        told=told,
    )


@dataclass(slots=True)
class Profiles:
    """All profiles of one station."""

    held: dict[int, Profile] = field(default_factory=dict)
    ignored: bool = False
    """Accepts every profile and obeys none."""

    def install(self, profile: Profile) -> None:
        """Hold a profile; the one of the same id, or level and purpose there, gives way."""
        for other in list(self.held.values()):
            same_place = (other.purpose, other.level, other.evse_no) == (
                profile.purpose,
                profile.level,
                profile.evse_no,
            )
            if other.number == profile.number or same_place:
                del self.held[other.number]
        self.held[profile.number] = profile

    def forget(self, transaction: Transaction) -> None:
        """Drop the profiles of a transaction that has ended (16 3.13.1)."""
        for number, profile in list(self.held.items()):
            if profile.transaction is transaction:
                del self.held[number]

    def gun_limit_w(self, gun: Gun, now: float) -> float | None:
        """Return what one gun may draw, apart from the station's limit."""
        if self.ignored:
            return None
        began_at = now if gun.transaction is None else gun.transaction.began_at
        own = [profile for profile in self.held.values() if profile.evse_no in {0, gun.evse_no}]
        for purpose in (TX, DEFAULT):
            best: tuple[tuple[int, int], float] | None = None
            for profile in own:
                if profile.purpose != purpose:
                    continue
                power_w = profile.power_at(now, began_at)
                rank = (profile.level, profile.evse_no)
                if power_w is not None and (best is None or rank > best[0]):
                    best = (rank, power_w)
            if best is not None:
                return best[1]
        return None

    def station_limit_w(self, now: float) -> float | None:
        """Return what all guns together may draw."""
        levels = [
            (profile.level, power_w)
            for profile in self.held.values()
            if profile.purpose == MAX
            and not self.ignored
            and (power_w := profile.power_at(now, now)) is not None
        ]
        return max(levels)[1] if levels else None

    def composite(
        self, guns: list[Gun], now: float, duration_s: int, most_w: float
    ) -> list[tuple[int, float]]:
        """Return (seconds from now, W) for one gun, or for all together; at most `most_w`."""
        turns = {now}
        for profile in self.held.values():
            for gun in guns:
                began_at = now if gun.transaction is None else gun.transaction.began_at
                turns.update(profile.turns(now, now + duration_s, began_at))
        found: list[tuple[int, float]] = []
        for at in sorted(turn for turn in turns if now <= turn < now + duration_s):
            each = [self.gun_limit_w(gun, at) for gun in guns]
            power_w = sum(most_w if limit is None else min(limit, most_w) for limit in each)
            whole = self.station_limit_w(at)
            limit = min(power_w, most_w if whole is None else whole, most_w)
            if not found or found[-1][1] != limit:
                found.append((int(at - now), limit))
        return found
