"""What a booking may be: the terms in force, and every reason to refuse one. Pure.

Each refusal names its rule and when it would pass. Who is free when is looked up by
`booking.py`; that no two reservations overlap is the database's own rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chargehub.kit.errors import Conflict

PLUGGING_IN = timedelta(minutes=2)
"""So long a car that came to a held gun is taken for its driver's, who is about to charge."""


class ReservationRefused(Conflict):
    """A rule of reservations does not allow this."""

    code = "reservation-refused"


@dataclass(frozen=True, slots=True)
class Terms:
    """One version of the dated rules. Minutes and percents are whole; power is not priced here."""

    hold_min: int = 15
    """How long a gun waits for its driver from the window's beginning."""
    hold_lead_min: int = 20
    """How long before its window the gun takes only this driver."""
    max_active: int = 1
    """Reservations that one driver may have open at once."""
    extensions: int = 1
    """1: the driver may ask once for more time; 0: never."""
    extension_min: int = 15
    held_share_percent: int = 30
    """Of a Location's guns in service so many at most are held at any moment, rounded down.

    A share above 0 is at least one gun, where another is left for who comes without a booking.
    """
    free_cancel_min: int = 3
    """A cancellation later than this after the booking is recorded as late."""
    no_show_limit: int = 3
    no_show_days: int = 30
    suspension_days: int = 7
    """So many no-shows within so many days keep a driver from booking for so long."""
    longest_lead_min: int = 24 * 60
    """How long before its window a booking opens."""
    verified_head_start_min: int = 12 * 60
    """By so much earlier it opens to verified taxi drivers than to others."""
    early_arrival: bool = True
    """A driver who comes early, or finds the gun taken, may use any free gun of equal power.

    That is so from the lead on, and for who charges already as it begins.
    """
    longest_silence_min: int = 120
    """A gun whose station has not been connected for longer is promised to nobody."""
    queue_call_min: int = 5
    """How long a gun waits for who is called from the queue."""
    queue_calls: int = 2
    """Who did not come at so many calls is out of the queue; before that, at its end."""
    queue_skips: int = 1
    """So often one may let the next go first."""
    queue_head_start_min: int = 0
    """By so much earlier than they did verified taxi drivers are taken to have joined."""
    queue_charge_min: int = 30
    """To a gun whose next window begins before so much charging nobody is called."""
    queue_longest: int = 500
    """Places in a Location's queue."""

    @property
    def hold(self) -> timedelta:
        return timedelta(minutes=self.hold_min)

    @property
    def hold_lead(self) -> timedelta:
        return timedelta(minutes=self.hold_lead_min)

    @property
    def extension(self) -> timedelta:
        return timedelta(minutes=self.extension_min)

    @property
    def longest_silence(self) -> timedelta:
        return timedelta(minutes=self.longest_silence_min)

    @property
    def queue_call(self) -> timedelta:
        return timedelta(minutes=self.queue_call_min)

    @property
    def queue_charge(self) -> timedelta:
        return timedelta(minutes=self.queue_charge_min)


@dataclass(frozen=True, slots=True)
class Window:
    held_from: datetime
    """From then on the gun takes only its driver."""
    starts_at: datetime
    hold_until: datetime
    """The driver who has not come by now has not come."""


@dataclass(frozen=True, slots=True)
class History:
    """What of a driver's reservations decides on a new one."""

    open_until: Sequence[datetime] = ()
    """When each that is open would end by itself."""
    no_shows: Sequence[datetime] = ()
    verified: bool = False
    """A verified taxi driver."""


Times = Mapping[str, datetime | None]
"""`passes_at`: when the same request would pass. `next_window`: which `starts_at` would now."""


def refusal(
    rule: str, why: str, passes_at: datetime | None = None, next_window: datetime | None = None
) -> ReservationRefused:
    """Return the refusal to raise; `passes_at` is None where time alone changes nothing."""
    facts = {"rule": rule, "passes_at": _told(passes_at)}
    if next_window is not None:
        facts["next_window"] = _told(next_window)
    return ReservationRefused(why, **facts)


def _told(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def window_of(terms: Terms, wanted_at: datetime | None, now: datetime) -> Window:
    """Return the window of a booking for now (None) or for a moment to come."""
    if wanted_at is None or wanted_at <= now:
        return Window(now, now, now + terms.hold)
    return Window(max(now, wanted_at - terms.hold_lead), wanted_at, wanted_at + terms.hold)


def _in_time(passes_at: datetime | None, window: Window, now: datetime) -> datetime | None:
    """Return when the same request passes: not once the window it asks for has begun."""
    chosen = window.starts_at > now
    return None if chosen and passes_at and passes_at > window.starts_at else passes_at


def times_of_gun(
    terms: Terms,
    wanted_at: datetime | None,
    now: datetime,
    ends: Iterable[datetime],
    passes: Callable[[Window], bool],
) -> Times:
    """Return the times of a refusal for want of a gun: what is told of them passes.

    `ends`: when what is held now ends. A request for now passes as one does; for a window to come
    another window has to be asked for, whose lead begins as one does.
    """
    for end in sorted(set(ends)):
        if wanted_at is None and passes(window_of(terms, None, end)):
            return {"passes_at": end}
        other = window_of(terms, end + terms.hold_lead, now)
        if wanted_at is not None and other.starts_at > wanted_at and passes(other):
            return {"next_window": other.starts_at}
    return {}


def check_driver(terms: Terms, history: History, window: Window, now: datetime) -> None:
    """Raise ReservationRefused where the driver may not book this window now."""
    until = suspended_until(terms, history.no_shows)
    if until is not None and until > now:
        raise refusal(
            "no_show_limit",
            f"You did not come {terms.no_show_limit} times within {terms.no_show_days} days, and"
            f" cannot book for {terms.suspension_days} days.",
            _in_time(until, window, now),
        )
    if len(history.open_until) >= terms.max_active:
        # The one whose end makes room, not the next to end: several may be too many.
        ends = sorted(history.open_until)
        makes_room = ends[len(ends) - terms.max_active] if terms.max_active else None
        raise refusal(
            "max_active",
            f"Reservations you have open: {len(ends)}; the most at once: {terms.max_active}.",
            _in_time(makes_room, window, now),
        )
    check_lead(terms, history, window, now)


def check_lead(terms: Terms, history: History, window: Window, now: datetime) -> None:
    """Raise ReservationRefused where the window does not open to the driver yet."""
    longest = timedelta(minutes=terms.longest_lead_min)
    if window.starts_at - now > longest:
        raise refusal(
            "longest_lead",
            f"A window can be booked at most {terms.longest_lead_min} minutes ahead.",
            window.starts_at - longest,
        )
    others = max(timedelta(), longest - timedelta(minutes=terms.verified_head_start_min))
    if not history.verified and window.starts_at - now > others:
        raise refusal(
            "verified_first",
            "So far ahead only verified taxi drivers may book yet.",
            window.starts_at - others,
        )


def suspended_until(terms: Terms, no_shows: Iterable[datetime]) -> datetime | None:
    """Return until when the no-shows keep their driver from booking, past or to come."""
    times, limit = sorted(no_shows), terms.no_show_limit
    if not limit:
        return None
    within = timedelta(days=terms.no_show_days)
    last = [
        latest
        for earliest, latest in zip(times, times[limit - 1 :], strict=False)
        if latest - earliest <= within
    ]
    return last[-1] + timedelta(days=terms.suspension_days) if last else None


def check_open(window: Window, open_from: datetime | None, now: datetime) -> None:
    """Raise where the Location is not open from the beginning of the window to its end.

    `open_from`: the first moment from that beginning on from which it is open for so long.
    """
    if open_from != window.starts_at:
        why = "The location is not open from the beginning of that window to its end."
        chosen = window.starts_at > now
        times: Times = {"next_window" if chosen else "passes_at": open_from}
        raise refusal("opening_times", why, **times)


def check_open_longer(more: Window, open_from: datetime | None) -> None:
    """Raise where the Location closes before a window that is extended by this is over."""
    if open_from != more.starts_at:
        raise refusal("opening_times", "The location closes before the extension is over.")


def check_share(
    terms: Terms,
    guns: int,
    held: Sequence[tuple[datetime, datetime]],
    window: Window,
    times: Callable[[], Times] = dict,
) -> None:
    """Raise where one more held gun would be more than the share of the Location's guns.

    `held` are the times from `held_from` to `hold_until` of the Location's open reservations;
    `times` says what is told of when it would pass.
    """
    most = most_held(terms, guns)
    if is_fully_held(held, window, most):
        told = f"Of this location's {guns} guns {most} may be held at once."
        raise refusal("held_share", told, **times())


def most_held(terms: Terms, guns: int) -> int:
    """Return how many of a Location's guns may be held at once."""
    most = guns * terms.held_share_percent // 100
    return max(most, 1) if terms.held_share_percent and guns > 1 else most


def is_fully_held(held: Sequence[tuple[datetime, datetime]], window: Window, most: int) -> bool:
    """Tell whether at some moment of the window so many are held already."""
    over = [one for one in held if one[0] < window.hold_until and window.held_from < one[1]]
    # The count of those held only rises where one begins.
    moments = {window.held_from, *(begin for begin, _ in over if begin > window.held_from)}
    return any(sum(begin <= moment < end for begin, end in over) >= most for moment in moments)


def check_extension(
    terms: Terms, *, extended: bool, status: str, hold_until: datetime, now: datetime
) -> None:
    if status not in {"requested", "pending", "active"} or hold_until <= now:
        raise refusal("open", "The reservation is over.")
    if not terms.extensions:
        raise refusal("extensions", "Reservations are not extended here.")
    if extended:
        raise refusal("extensions", "It was extended already; once is the most.")


def is_free_to_cancel(terms: Terms, created_at: datetime, now: datetime) -> bool:
    return now - created_at <= timedelta(minutes=terms.free_cancel_min)
