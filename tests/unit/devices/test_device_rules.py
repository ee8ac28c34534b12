"""What may be written, how requests are cut, pages joined, drift told, outcomes summed up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.devices.rules import (
    DriftState,
    ReportJob,
    ReportState,
    RequestLimit,
    StationOutcome,
    Variable,
    drift_state,
    duplicates,
    ended_by_answer,
    join_page,
    missing_pages,
    refused_write,
    request_limit,
    room_for,
    same_value,
    split,
    station_outcome,
)
from chargehub.stations.commands import CommandOutcome, VariableName, VariableWrite

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
NAME = VariableName("Own", "Setting")
BEAT = VariableName("OCPPCommCtrlr", "HeartbeatInterval")


def test_the_value_of_a_key_goes_alone() -> None:
    """A station without keys refuses the request that names one, and takes the others."""
    key, names = VariableName("", "VendorKey"), [NAME, BEAT]
    writes = [VariableWrite(name, "1") for name in (NAME, BEAT, key, NAME, BEAT)]
    chunks = [[write.name for write in chunk] for chunk in split(writes, RequestLimit(10))]
    assert chunks == [names, [key], names]
    assert list(split([NAME, key, BEAT], RequestLimit(10))) == [(NAME, key, BEAT)]


def known(**facts: Any) -> Variable:
    return Variable(NAME, **facts)


@pytest.mark.parametrize(
    ("value", "facts", "reason"),
    [
        ("5", {"mutability": "ReadOnly"}, "is read-only"),
        ("abc", {"data_type": "integer"}, "takes a whole number"),
        ("1.5", {"data_type": "integer"}, "takes a whole number"),
        ("1e3", {"data_type": "decimal"}, "takes a number"),
        ("yes", {"data_type": "boolean"}, "takes true or false"),
        ("2026-11-23T08:00:00", {"data_type": "dateTime"}, "takes an RFC 3339 time with a zone"),
        ("4", {"data_type": "integer", "min_limit": 5.0}, "takes at least 5"),
        ("11", {"data_type": "decimal", "max_limit": 10.5}, "takes at most 10.5"),
        ("abcd", {"data_type": "string", "max_limit": 3.0}, "takes at most 3 characters"),
        ("C", {"data_type": "OptionList", "values_list": "A,B"}, "takes one of A,B"),
        ("A,C", {"data_type": "MemberList", "values_list": "A,B"}, "takes a list of A,B"),
        ("A,B,A", {"data_type": "SequenceList", "values_list": "A,B"}, "takes each member once"),
    ],
)
def test_a_value_is_held_against_what_the_station_told(
    value: str, facts: dict[str, Any], reason: str
) -> None:
    assert refused_write(VariableWrite(NAME, value), known(**facts)) == reason


@pytest.mark.parametrize(
    ("value", "facts"),
    [
        ("5", {"mutability": "ReadWrite", "data_type": "integer", "min_limit": 5.0}),
        ("-1.25", {"data_type": "decimal", "max_limit": 0.0}),
        ("TRUE", {"data_type": "boolean"}),
        ("2026-11-23T08:00:00+08:00", {"data_type": "dateTime"}),
        ("b", {"data_type": "OptionList", "values_list": "A, B"}),
        ("B, A", {"data_type": "MemberList", "values_list": "A,B"}),
        ("", {"data_type": "MemberList", "values_list": "A,B"}),
        ("anything", {"data_type": "odd"}),
        ("A", {"data_type": "OptionList"}),
        ("x", {"mutability": "WriteOnly"}),
    ],
)
def test_what_fits_passes(value: str, facts: dict[str, Any]) -> None:
    assert refused_write(VariableWrite(NAME, value), known(**facts)) is None


def test_what_was_never_told_is_left_to_the_station() -> None:
    assert refused_write(VariableWrite(NAME, "x"), None) is None


@pytest.mark.parametrize("value", ["9", "abc", "", "-10", "10.0", "99999999999"])
def test_the_dangerous_value_is_refused_whatever_the_station_told(value: str) -> None:
    problem = refused_write(VariableWrite(BEAT, value), Variable(BEAT, data_type="string"))
    assert problem == "takes a whole number from 10 to 2147483647"


def test_a_secret_is_not_written_here() -> None:
    name = VariableName("SecurityCtrlr", "BasicAuthPassword")
    problem = refused_write(VariableWrite(name, "0123456789abcdef"), None)
    assert problem is not None
    assert "secret" in problem


# --- Limits ---------------------------------------------------------------------------------------


def limit_known(variable: str, kind: str, value: str | None) -> dict[str, Variable]:
    name = VariableName("DeviceDataCtrlr", variable, variable_instance=kind)
    return {name.key: Variable(name, value=value)}


@pytest.mark.parametrize(
    ("value", "items"), [("5", 5), (None, 1), ("", 1), ("0", 1), ("-3", 1), ("many", 1), ("1.5", 1)]
)
def test_b05_fr_11_the_limit_is_what_the_station_told_and_one_until_then(
    value: str | None, items: int
) -> None:
    told = limit_known("ItemsPerMessage", "SetVariables", value)
    assert request_limit(told, "SetVariables").items == items
    assert request_limit(told, "GetVariables").items == 1
    assert request_limit({}, "SetVariables") == RequestLimit(1, None)


@given(
    st.lists(st.text(max_size=40), max_size=30),
    st.integers(1, 10),
    st.none() | st.integers(1, 2_000),
)
def test_what_is_cut_is_whole_in_order_and_within_the_limit(
    values: list[str], items: int, size: int | None
) -> None:
    writes = [
        VariableWrite(VariableName("C", f"V{number}"), value) for number, value in enumerate(values)
    ]
    chunks = list(split(writes, RequestLimit(items, size)))
    assert [write for chunk in chunks for write in chunk] == writes
    assert all(1 <= len(chunk) <= items for chunk in chunks)
    if size is not None:
        # More than one item only where the worst case of the wire fits.
        assert all(len(chunk) == 1 or sum(map(wire_size, chunk)) <= size for chunk in chunks)


@pytest.mark.parametrize("room", [1_000, 1_700, 2_400])
def test_b05_fr_11_no_request_has_more_bytes_than_the_station_takes(room: int) -> None:
    """Values that JSON escapes are the longest there are."""
    known = limit_known("BytesPerMessage", "SetVariables", str(room))
    known |= limit_known("ItemsPerMessage", "SetVariables", "10")
    names = [VariableName("C" * 50, f"{number:050}") for number in range(12)]
    writes = [VariableWrite(name, "\x01" * 70) for name in names]
    chunks = list(split(writes, request_limit(known, "SetVariables")))
    sizes = [len(json.dumps(on_the_wire(chunk), separators=(",", ":"))) for chunk in chunks]
    assert max(sizes) <= room
    assert len(chunks) < len(writes) or room < 2 * min(sizes)


def on_the_wire(writes: Sequence[VariableWrite]) -> list[Any]:
    """Return the call as 2.x words it, with the longest message id."""
    items = [
        {
            "attributeType": "Actual",
            "attributeValue": write.value,
            "component": {"name": write.name.component},
            "variable": {"name": write.name.variable},
        }
        for write in writes
    ]
    return [2, "0" * 36, "SetVariables", {"setVariableData": items}]


def wire_size(write: VariableWrite) -> int:
    return 100 + len(write.name.variable) + len(write.value.encode())


def test_b05_fr_13_names_are_the_same_in_any_case_and_actual_may_be_left_out() -> None:
    again = VariableName("own", "SETTING", attribute="Actual")
    other = VariableName("Own", "Setting", attribute="Target")
    assert duplicates([NAME, other, again]) == [again]


# --- Pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_b07_fr_10_pages_are_joined_in_any_order_and_again(order: tuple[int, ...]) -> None:
    job = ReportJob(ReportState.ASKED)
    for number in order[:-1]:
        job = join_page(job, number, last=number == 2)
        assert job.state is ReportState.RECEIVING
        assert join_page(job, number, last=number == 2) == job
    job = join_page(job, order[-1], last=order[-1] == 2)
    assert job == ReportJob(ReportState.COMPLETE, frozenset((0, 1, 2)), 2)


def test_a_missing_page_leaves_the_report_open_and_is_named() -> None:
    job = join_page(ReportJob(ReportState.ASKED), 0, last=False)
    job = join_page(job, 3, last=True)
    assert job.state is ReportState.RECEIVING
    assert missing_pages(job.pages, job.last_page) == [1, 2]
    assert missing_pages([0, 1], None) == [2]


def test_a_page_that_comes_after_all_completes_what_was_given_up() -> None:
    job = ReportJob(ReportState.INCOMPLETE, frozenset((0, 2)), 2)
    assert join_page(job, 0, last=False).state is ReportState.INCOMPLETE
    assert join_page(job, 1, last=False).state is ReportState.COMPLETE


@pytest.mark.parametrize("number", [-1, 5_000, 2**31])
def test_an_absurd_page_number_is_no_page(number: int) -> None:
    job = ReportJob(ReportState.ASKED)
    assert join_page(job, number, last=True) == job


def test_b07_fr_02_13_an_answer_that_no_pages_follow_ends_the_report() -> None:
    assert ended_by_answer("EmptyResultSet") is ReportState.EMPTY
    assert ended_by_answer("NotSupported") is ReportState.UNSUPPORTED
    assert ended_by_answer("Rejected") is ReportState.REJECTED
    assert ended_by_answer(None) is ReportState.COMPLETE
    assert ended_by_answer("Accepted") is None


# --- Drift ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "inventoried", "state"),
    [
        (known(value="60", read_at=NOW), True, DriftState.IN_SYNC),
        (known(value="61", read_at=NOW), True, DriftState.DRIFT),
        (known(value=None, read_at=NOW), True, DriftState.DRIFT),
        (None, False, DriftState.UNKNOWN),
        (None, True, DriftState.UNSUPPORTED),
        (known(supported=False), False, DriftState.UNSUPPORTED),
        (known(value=None, read_at=NOW, mutability="WriteOnly"), True, DriftState.UNKNOWN),
        (known(value="1", read_at=NOW, pending_value="60"), True, DriftState.PENDING_REBOOT),
        (known(value="60", read_at=NOW, pending_value="1"), True, DriftState.DRIFT),
        (known(pending_value="1"), True, DriftState.DRIFT),
        (known(pending_value="1", mutability="WriteOnly"), True, DriftState.DRIFT),
    ],
)
def test_drift(variable: Variable | None, inventoried: bool, state: DriftState) -> None:
    assert drift_state("60", variable, inventoried=inventoried) is state


@pytest.mark.parametrize(
    ("data_type", "one", "other", "same"),
    [
        ("integer", "60", "060", True),
        ("decimal", "1.50", "1.5", True),
        ("integer", "abc", "abc", True),
        ("boolean", "True", "true", True),
        ("MemberList", "A, B", "b,a", True),
        ("SequenceList", "A,B", "B,A", False),
        (None, "60", "060", False),
        ("string", "A", "a", False),
    ],
)
def test_two_texts_may_be_one_value(
    data_type: str | None, one: str, other: str, same: bool
) -> None:
    assert same_value(data_type, one, other) is same


@pytest.mark.parametrize(
    ("state", "commands", "outcome"),
    [
        ("waiting", [], StationOutcome.WAITING),
        ("in_sync", [], StationOutcome.IN_SYNC),
        ("refused", [], StationOutcome.REFUSED),
        ("cancelled", [], StationOutcome.CANCELLED),
        ("released", [("answered", "Accepted")], StationOutcome.ACCEPTED),
        ("released", [("answered", "Accepted, RebootRequired")], StationOutcome.REBOOT_REQUIRED),
        ("released", [("answered", "Accepted, Rejected")], StationOutcome.REJECTED),
        ("released", [("answered", "Accepted"), ("failed", "x")], StationOutcome.REJECTED),
        ("released", [("answered", "NotSupported"), ("queued", None)], StationOutcome.UNDER_WAY),
        ("released", [("answered", None)], StationOutcome.UNKNOWN),
        ("released", [("timeout", "station-timeout")], StationOutcome.UNKNOWN),
        ("released", [("expired", None), ("answered", "Accepted")], StationOutcome.EXPIRED),
        ("released", [], StationOutcome.UNKNOWN),
    ],
)
def test_a_stations_outcome_is_its_worst(
    state: str, commands: list[tuple[str, str | None]], outcome: StationOutcome
) -> None:
    assert station_outcome(state, commands, refused=False) is outcome


@pytest.mark.parametrize("outcome", CommandOutcome)
def test_every_outcome_of_a_command_says_how_applying_went(outcome: CommandOutcome) -> None:
    ended = station_outcome("released", [(outcome.value, "Accepted")], refused=False)
    assert (ended is StationOutcome.ACCEPTED) is (outcome is CommandOutcome.ANSWERED)


@pytest.mark.parametrize(
    ("state", "commands", "outcome"),
    [
        ("waiting", [], StationOutcome.WAITING),
        ("refused", [], StationOutcome.REFUSED),
        ("in_sync", [], StationOutcome.PARTLY_REFUSED),
        ("released", [("answered", "Accepted")], StationOutcome.PARTLY_REFUSED),
        ("released", [("answered", "RebootRequired")], StationOutcome.PARTLY_REFUSED),
        ("released", [("answered", "Rejected")], StationOutcome.REJECTED),
        ("released", [("queued", None)], StationOutcome.UNDER_WAY),
    ],
)
def test_a_value_that_was_not_sent_is_never_passed_over(
    state: str, commands: list[tuple[str, str | None]], outcome: StationOutcome
) -> None:
    assert station_outcome(state, commands, refused=True) is outcome


def test_what_a_station_makes_up_finds_an_end() -> None:
    full = 9
    assert room_for(["a", "b", "a"], (), 0, full) == {"a", "b"}
    assert room_for(["a", "b", "c"], (), full - 2, full) == {"a", "b"}
    assert room_for(["a", "b", "c"], {"c"}, full - 1, full) == {"a", "c"}
    assert room_for(["a", "b"], {"b"}, full + 5, full) == {"b"}
