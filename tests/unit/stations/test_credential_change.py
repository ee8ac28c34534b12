"""What a station's answer, or none, says about the password that it has now (A01.FR.03/04)."""

from __future__ import annotations

import pytest

from chargehub.kit.errors import ChargeHubError
from chargehub.stations.commands import (
    InvalidCommand,
    StationAnswerError,
    StationBusy,
    StationNotAccepted,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
)
from chargehub.stations.credential_change import ValidCredentials, judge_answer, judge_failure

NEW, OLD, BOTH = ValidCredentials.NEW, ValidCredentials.OLD, ValidCredentials.BOTH


@pytest.mark.parametrize(
    ("status", "valid"),
    [
        ("Accepted", NEW),
        ("RebootRequired", BOTH),
        ("Rejected", OLD),
        ("NotSupported", OLD),
        ("UnknownComponent", OLD),
        ("UnknownVariable", OLD),
        ("NotSupportedAttributeType", OLD),
        ("accepted", BOTH),
        ("", BOTH),
        (None, BOTH),
    ],
)
def test_a_word_is_an_answer(status: str | None, valid: ValidCredentials) -> None:
    assert judge_answer(status) is valid


@pytest.mark.parametrize(
    ("error", "valid"),
    [
        (StationOffline(), OLD),
        (StationOffline(sent=False), OLD),
        (StationOffline(sent=True), BOTH),
        (StationTimeout(sent=False), OLD),
        (StationTimeout(sent=True), BOTH),
        (StationBusy(), OLD),
        (StationNotAccepted(), OLD),
        (InvalidCommand(), OLD),
        (UnsupportedByStation(), OLD),
        (StationAnswerError(), BOTH),
        # Ours, after the answer: the database was away.
        (ChargeHubError(), BOTH),
    ],
)
def test_silence_and_errors_are_judged_by_what_may_have_happened(
    error: ChargeHubError, valid: ValidCredentials
) -> None:
    assert judge_failure(error) is valid
