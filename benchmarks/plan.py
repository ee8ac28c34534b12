"""What is run: the same scenarios for ChargeHub and both baselines, and how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CHARGEHUB = "chargehub"
LOGGED = "chargehub-frame-log"
"""ChargeHub with its frame log on. The baselines log nothing, so they stand beside the other."""
ECHO = "echo"
ECHO_OTHER_LOOP = "echo-other-loop"
OCPP_PACKAGE = "ocpp-package"
OURS = (CHARGEHUB, LOGGED)
BASELINES = (ECHO, OCPP_PACKAGE)
SUBJECTS = (*OURS, *BASELINES)

HEADLINE = "metering-1000"
FIXED_RATE = "fixed-rate-1000-per-s"
STORM = "storm-2000"
IDLE = "idle-5000"
EVENTS_201 = "events-2.0.1-1000"
EVENTS_21 = "events-2.1-1000"

TITLES = {
    HEADLINE: "MeterValues, closed loop, 1,000 stations",
    "metering-182": "MeterValues, closed loop, 182 stations",
    "metering-5-moments-1000": "MeterValues of five moments, 1,000 stations",
    EVENTS_201: "TransactionEvents of 2.0.1, closed loop, 1,000 stations",
    EVENTS_21: "TransactionEvents of 2.1, closed loop, 1,000 stations",
    "sessions-182": "Whole charging sessions, 182 stations",
    "sessions-1000": "Whole charging sessions, 1,000 stations",
    FIXED_RATE: "MeterValues, open loop, 1,000 a second from 1,000 stations",
    STORM: "2,000 stations connect and boot at once",
    IDLE: "5,000 stations connected and silent",
}


SETTLING_S = 12
"""What the hub does for each station after its boot (inventory, profiles) lies ten seconds behind
it and is no cost of a message: the storm has it, the steady runs begin after it."""


@dataclass(frozen=True, slots=True)
class Run:
    subject: str
    name: str
    scenario: str
    stations: int
    warm_up_s: float
    window_s: float
    rate_per_s: float = 0.0


def full_plan() -> list[Run]:
    """About ten minutes. Repeats alternate between the servers, so that drift hits all alike."""
    return [
        *_each("metering-182", "metering", 182, 3, 8),
        *(run for _ in range(3) for run in _headline(3, 8)),
        Run(LOGGED, EVENTS_201, "events-2.0.1", 1000, 3 + SETTLING_S, 8),
        Run(LOGGED, EVENTS_21, "events-2.1", 1000, 3 + SETTLING_S, 8),
        Run(ECHO_OTHER_LOOP, HEADLINE, "metering", 1000, 3, 8),
        *_each("metering-5-moments-1000", "metering-5-moments", 1000, 3, 8),
        *_each("sessions-182", "sessions", 182, 3, 8),
        *_each("sessions-1000", "sessions", 1000, 3, 8),
        *_each(FIXED_RATE, "fixed-rate", 1000, 5, 30, rate_per_s=1000.0),
        *(run for _ in range(3) for run in _each(STORM, "storm", 2000, 0, 0)),
        *_each(IDLE, "idle", 5000, 3, 5),
    ]


def quick_plan() -> list[Run]:
    """About two minutes."""
    return [
        *_headline(2, 4),
        *(run for run in _each("sessions-182", "sessions", 182, 2, 4) if run.subject == CHARGEHUB),
        *(
            run
            for run in _each(FIXED_RATE, "fixed-rate", 1000, 3, 10, rate_per_s=1000.0)
            if run.subject == CHARGEHUB
        ),
        *(run for run in _each(STORM, "storm", 2000, 0, 0) if run.subject == CHARGEHUB),
    ]


def _headline(warm_up_s: float, window_s: float) -> Iterator[Run]:
    yield from _each(HEADLINE, "metering", 1000, warm_up_s, window_s)
    yield Run(LOGGED, HEADLINE, "metering", 1000, warm_up_s + SETTLING_S, window_s)


def _each(
    name: str,
    scenario: str,
    stations: int,
    warm_up_s: float,
    window_s: float,
    *,
    rate_per_s: float = 0.0,
) -> Iterator[Run]:
    for subject in (CHARGEHUB, *BASELINES):
        settled_s = warm_up_s + SETTLING_S if subject in OURS and window_s else warm_up_s
        yield Run(subject, name, scenario, stations, settled_s, window_s, rate_per_s)
