"""Calls in both directions over one real socket: statements 19-31.

What the session alone decides is proven in tests/unit/ocpp; here stands what only the whole path
can show: order on the wire, rows in the database, a socket that stays open.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from chargehub.gateway.translators import TRANSLATORS
from chargehub.kit.clock import wall_now
from chargehub.ocpp import OcppVersion
from chargehub.stations.commands import ClearCache, StationTimeout
from tests.hub_fixtures import (
    TOKEN,
    V2X,
    V16,
    V21,
    V201,
    VERSIONS,
    RunningHub,
    Station,
    at,
    status,
    with_2_1,
)

ACCEPTED = {"status": "Accepted"}
SECURITY_EVENT = {"type": "SettingSystemTime", "timestamp": "2026-07-01T08:00:00Z"}


async def goes_on(station: Station) -> None:
    """The same socket serves the next message."""
    assert "currentTime" in await station.call("Heartbeat", {})


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_19_ten_commands_leave_one_at_a_time(hub: RunningHub, version: str) -> None:
    async with hub.station(version) as busy, hub.station(version) as other:
        commands = [hub.send(busy.identity, ClearCache()) for _ in range(10)]
        for ended in range(10):
            asked = await busy.asked()
            # Were a second one on its way, it would be here before the answer to our own call.
            await goes_on(busy)
            assert not busy.inbox
            assert sum(command.done() for command in commands) == ended
            if ended == 5:
                # Half way, another station is served as if nothing were waiting.
                elsewhere = hub.send(other.identity, ClearCache())
                await other.reply(await other.asked(), ACCEPTED)
                assert (await elsewhere).status == "Accepted"
            await busy.reply(asked, ACCEPTED)
        assert {(await command).status for command in commands} == {"Accepted"}


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_20_a_call_that_crosses_ours_is_answered_at_once(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station:
        command = hub.send(station.identity, ClearCache())
        asked = await station.asked()
        for _ in range(3):
            assert await station.call("StatusNotification", status(version)) == {}
            assert not command.done()
        await station.reply(asked, ACCEPTED)
        assert (await command).status == "Accepted"


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_21_a_late_answer_is_never_that_of_the_next_command(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station:
        with hub.patience(0.05), pytest.raises(StationTimeout) as timeout:
            await hub.send(station.identity, ClearCache())
        assert timeout.value.facts == {"sent": True}
        first = await station.asked()
        command = hub.send(station.identity, ClearCache())
        second = await station.asked()
        await station.reply(first, {"status": "Rejected"})
        await station.send([4, first[1], "InternalError", "late", {}])
        await station.send([3, "never-asked", {"status": "Rejected"}])
        await goes_on(station)
        assert not command.done()
        await station.reply(second, ACCEPTED)
        assert (await command).status == "Accepted"


async def test_statement_21_a_queue_that_times_out_behind_a_mute_station_lets_later_ones_go(
    hub: RunningHub,
) -> None:
    async with hub.station() as station:
        with hub.patience(0.05):
            waiting = [hub.send(station.identity, ClearCache()) for _ in range(3)]
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StationTimeout] * 3
        command = hub.send(station.identity, ClearCache())
        while not command.done():
            await station.reply(await station.asked(), ACCEPTED)
            await goes_on(station)
        assert (await command).status == "Accepted"


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_22_our_ids_are_short_and_unique_over_reconnects(
    hub: RunningHub, version: str
) -> None:
    identity = await hub.new_station()
    ids: list[str] = []
    for _ in range(3):
        station = await hub.connect(identity, version)
        for _ in range(4):
            command = hub.send(identity, ClearCache())
            asked = await station.asked()
            ids.append(asked[1])
            await station.reply(asked, ACCEPTED)
            await command
        await station.leave()
    assert max(map(len, ids)) <= 36
    assert max(Counter(ids).values()) == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_22_a_repeated_id_is_answered_twice_and_run_once(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station:
        frame = [2, "same-id", "SecurityEventNotification", SECURITY_EVENT]
        for _ in range(2):
            await station.send(frame)
            assert await station.answer_to("same-id") == [3, "same-id", {}]
        kept = {"kind": "SecurityEventNotification"}
        assert await hub.count("station_notices", station.identity, **kept) == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_22_repeated_before_the_answer_one_answer_serves_both(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station:
        frame = [2, "same-id", "SecurityEventNotification", SECURITY_EVENT]
        await station.send(frame)
        await station.send(frame)
        assert await station.answer_to("same-id") == [3, "same-id", {}]
        await goes_on(station)
        kept = {"kind": "SecurityEventNotification"}
        assert await hub.count("station_notices", station.identity, **kept) == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_22_the_same_id_with_other_content_is_another_call(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station:
        for kind in ("SettingSystemTime", "FirmwareUpdated"):
            event = {**SECURITY_EVENT, "type": kind}
            answer = await station.ask("SecurityEventNotification", event, "same-id")
            assert answer == [3, "same-id", {}]
        assert await hub.count("station_notices", station.identity) == 2


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_22_over_connections_only_content_counts(
    hub: RunningHub, version: str
) -> None:
    identity = await hub.new_station()
    action, start, other = two_starts(version)
    answers = []
    for payload in (start, start, other):
        station = await hub.connect(identity, version)
        answer = await station.ask(action, payload, "1")
        assert answer[:2] == [3, "1"]
        answers.append(answer[2].get("transactionId"))
        await station.leave()
    first, again, another = answers
    assert first == again
    assert (first != another) is (version == V16)
    assert await hub.count("transactions", identity) == 2


def two_starts(version: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the action that starts a transaction, and two payloads that mean different ones."""
    if version == V16:
        start = {"connectorId": 1, "idTag": TOKEN, "meterStart": 10, "timestamp": at(60)}
        return "StartTransaction", start, {**start, "connectorId": 2}
    event: dict[str, Any] = {
        "eventType": "Started",
        "timestamp": at(60),
        "triggerReason": "CablePluggedIn",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "T-1"},
        "evse": {"id": 1, "connectorId": 1},
    }
    return "TransactionEvent", event, {**event, "transactionInfo": {"transactionId": "T-2"}}


UNREADABLE = [
    "",
    " ",
    "this is no JSON",
    "{}",
    "[]",
    "null",
    '"[2]"',
    "[2]",
    '["2","1","Heartbeat",{}]',
    '[2,null,"Heartbeat",{}]',
    '[2,7,"Heartbeat",{}]',
    '[2,"","Heartbeat",{}]',
    '[2.0,"1","Heartbeat",{}]',
    '[2,"1","Heartbeat",{}',
    "[" * 100_000,
    "[" * 100_000 + "]" * 100_000,
    '[2,"1","Heartbeat",' + '{"a":' * 20_000 + "1" + "}" * 20_000 + "]",
    b'[2,"1","Heartbeat",{}]',
]


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: str(text)[:30])
@pytest.mark.parametrize("version", V2X)
async def test_statement_23_an_unreadable_frame_on_2_x_is_answered_with_minus_one(
    hub: RunningHub, version: str, text: str | bytes
) -> None:
    async with hub.station(version) as station:
        await station.send(text)
        kind, message_id, code, description, details = await station.frame()
        assert (kind, message_id, code, details) == (4, "-1", "RpcFrameworkError", {})
        assert "Heartbeat" not in description
        await goes_on(station)


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: str(text)[:30])
@pytest.mark.parametrize("version", [V16])
async def test_statement_23_an_unreadable_frame_on_1_6_is_dropped(
    hub: RunningHub, version: str, text: str | bytes
) -> None:
    async with hub.station(version) as station:
        await station.send(text)
        await goes_on(station)  # Whose answer is the first frame that comes.


# What is sent, the version, and the error code that comes back (None: no answer at all).
REFUSED: list[tuple[str, list[Any], str | None]] = [
    ("24", [V16, 1, "id", "Heartbeat", {}], None),
    ("24", [V16, 5, "id", "GenericError", "", {}], None),
    ("24", [V16, 99, "id"], None),
    ("24", [V201, 1, "id", "Heartbeat", {}], "MessageTypeNotSupported"),
    ("24", [V201, 6, "id", "NotifyPeriodicEventStream", {}], "MessageTypeNotSupported"),
    ("24", [V201, -2, "id"], "MessageTypeNotSupported"),
    ("24", [V21, 1, "id", "Heartbeat", {}], None),
    ("24", [V21, 7, "id"], None),
    ("24", [V21, -2, "id"], None),
    ("25", [V16, 2, "id", "MakeCoffee", {}], "NotImplemented"),
    ("25", [V16, 2, "id", "heartbeat", {}], "NotImplemented"),
    ("25", [V16, 2, "id", "TransactionEvent", {}], "NotImplemented"),
    ("25", [V16, 2, "id", "RemoteStartTransaction", {"idTag": "x"}], "NotSupported"),
    ("25", [V16, 2, "id", "SignCertificate", {"csr": "x"}], "NotSupported"),
    ("25", [V201, 2, "id", "MakeCoffee", {}], "NotImplemented"),
    ("25", [V201, 2, "id", "StartTransaction", {}], "NotImplemented"),
    ("25", [V201, 2, "id", "GetCertificateStatus", {}], "NotSupported"),
    ("25", [V201, 2, "id", "Get15118EVCertificate", {}], "NotSupported"),
    ("25", [V201, 2, "id", "", {}], "NotImplemented"),
    ("25", [V21, 2, "id", "MakeCoffee", {}], "NotImplemented"),
    ("25", [V21, 2, "id", "NotifyPeriodicEventStream", {}], "NotImplemented"),
    ("25", [V21, 2, "id", "BatterySwap", {}], "NotSupported"),
    ("25", [V21, 2, "id", "GetCertificateStatus", {}], "NotSupported"),
    ("26", [V16, 2, "id", "Authorize", {"idTag": "x", "more": 1}], "FormationViolation"),
    ("26", [V16, 2, "id", "Authorize", {}], "OccurenceConstraintViolation"),
    ("26", [V16, 2, "id", "Authorize", {"idTag": 1}], "TypeConstraintViolation"),
    ("26", [V16, 2, "id", "Authorize", {"idTag": "x" * 21}], "PropertyConstraintViolation"),
    ("26", [V16, 2, "id", "Authorize", "x"], "FormationViolation"),
    ("26", [V16, 2, "id", "Authorize"], "FormationViolation"),
    ("26", [V16, 2, "id", {}, {}], "FormationViolation"),
    ("26", [V201, 2, "id", "Heartbeat", {"more": 1}], "FormatViolation"),
    ("26", [V201, 2, "id", "Authorize", {}], "OccurrenceConstraintViolation"),
    ("26", [V201, 2, "id", "Authorize", {"idToken": 1}], "TypeConstraintViolation"),
    ("26", [V201, 2, "id", "Authorize", []], "FormatViolation"),
    ("26", [V201, 2, "id", "Authorize", {}, {}], "RpcFrameworkError"),
    ("26", [V201, 2, "id", 7, {}], "RpcFrameworkError"),
    ("26", [V21, 2, "id", "Heartbeat", {"more": 1}], "FormatViolation"),
    ("26", [V21, 2, "id", "Authorize", {}], "OccurrenceConstraintViolation"),
    ("26", [V21, 2, "id", 7, {}], "RpcFrameworkError"),
    ("30", [V21, 5, "id", "GenericError", "", {}], None),
    ("30", [V21, 5, "id"], None),
    ("30", [V21, 6, "id", "NotifyPeriodicEventStream", {}], None),
    ("30", [V21, 6, "id", "MakeCoffee", {}], None),
    ("30", [V21, 6, "id"], None),
]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(frame, code, id=f"statement_{number}-{json.dumps(frame)[:60]}")
        for number, frame, code in REFUSED
    ],
)
async def test_statements_24_25_26_27_what_is_refused_and_how(
    hub: RunningHub, frame: list[Any], code: str | None
) -> None:
    version, *sent = frame
    async with hub.station(version) as station:
        await station.send(sent)
        if code is not None:
            answer = await station.frame()
            # Statement 27: five elements, a short description, details that are an object.
            assert answer[:3] == [4, "id", code]
            assert isinstance(answer[3], str)
            assert len(answer[3]) <= 255
            assert answer[4:] == [{}]
        await goes_on(station)


BROKEN_BILLING: list[tuple[str, str, dict[str, Any]]] = [
    (V16, "StartTransaction", {"connectorId": 1, "idTag": "x" * 30, "meterStart": "1"}),
    (V16, "StartTransaction", {}),
    (V16, "StopTransaction", {"transactionId": 4711, "meterStop": None, "vendor": {"a": [1]}}),
    (V16, "StopTransaction", {}),
    (V16, "MeterValues", {"connectorId": 1, "meterValue": [{"sampledValue": [{"value": 5}]}]}),
    (V16, "MeterValues", {"meterValue": "none"}),
    (V16, "StatusNotification", {"connectorId": 1, "status": "Dreaming", "errorCode": "Bored"}),
    (V16, "StatusNotification", {}),
    (V201, "TransactionEvent", {"eventType": "Paused", "transactionInfo": {"transactionId": "t"}}),
    (V201, "TransactionEvent", {}),
    (V201, "MeterValues", {"evseId": 1, "meterValue": [{"sampledValue": [{"value": "5"}]}]}),
    (V201, "MeterValues", {"evseId": [], "meterValue": None}),
    (V201, "StatusNotification", {"evseId": 1, "connectorStatus": "Dreaming"}),
    (V201, "StatusNotification", {"evseId": "first"}),
]


@pytest.mark.parametrize(("version", "action", "payload"), with_2_1(BROKEN_BILLING))
async def test_statement_29_broken_billing_data_is_answered_and_kept(
    hub: RunningHub, version: str, action: str, payload: dict[str, Any]
) -> None:
    async with hub.station(version) as station:
        answer = await station.ask(action, payload)
        assert answer[0] == 3
        kept = await hub.value(
            """
            SELECT (SELECT count(*) FROM station_notices
                    WHERE station_id = :station AND flagged) +
                   (SELECT count(*) FROM transaction_events e
                    JOIN transactions t ON t.id = e.transaction_id
                    WHERE t.station_id = :station AND e.flags <> 0 AND e.raw IS NOT NULL)
            """,
            station=hub.station_ids[station.identity],
        )
        assert kept == 1
        await goes_on(station)


@pytest.mark.parametrize(
    ("version", "status"),
    [
        (V16, {"connectorId": 3, "errorCode": "NoError", "status": "Available"}),
        (V201, {"evseId": 9, "connectorId": 1, "connectorStatus": "Available"}),
        (V21, {"evseId": 9, "connectorId": 1, "connectorStatus": "Available"}),
    ],
)
async def test_a_connector_nobody_commissioned_is_told_of_once(
    hub: RunningHub, version: str, status: dict[str, Any]
) -> None:
    status = {**status, "timestamp": wall_now().isoformat()}
    async with hub.station(version) as station:
        with capture_logs() as lines:
            for _ in range(3):
                await station.call("StatusNotification", status)
        told = [line for line in lines if line["event"] == "connector_unknown"]
        assert [line["evse_no"] for line in told] == [status.get("evseId", 3)]
        kept = await hub.value(
            "SELECT count(*) FROM station_notices WHERE station_id = :station"
            " AND kind = 'StatusNotification'",
            station=hub.station_ids[station.identity],
        )
        assert kept == 1


async def test_statement_47_every_start_that_is_answered_has_a_number_of_its_own(
    hub: RunningHub,
) -> None:
    starts: list[dict[str, Any]] = [
        {"idTag": "CARD", "meterStart": 5, "timestamp": wall_now().isoformat()},
        {"meterStart": 5},
        {"connectorId": "first"},
        {},
    ]
    async with hub.station(V16) as station:
        numbers = [
            (await station.call("StartTransaction", start))["transactionId"] for start in starts
        ]
        assert min(numbers) > 0
        assert len(set(numbers)) == len(starts)
        # What is said again is the same start (16 3.7.1).
        assert (await station.call("StartTransaction", {}))["transactionId"] == numbers[-1]


@pytest.mark.parametrize("version", [V16, V201])
@pytest.mark.parametrize(
    ("answer", "word"),
    [({"status": "Perhaps"}, "Perhaps"), ({}, None), ({"status": 5}, None), ([], None), (7, None)],
)
async def test_statement_30_an_invalid_answer_is_taken_and_never_answered(
    hub: RunningHub, version: str, answer: Any, word: str | None
) -> None:
    async with hub.station(version) as station:
        command = hub.send(station.identity, ClearCache())
        await station.reply(await station.asked(), answer)
        assert (await command).status == word
        await goes_on(station)


@pytest.mark.parametrize("version", V2X)
async def test_statement_31_a_signed_message_is_worked_on_as_the_message(
    hub: RunningHub, version: str
) -> None:
    def sealed(payload: dict[str, Any]) -> dict[str, str]:
        inner = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
        return {"protected": "e30", "payload": inner, "signature": "bWFkZSB1cA"}

    async with hub.station(version) as station:
        await station.call("StatusNotification-Signed", sealed(status(version, "Occupied")))
        assert await hub.count("connectors", station.identity, status="Occupied") == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("message_id", [None, "made-up-message"])
@pytest.mark.parametrize("data", [None, "text", {"a": [1, None, {}]}, [True, 1.5, "\u884c"], 7])
async def test_statement_101_an_unknown_vendor_is_told_so_without_data(
    hub: RunningHub, version: str, message_id: str | None, data: Any
) -> None:
    if version == V16 and data is not None:
        data = json.dumps(data)  # Text is all that 1.6 has room for.
    told = {"vendorId": "made-up", "messageId": message_id, "data": data}
    payload = {name: value for name, value in told.items() if value is not None}
    async with hub.station(version) as station:
        assert await station.call("DataTransfer", payload) == {"status": "UnknownVendorId"}
        kept = await hub.value(
            "SELECT payload FROM station_notices WHERE station_id = :station",
            station=hub.station_ids[station.identity],
        )
        assert kept == payload


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("action", ["Heartbeat", "SecurityEventNotification"])
async def test_a_fault_in_our_answer_is_an_error_and_the_station_goes_on(
    hub: RunningHub, version: str, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answered at once or after a COMMIT: no call is left without an end."""

    def fail(_replies: object, _now: object) -> dict[str, object]:
        raise RuntimeError("a fault of ours")

    payload = SECURITY_EVENT if action == "SecurityEventNotification" else {}
    async with hub.station(version) as station:
        inbound = TRANSLATORS[OcppVersion(version)].inbound
        assert isinstance(inbound, dict)
        with monkeypatch.context() as patch:
            patch.setitem(inbound, action, replace(inbound[action], answer=fail))
            answer = await station.ask(action, payload)
        assert answer[0] == 4
        assert answer[2] == "InternalError"
        await goes_on(station)
