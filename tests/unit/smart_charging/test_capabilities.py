"""What is learned of a model, from answers and from its own composite schedules."""

from __future__ import annotations

import pytest

from chargehub.kit.errors import ChargeHubError
from chargehub.smart_charging.capabilities import Observation, Seen, Verdict, compare, judge
from chargehub.smart_charging.comparison import fewer_periods
from chargehub.smart_charging.composite import CompositePeriod, CompositeSchedule
from chargehub.smart_charging.ledger import outcome_of
from chargehub.stations.commands import (
    CommandAnswer,
    InvalidCommand,
    StationAnswerError,
    StationBusy,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
)
from chargehub.stations.profiles import RateUnit, SchedulePeriod
from tests.unit.smart_charging.profiles import DEFAULT, MAX, NOON, profile, schedule

W, A = RateUnit.W, RateUnit.A


@pytest.mark.parametrize(
    ("seen", "refused"),
    [
        ([], False),
        ([Observation(DEFAULT, W, 0, accepted=1)], False),
        ([Observation(DEFAULT, W, 0, rejected=2)], False),
        ([Observation(DEFAULT, W, 0, rejected=3)], True),
        ([Observation(DEFAULT, W, 0, rejected=30, accepted=1)], False),
        ([Observation(DEFAULT, A, 0, rejected=3)], False),
        ([Observation(DEFAULT, W, 1, rejected=3)], False),
        ([Observation(MAX, W, 0, rejected=3)], False),
        ([Observation(MAX, W, 0, not_supported=1)], True),  # It knows no profiles at all.
        (
            [Observation(MAX, W, 0, not_supported=1), Observation(DEFAULT, W, 2, accepted=1)],
            False,
        ),
        ([Observation(DEFAULT, W, 0, not_supported=1), Observation(MAX, W, 2, accepted=1)], True),
    ],
)
def test_what_was_refused_and_never_accepted_is_not_expected_to_work(
    seen: list[Observation], refused: bool
) -> None:
    assert (judge(seen, profile(DEFAULT)).refusal is not None) is refused


def test_a_refusal_says_what_was_accepted_instead() -> None:
    seen = [Observation(DEFAULT, A, 0, rejected=3), Observation(DEFAULT, W, 2, accepted=1)]
    amperes = profile(DEFAULT, schedules=(schedule(32.0, unit=A),))
    assert "W at 2" in (judge(seen, amperes).refusal or "")


def test_accepted_and_ignored_is_a_warning() -> None:
    ignored = Observation(DEFAULT, W, 0, accepted=2, ignored=1)
    assert judge([ignored], profile(DEFAULT)).warnings
    obeyed = Observation(DEFAULT, W, 0, accepted=2, ignored=1, obeyed=1)
    assert judge([obeyed], profile(DEFAULT)) == Verdict()


def composite(*limits: float | None) -> CompositeSchedule:
    periods = tuple(CompositePeriod(n * 60, limit) for n, limit in enumerate(limits))
    return CompositeSchedule(NOON, 3600, W, periods)


@pytest.mark.parametrize(
    ("ours", "theirs", "seen"),
    [
        (composite(30_000.0), composite(30_000.0), Seen.OBEYED),
        (composite(30_000.0), composite(30_500.0), Seen.OBEYED),  # It rounds.
        (composite(30_000.0), composite(11_000.0), Seen.OBEYED),  # It has limits of its own.
        (composite(30_000.0), composite(120_000.0), Seen.IGNORED),
        (composite(30_000.0), composite(None), Seen.IGNORED),  # A's -1: no limit.
        (composite(30_000.0, 10_000.0), composite(30_000.0), Seen.IGNORED),
        (composite(30_000.0), composite(30_000.0, 60_000.0), Seen.IGNORED),
        (composite(None), composite(120_000.0), None),
        (composite(300_000.0), composite(120_000.0), None),  # Nothing that would bind.
    ],
)
def test_a_composite_schedule_shows_whether_a_station_obeys(
    ours: CompositeSchedule, theirs: CompositeSchedule, seen: Seen | None
) -> None:
    assert compare(ours, theirs, 120_000) is seen


def shifted(ahead: int, *limits: float, until: int = 3600) -> CompositeSchedule:
    periods = tuple(CompositePeriod(n * 60 + ahead, limit) for n, limit in enumerate(limits))
    return CompositeSchedule(NOON, until, W, periods)


@pytest.mark.parametrize(
    ("theirs", "seen"),
    [
        # A fast clock begins its schedule later; what lies before is not said.
        (shifted(1, 30_000.0), Seen.OBEYED),
        (shifted(1, 120_000.0), Seen.IGNORED),
        (shifted(300, 30_000.0), Seen.OBEYED),
        (shifted(3600, 30_000.0), None),
        # What is said ends.
        (shifted(0, 30_000.0, until=600), Seen.OBEYED),
        (shifted(0), None),
    ],
)
def test_what_a_stations_schedule_does_not_say_is_not_held_against_it(
    theirs: CompositeSchedule, seen: Seen | None
) -> None:
    assert compare(composite(30_000.0), theirs, 120_000) is seen


@pytest.mark.parametrize(
    ("theirs", "seen"),
    [
        (shifted(1, 30_000.0, 10_000.0), Seen.OBEYED),  # One second late, as seconds are counted.
        (shifted(-1, 30_000.0, 10_000.0), Seen.OBEYED),
        (shifted(10, 30_000.0, 10_000.0), Seen.IGNORED),
    ],
)
def test_a_turn_may_come_a_second_apart(theirs: CompositeSchedule, seen: Seen) -> None:
    assert compare(composite(30_000.0, 10_000.0), theirs, 120_000) is seen


@pytest.mark.parametrize(
    ("status", "state", "seen"),
    [
        ("Accepted", "installed", Seen.ACCEPTED),
        ("Rejected", "rejected", Seen.REJECTED),
        ("NotSupported", "rejected", Seen.NOT_SUPPORTED),
        (None, "unknown", None),
        ("Perhaps", "unknown", None),
    ],
)
def test_answers(status: str | None, state: str, seen: Seen | None) -> None:
    outcome = outcome_of(CommandAnswer(status, {}))
    assert (outcome.state, outcome.seen) == (state, seen)


@pytest.mark.parametrize(
    ("error", "state", "seen"),
    [
        (StationTimeout(sent=True), "unknown", None),
        (StationTimeout(sent=False), "unsent", None),
        (StationOffline(), "unsent", None),
        (StationOffline(sent=True), "unknown", None),
        (StationBusy(), "unsent", None),
        (InvalidCommand(), "unsent", None),
        (UnsupportedByStation(), "unsent", None),
        (UnsupportedByStation(station_error="NotSupported"), "rejected", Seen.NOT_SUPPORTED),
        (UnsupportedByStation(station_error="NotImplemented"), "rejected", Seen.NOT_SUPPORTED),
        (StationAnswerError(station_error="FormationViolation"), "rejected", Seen.REJECTED),
    ],
)
def test_failures(error: ChargeHubError, state: str, seen: Seen | None) -> None:
    outcome = outcome_of(error)
    assert (outcome.state, outcome.seen) == (state, seen)


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_statement_86_fewer_periods_allow_never_more(most: int) -> None:
    limits = [60.0, 40.0, 20.0, 50.0]
    periods = [SchedulePeriod(n * 60, limit) for n, limit in enumerate(limits)]
    fewer = fewer_periods(periods, most)
    assert len(fewer) <= most
    for number, limit in enumerate(limits):
        last = [period for period in fewer if period.start_s <= number * 60][-1]
        assert last.limit is not None
        assert last.limit <= limit
    assert fewer_periods(periods, 4) == tuple(periods)
