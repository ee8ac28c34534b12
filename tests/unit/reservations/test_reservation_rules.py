"""Every rule of reservations: what it refuses, what it says of it, and when it lets pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chargehub.reservations.rules import (
    History,
    ReservationRefused,
    Terms,
    Times,
    Window,
    check_driver,
    check_extension,
    check_share,
    is_free_to_cancel,
    is_fully_held,
    most_held,
    suspended_until,
    times_of_gun,
    window_of,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TERMS = Terms()


def later(minutes: float = 0, **more: float) -> datetime:
    return NOW + timedelta(minutes=minutes, **more)


def told(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def now_window() -> Window:
    return window_of(TERMS, None, NOW)


@pytest.mark.parametrize(
    ("wanted", "held_from", "starts_at"),
    [(None, 0, 0), (-5, 0, 0), (10, 0, 10), (20, 0, 20), (90, 70, 90)],
)
def test_a_gun_is_held_from_the_lead_before_its_window(
    wanted: int | None, held_from: int, starts_at: int
) -> None:
    window = window_of(TERMS, None if wanted is None else later(wanted), NOW)
    assert window == Window(later(held_from), later(starts_at), later(starts_at + 15))


@pytest.mark.parametrize(
    ("terms", "ends", "passes_at"),
    [
        (TERMS, [15], 15),
        (TERMS, [90, 15], 90),
        (Terms(max_active=2), [90, 15], 15),
        (Terms(max_active=0), [], None),
    ],
)
def test_no_more_are_open_than_the_rule_says(
    terms: Terms, ends: list[int], passes_at: int | None
) -> None:
    history = History(open_until=[later(end) for end in ends])
    with pytest.raises(ReservationRefused) as refused:
        check_driver(terms, history, now_window(), NOW)
    expected = told(None if passes_at is None else later(passes_at))
    assert refused.value.facts == {"rule": "max_active", "passes_at": expected}
    check_driver(Terms(max_active=len(ends) + 1), history, now_window(), NOW)


@pytest.mark.parametrize(
    ("days_ago", "until"),
    [
        ([], None),
        ([1, 2], None),
        ([31, 1, 2], None),
        ([31, 2, 1], None),
        ([3, 2, 1], 6),
        ([31, 3, 2, 1], 6),
        ([20, 19, 18], -11),
    ],
)
def test_no_shows_suspend_from_the_last_one_on(days_ago: list[int], until: int | None) -> None:
    terms = Terms(no_show_days=29)
    found = suspended_until(terms, [later(days=-days) for days in days_ago])
    assert found == (None if until is None else later(days=until))


def test_a_window_that_is_over_by_then_never_passes() -> None:
    """Repeated as it says, the same request would name a window that is past."""
    for history, until in (
        (History(open_until=[later(90)]), later(90)),
        (History(no_shows=[later(days=-days) for days in (1, 2, 3)]), later(days=6)),
    ):
        for wanted, expected in ((None, until), (until, until), (later(89), None)):
            with pytest.raises(ReservationRefused) as refused:
                check_driver(TERMS, history, window_of(TERMS, wanted, NOW), NOW)
            assert refused.value.facts["passes_at"] == told(expected)


@pytest.mark.parametrize(
    ("ends", "named"),
    [
        ([10, 100], 120),
        ([10, 70], None),  # The very window that was refused.
        ([10, 71], 91),
        ([10], None),
    ],
)
def test_only_a_later_window_than_the_wanted_is_named(ends: list[int], named: int | None) -> None:
    times = times_of_gun(TERMS, later(90), NOW, [later(end) for end in ends], lambda _window: True)
    assert times == ({} if named is None else {"next_window": later(named)})


def test_who_is_suspended_is_told_until_when() -> None:
    history = History(no_shows=[later(days=-days) for days in (1, 2, 3)])
    with pytest.raises(ReservationRefused) as refused:
        check_driver(TERMS, history, now_window(), NOW)
    until = later(days=6)
    assert refused.value.facts == {"rule": "no_show_limit", "passes_at": told(until)}
    check_driver(TERMS, history, window_of(TERMS, None, until), until)
    check_driver(Terms(no_show_limit=0), history, now_window(), NOW)


@pytest.mark.parametrize(
    ("hours", "verified", "rule", "passes_in"),
    [
        (12, False, None, 0),
        (13, False, "verified_first", 1),
        (13, True, None, 0),
        (24, True, None, 0),
        (25, True, "longest_lead", 1),
        (25, False, "longest_lead", 1),
    ],
)
def test_a_window_opens_first_to_verified_taxi_drivers(
    hours: int, rule: str | None, passes_in: int, *, verified: bool
) -> None:
    window = window_of(TERMS, later(hours=hours), NOW)
    history = History(verified=verified)
    if rule is None:
        check_driver(TERMS, history, window, NOW)
        return
    with pytest.raises(ReservationRefused) as refused:
        check_driver(TERMS, history, window, NOW)
    passes_at = later(hours=passes_in)
    assert refused.value.facts == {"rule": rule, "passes_at": told(passes_at)}


@pytest.mark.parametrize(
    ("guns", "held", "passes_at"),
    [
        (10, [(0, 15), (0, 15)], None),
        (10, [(0, 15), (0, 9), (0, 12)], 9),
        (10, [(0, 15), (0, 9), (0, 12), (12, 25), (13, 25)], 15),
        # Two at a time are over before the third begins; at no moment are three held.
        (10, [(0, 5), (0, 5), (5, 15)], None),
        (10, [(0, 5), (10, 20), (12, 20), (14, 30)], 20),
        (10, [(-30, 0), (15, 30), (15, 30), (15, 30)], None),
        # A share that rounds down to none is one gun, where that is not the only one.
        (3, [], None),
        (2, [], None),
        (2, [(0, 15)], 15),
        (1, [], "never"),
        (0, [], "never"),
    ],
)
def test_never_more_than_the_share_is_held(
    guns: int, held: list[tuple[int, int]], passes_at: int | str | None
) -> None:
    times = [(later(begin), later(end)) for begin, end in held]
    if passes_at is None:
        check_share(TERMS, guns, times, now_window())
        return

    def passes(window: Window) -> bool:
        return not is_fully_held(times, window, most_held(TERMS, guns))

    def ends() -> Times:
        return times_of_gun(TERMS, None, NOW, [end for _, end in times], passes)

    with pytest.raises(ReservationRefused) as refused:
        check_share(TERMS, guns, times, now_window(), ends)
    expected = told(later(passes_at)) if isinstance(passes_at, int) else None
    assert refused.value.facts == {"rule": "held_share", "passes_at": expected}


@pytest.mark.parametrize(
    ("terms", "status", "extended", "minutes_left", "rule"),
    [
        (TERMS, "active", False, 1, None),
        (TERMS, "requested", False, 1, None),
        (TERMS, "active", True, 1, "extensions"),
        (Terms(extensions=0), "active", False, 1, "extensions"),
        (TERMS, "active", False, 0, "open"),
        (TERMS, "no_show", False, 1, "open"),
    ],
)
def test_an_open_reservation_is_extended_once(
    terms: Terms, status: str, minutes_left: int, rule: str | None, *, extended: bool
) -> None:
    def ask() -> None:
        check_extension(
            terms, extended=extended, status=status, hold_until=later(minutes_left), now=NOW
        )

    if rule is None:
        ask()
        return
    with pytest.raises(ReservationRefused) as refused:
        ask()
    assert refused.value.facts == {"rule": rule, "passes_at": None}


def test_a_cancellation_is_in_time_for_three_minutes() -> None:
    assert is_free_to_cancel(TERMS, NOW, later(3))
    assert not is_free_to_cancel(TERMS, NOW, later(3.1))
