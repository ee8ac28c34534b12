"""The judge of the fuzz can fail: what a hub might do wrong, and what is said of it."""

from __future__ import annotations

import pytest

from tests.fuzz.oracle import (
    NOTHING,
    Exchange,
    Expected,
    answered,
    before_acceptance,
    judge,
    refused,
    unknown_type,
    unreadable,
)
from tests.fuzz.payloads import Fault
from tests.hub_fixtures import V16, V21, V201

BEAT = '[3,"a",{"currentTime":"2026-11-23T08:00:00Z"}]'
ASKS = answered("a", V16, "Heartbeat")
METER = answered("m", V16, "MeterValues", Fault.TYPE)
UNKNOWN = refused("u", V201, Fault.UNKNOWN_ACTION)


def judged(expected: list[Expected], heard: list[str], version: str = V16) -> list[str]:
    sent = [(str(number).encode(), one) for number, one in enumerate(expected)]
    return judge(Exchange(version, sent, heard))


@pytest.mark.parametrize(
    ("expected", "heard"),
    [
        ([ASKS], [BEAT]),
        ([METER], ['[3,"m",{}]']),
        ([UNKNOWN], ['[4,"u","NotImplemented","",{}]']),
        ([NOTHING], []),
        ([unreadable(V16)], []),
        ([unreadable(V21)], ['[4,"-1","RpcFrameworkError","",{}]']),
        ([unknown_type(V201, None)], ['[4,"-1","MessageTypeNotSupported","",{}]']),
        ([unknown_type(V21, "x")], []),
        ([before_acceptance(ASKS, V16)], ['[4,"a","SecurityError","",{}]']),
    ],
)
def test_what_is_right_passes(expected: list[Expected], heard: list[str]) -> None:
    assert judged(expected, heard) == []


@pytest.mark.parametrize(
    ("expected", "heard", "complaint"),
    [
        ([ASKS], [], "not answered once"),
        ([ASKS], [BEAT, BEAT], "not answered once"),
        ([NOTHING], [BEAT], "answers nothing"),
        ([ASKS], ['[3,"a",{}]'], "fails its schema"),
        ([ASKS], ['[3,"a",{"currentTime":"now"}]'], "fails its schema"),
        ([ASKS], ['[4,"a","GenericError","",{}]'], "was due"),
        ([METER], ['[4,"m","TypeConstraintViolation","",{}]'], "was due"),
        ([METER], ['[4,"m","InternalError","",{}]'], "a fault of ours"),
        ([UNKNOWN], ['[4,"u","NotSupported","",{}]'], "was due"),
        ([UNKNOWN], ['[4,"u","NotImplemented","",{},1]'], "not an answer"),
        ([UNKNOWN], ['[4,"u","NotImplemented","","details"]'], "not an answer"),
        ([UNKNOWN], [f'[4,"u","NotImplemented","{"d" * 256}",{{}}]'], "description of 256"),
        ([METER], ['[3, "m", {}]'], "not compact"),
        ([METER], ['[3,"m",{"x":null}]'], "for an absent field"),
        ([METER], ['[3,"m",{"x":[]}]'], "for an absent field"),
        ([METER], ['[3,"m",[]]'], "not an answer"),
        ([ASKS, METER], ['[3,"m",{}]', BEAT], "out of order"),
        ([unreadable(V21)], [], "1 frames without id, 0 answers"),
        ([unreadable(V16)], ['[4,"-1","FormationViolation","",{}]'], "0 frames without id, 1"),
        ([unreadable(V21)], ['[4,"-1","FormatViolation","",{}]'], "not {'RpcFrameworkError'}"),
        ([unknown_type(V21, "x")], ['[4,"x","NotSupported","",{}]'], "answers nothing"),
        ([before_acceptance(ASKS, V16)], [BEAT], "was due"),
    ],
)
def test_what_is_wrong_is_told(expected: list[Expected], heard: list[str], complaint: str) -> None:
    assert any(complaint in one for one in judged(expected, heard))


def test_a_retry_may_share_its_answer_or_get_it_again() -> None:
    retry = [(b"same", ASKS), (b"same", ASKS)]
    assert judge(Exchange(V16, retry, [BEAT])) == []
    assert judge(Exchange(V16, retry, [BEAT, BEAT])) == []
    assert judge(Exchange(V16, retry, [])) != []
    assert judge(Exchange(V16, retry, [BEAT, BEAT, BEAT])) != []


@pytest.mark.parametrize(
    ("version", "fault", "code"),
    [
        (V16, Fault.FORMATION, "FormationViolation"),
        (V16, Fault.OCCURRENCE, "OccurenceConstraintViolation"),
        (V201, Fault.FORMATION, "FormatViolation"),
        (V21, Fault.OCCURRENCE, "OccurrenceConstraintViolation"),
    ],
)
def test_each_version_has_its_spelling(version: str, fault: Fault, code: str) -> None:
    assert refused("a", version, fault).words == {code}
