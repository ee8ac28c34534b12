"""Random frames, valid and mutated, over a live socket: every CALL gets exactly one answer.

What a CALL of billing data gets is never an error, whatever is in it; nothing gets InternalError.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hub_fixtures import BOOTS, TOKEN, V16, V21, V201, VERSIONS, RunningHub, Station, status

LIMITS = {"messages_per_s": 1e9, "messages_burst": 10**9}
STAMP = "2026-07-01T08:00:00Z"

V16_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("BootNotification", BOOTS[V16]),
    ("Heartbeat", {}),
    ("Authorize", {"idTag": TOKEN}),
    ("StatusNotification", status(V16, when=STAMP)),
    (
        "StartTransaction",
        {
            "connectorId": 1,
            "idTag": TOKEN,
            "meterStart": 1_000,
            "reservationId": 7,
            "timestamp": STAMP,
        },
    ),
    (
        "MeterValues",
        {
            "connectorId": 1,
            "transactionId": 1,
            "meterValue": [
                {
                    "timestamp": STAMP,
                    "sampledValue": [
                        {"value": "1500", "unit": "Wh"},
                        {"value": "31.5", "measurand": "Power.Active.Import", "unit": "kW"},
                        {"value": "54", "measurand": "SoC", "context": "Sample.Clock"},
                    ],
                }
            ],
        },
    ),
    (
        "StopTransaction",
        {
            "transactionId": 1,
            "idTag": TOKEN,
            "meterStop": 2_000,
            "reason": "EVDisconnected",
            "timestamp": STAMP,
            "transactionData": [{"timestamp": STAMP, "sampledValue": [{"value": "2000"}]}],
        },
    ),
    ("DataTransfer", {"vendorId": "made-up", "messageId": "m", "data": "d"}),
    ("FirmwareStatusNotification", {"status": "Idle"}),
    ("DiagnosticsStatusNotification", {"status": "Idle"}),
    ("SecurityEventNotification", {"type": "Reboot", "timestamp": STAMP, "techInfo": "x"}),
]
V2X_EVENT: dict[str, Any] = {
    "eventType": "Updated",
    "timestamp": STAMP,
    "triggerReason": "MeterValuePeriodic",
    "seqNo": 1,
    "offline": False,
    "numberOfPhasesUsed": 3,
    "reservationId": 4,
    "transactionInfo": {
        "transactionId": "tx-1",
        "chargingState": "Charging",
        "remoteStartId": 9,
        "stoppedReason": "Local",
    },
    "idToken": {"idToken": TOKEN, "type": "ISO14443"},
    "evse": {"id": 1, "connectorId": 1},
    "meterValue": [
        {
            "timestamp": STAMP,
            "sampledValue": [
                {"value": 1500.5, "unitOfMeasure": {"unit": "Wh", "multiplier": 0}},
                {"value": 31, "measurand": "Power.Active.Import", "phase": "L1"},
            ],
        }
    ],
}
V2X_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("BootNotification", BOOTS[V201]),
    ("Heartbeat", {}),
    ("Authorize", {"idToken": {"idToken": TOKEN, "type": "ISO14443"}}),
    ("StatusNotification", status(V201, when=STAMP)),
    ("TransactionEvent", {**V2X_EVENT, "eventType": "Started", "seqNo": 0}),
    ("TransactionEvent", V2X_EVENT),
    ("TransactionEvent", {**V2X_EVENT, "eventType": "Ended", "seqNo": 2}),
    ("MeterValues", {"evseId": 1, "meterValue": V2X_EVENT["meterValue"]}),
    (
        "NotifyEvent",
        {
            "generatedAt": STAMP,
            "seqNo": 0,
            "eventData": [
                {
                    "eventId": 1,
                    "timestamp": STAMP,
                    "trigger": "Delta",
                    "actualValue": "Faulted",
                    "eventNotificationType": "HardWiredNotification",
                    "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 1}},
                    "variable": {"name": "AvailabilityState"},
                }
            ],
        },
    ),
    (
        "NotifyReport",
        {
            "requestId": 1,
            "generatedAt": STAMP,
            "seqNo": 0,
            "reportData": [
                {
                    "component": {"name": "EVSE", "instance": "a", "evse": {"id": 1}},
                    "variable": {"name": "Power"},
                    "variableAttribute": [{"type": "Actual", "value": "5"}],
                    "variableCharacteristics": {
                        "dataType": "decimal",
                        "supportsMonitoring": True,
                        "unit": "W",
                    },
                }
            ],
        },
    ),
    ("ReservationStatusUpdate", {"reservationId": 1, "reservationUpdateStatus": "Expired"}),
    ("SecurityEventNotification", {"type": "Reboot", "timestamp": STAMP}),
    ("DataTransfer", {"vendorId": "made-up", "data": {"any": ["thing"]}}),
    ("LogStatusNotification", {"status": "Idle", "requestId": 1}),
    ("FirmwareStatusNotification", {"status": "Installed", "requestId": 1}),
]
V21_EVENT: dict[str, Any] = {
    **V2X_EVENT,
    "preconditioningStatus": "Ready",
    "evseSleep": False,
    "costDetails": {
        "totalCost": {"currency": "CNY", "typeOfCost": "NormalCost", "total": {"exclTax": 4.5}},
        "totalUsage": {"energy": 3000.0, "chargingTime": 60, "idleTime": 0},
    },
    "transactionInfo": {
        **V2X_EVENT["transactionInfo"],
        "operationMode": "ChargingOnly",
        "tariffId": "T1",
        "transactionLimit": {"maxEnergy": 20000.0},
    },
}
V21_CALLS: list[tuple[str, dict[str, Any]]] = [
    *V2X_CALLS,
    ("TransactionEvent", {**V21_EVENT, "eventType": "Started", "seqNo": 0}),
    ("TransactionEvent", V21_EVENT),
    ("TransactionEvent", {**V21_EVENT, "eventType": "Ended", "seqNo": 2}),
]
CALLS = {V16: V16_CALLS, V201: V2X_CALLS, V21: V21_CALLS}
BILLING = frozenset(
    (
        "StartTransaction",
        "StopTransaction",
        "MeterValues",
        "TransactionEvent",
        "StatusNotification",
    )
)

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "\0", "\ud800", "1970-01-01T00:00:00", "NaN", "-1", "x" * 300, STAMP]),
)
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**15, 2**31, 2**31 - 1, 2**63, 2**64, -(2**63) - 1, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
)
junk = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@dataclass
class Sent:
    """One message of a fuzzed conversation, and whether it is a CALL that must be answered."""

    text: str
    message_id: str | None = None
    action: str = ""


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a JSON value."""
    if isinstance(value, dict):
        here: list[tuple[Any, Any]] = [(value, key) for key in value]
    elif isinstance(value, list):
        here = [(value, index) for index in range(len(value))]
    else:
        return []
    return here + [place for container, key in here for place in places(container[key])]


@st.composite
def calls(draw: st.DrawFn, version: str) -> Sent:
    """Draw a CALL whose payload has up to four fields lost, replaced or added."""
    action, payload = draw(st.sampled_from(CALLS[version]))
    payload = copy.deepcopy(payload)
    for _ in range(draw(st.integers(0, 4))):
        found = places(payload)
        kind = draw(st.sampled_from(["lose", "replace", "add"]))
        if kind == "add" or not found:
            payload[draw(texts)] = draw(junk)
            continue
        container, key = draw(st.sampled_from(found))
        if kind == "replace":
            container[key] = draw(junk)
        else:
            del container[key]
    message_id = draw(st.sampled_from(["a", "b", "c", "衢", "x" * 36, "x" * 200]))
    text = json.dumps([2, message_id, action, payload], ensure_ascii=draw(st.booleans()))
    if "\ud800" in text or any("\ud800" <= char <= "\udfff" for char in text):
        text = json.dumps([2, message_id, action, payload])  # The socket carries UTF-8 only.
    return Sent(text, message_id, action)


@st.composite
def broken(draw: st.DrawFn, version: str) -> Sent:
    """Draw a text that was a CALL before a piece was cut out of it."""
    text = draw(calls(version)).text
    cut = sorted(draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    rest = text[: cut[0]] + draw(st.sampled_from(["", "[", '"', "\x01", "9"])) + text[cut[1] :]
    return Sent(rest)


def frames() -> st.SearchStrategy[Sent]:
    """Draw arrays that are no CALL: answers to nothing, other types, other lengths."""
    other = st.integers(-1, 9).filter(lambda kind: kind != 2)
    arrays = st.tuples(other, st.lists(junk, max_size=5)).map(lambda pair: [pair[0], *pair[1]])
    return arrays.map(lambda array: Sent(json.dumps(array)))


class Line:
    """The station's socket over all examples; counts its sentinels."""

    def __init__(self) -> None:
        self.station: Station | None = None
        self.numbers = itertools.count()

    async def open(self, hub: RunningHub, version: str) -> Station:
        if self.station is None or self.station.socket.close_code is not None:
            self.station = await hub.connect(await hub.new_station(), version)
        return self.station


LINES = {version: Line() for version in VERSIONS}


async def exchange(hub: RunningHub, version: str, messages: list[Sent]) -> list[list[Any]]:
    """Send all, then a call of our own, and return what came before its answer."""
    line = LINES[version]
    station = await line.open(hub, version)
    for message in messages:
        await station.send(message.text)
    sentinel = f"sentinel-{next(line.numbers)}"
    await station.send([2, sentinel, "Heartbeat", {}])
    heard = []
    while (frame := await station.frame())[1] != sentinel:
        heard.append(frame)
    assert frame[0] == 3
    return heard


def different(calls_made: list[Sent]) -> Counter[str | None]:
    """Count by id; the same text again is a retry, which one answer may serve (P4 4.1.4)."""
    return Counter(message_id for message_id, _ in {(m.message_id, m.text) for m in calls_made})


def judge(messages: list[Sent], heard: list[list[Any]]) -> None:
    ours = [message for message in messages if message.message_id is not None]
    answered = Counter(frame[1] for frame in heard)
    said = Counter(message.message_id for message in ours)
    for message_id, least in different(ours).items():
        if not any(message.message_id is None for message in messages):
            assert answered[message_id] <= said[message_id]
        assert answered[message_id] >= least
    for frame in heard:
        assert frame[0] in {3, 4}
        if frame[0] == 4:
            assert frame[2] != "InternalError", frame
            assert len(frame) == 5
            assert len(frame[3]) <= 255
    results = Counter(frame[1] for frame in heard if frame[0] == 3)
    for message_id, least in different([m for m in ours if m.action in BILLING]).items():
        assert results[message_id] >= least


@pytest.mark.parametrize("version", VERSIONS)
@given(data=st.data())
@settings(max_examples=80)
async def test_every_call_gets_exactly_one_answer(
    hub: RunningHub, version: str, data: st.DataObject
) -> None:
    one = st.one_of(calls(version), calls(version), broken(version), frames())
    messages = data.draw(st.lists(one, min_size=1, max_size=6))
    judge(messages, await exchange(hub, version, messages))


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
@given(data=st.data())
@settings(max_examples=1_000)
async def test_every_call_gets_exactly_one_answer_at_length(
    hub: RunningHub, version: str, data: st.DataObject
) -> None:
    messages = data.draw(st.lists(calls(version), min_size=1, max_size=6))
    judge(messages, await exchange(hub, version, messages))
