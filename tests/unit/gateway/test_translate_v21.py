"""What OCPP 2.1 says otherwise than 2.0.1; all they share is in `test_translate_v2x*`."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

import pytest

from chargehub.authorization.decision import Authorization, AuthorizationStatus
from chargehub.gateway import translate_v21, translate_v201
from chargehub.gateway.translation import Context, Untranslatable
from chargehub.ocpp import OcppVersion
from chargehub.reservations.reports import ReservationStatusReported
from chargehub.smart_charging.reports import EvScheduleReported
from chargehub.stations.commands import (
    Command,
    InvalidCommand,
    RequestStartTransaction,
    ReserveNow,
)
from chargehub.stations.profiles import SchedulePeriod
from chargehub.stations.reports import ConnectorStatus, NoticeReported, StatusReported
from chargehub.telemetry.readings import Flag
from chargehub.transactions.reports import (
    AuthorizeRequested,
    IdToken,
    TransactionReply,
    TransactionReported,
)
from tests.unit.gateway.words import AT, NOW, STAMP, Payload, Words

EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)
EVENT: Payload = {
    "eventType": "Updated",
    "timestamp": STAMP,
    "triggerReason": "MeterValuePeriodic",
    "seqNo": 3,
    "transactionInfo": {"transactionId": "t-1", "chargingState": "Charging"},
}
CONTEXT = Context(7, NOW)
COST = {
    "totalCost": {"currency": "CNY", "typeOfCost": "NormalCost", "total": {"inclTax": 4.5}},
    "totalUsage": {"energy": 3000.0, "chargingTime": 60, "idleTime": 0},
}


@pytest.fixture
def words() -> Words:
    return Words(OcppVersion.V21)


def test_it_is_the_table_of_2_0_1_with_four_rows_of_its_own() -> None:
    old, new = translate_v201.TRANSLATOR.inbound, translate_v21.TRANSLATOR.inbound
    own = {action for action in new if new[action] is not old.get(action)}
    assert own == {
        *("Authorize", "TransactionEvent"),
        *("NotifyPeriodicEventStream", "PullDynamicScheduleUpdate"),
    }
    assert set(old) <= set(new)
    assert set(translate_v21.TRANSLATOR.encoders) == set(translate_v201.TRANSLATOR.encoders)


# TransactionEvent -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"costDetails": COST},
        {"preconditioningStatus": "Preconditioning"},
        {"evseSleep": True},
        {"transactionInfo": {"transactionId": "t-1", "operationMode": "CentralSetpoint"}},
        {"transactionInfo": {"transactionId": "t-1", "tariffId": "T1"}},
        {"transactionInfo": {"transactionId": "t-1", "transactionLimit": {"maxSoC": 80}}},
    ],
)
def test_what_only_2_1_tells_is_kept_and_not_flagged(words: Words, change: Payload) -> None:
    payload = EVENT | change
    report = words.event(payload)
    kept = copy.deepcopy(change)
    kept.get("transactionInfo", {}).pop("transactionId", None)
    assert (report.flags, report.raw) == (0, kept)
    (older,) = translate_v201.read_transaction(payload, CONTEXT)
    assert older.raw is None
    assert (older.content_hash, older.readings) == (report.content_hash, report.readings)


def test_an_event_of_no_news_keeps_no_copy(words: Words) -> None:
    report = words.event(EVENT)
    assert (report.flags, report.raw) == (0, None)
    assert (report.at, report.seq_no, report.charging_state) == (AT, 3, "Charging")


@pytest.mark.parametrize(
    "trigger",
    [
        "CostLimitReached",
        "LimitSet",
        "OperationModeChanged",
        "RunningCost",
        "SoCLimitReached",
        "TariffChanged",
        "TariffNotAccepted",
        "TxResumed",
    ],
)
def test_new_triggers_are_kept_as_they_are(words: Words, trigger: str) -> None:
    report = words.event(EVENT | {"triggerReason": trigger})
    assert (report.trigger, report.flags) == (trigger, 0)


def test_a_new_reason_to_stop(words: Words) -> None:
    info = {"transactionId": "t-1", "stoppedReason": "ReqEnergyTransferRejected"}
    report = words.event(EVENT | {"eventType": "Ended", "transactionInfo": info})
    assert (report.stopped_reason, report.flags) == ("ReqEnergyTransferRejected", 0)


@pytest.mark.parametrize(
    "change",
    [
        {"preconditioningStatus": "Maybe"},
        {"costDetails": "4.50"},
        {"numberOfPhasesUsed": 4},
        {"transactionInfo": {"transactionId": "t-1", "operationMode": 7}},
    ],
)
def test_a_wrong_word_is_flagged_kept_and_answered_statement_29(
    words: Words, change: Payload
) -> None:
    report = words.event(EVENT | change)
    assert report.flags == Flag.INVALID_PAYLOAD
    assert report.raw == EVENT | change
    assert report.transaction_ref == "t-1"
    assert words.answer("TransactionEvent", TransactionReply(1)) == {}


def test_what_is_no_transaction_info_at_all_is_untranslatable_statement_29(words: Words) -> None:
    with pytest.raises(Untranslatable):
        words.read("TransactionEvent", EVENT | {"transactionInfo": [], "evseSleep": True})
    assert words.answer("TransactionEvent") == {}


def test_values_of_2_1(words: Words) -> None:
    """Two words for one measurand, a place of its own, a signature without its key."""
    sampled = [
        {"value": 7.5, "measurand": "Power.Import.Offered", "unitOfMeasure": {"unit": "kW"}},
        {"value": 80, "measurand": "Display.TargetSOC"},
        {"value": 11_000, "measurand": "Power.Active.Import", "location": "Upstream"},
        {
            "value": 5_000,
            "context": "Sample.Periodic",
            "signedMeterValue": {"signedMeterData": "x" * 3_000, "encodingMethod": "OCMF"},
        },
    ]
    meter_value = {"timestamp": STAMP, "sampledValue": sampled}
    report = words.event(EVENT | {"meterValue": [meter_value]})
    (reading,) = report.readings
    assert report.flags == 0
    assert (reading.register_wh, reading.offered_power_w) == (5_000, 7_500)
    assert reading.extras == {"Display.TargetSOC": 80.0, "Power.Active.Import/Upstream": 11_000.0}
    assert Flag(reading.flags) == Flag.SIGNED | Flag.UNIT_MISSING


# idTokens ---------------------------------------------------------------------------------------


def test_a_token_has_255_characters_and_any_type_statement_42(words: Words) -> None:
    token = {"idToken": "Ab" * 127, "type": "any text of 20 chars"}
    payload = {"idToken": token}
    assert words.read("Authorize", payload) == [
        AuthorizeRequested(7, NOW, IdToken("Ab" * 127, "any text of 20 chars"))
    ]
    assert words.schemas.check_request("Authorize", payload) is None
    report = words.event(EVENT | payload)
    assert (report.id_token, report.flags) == (IdToken("Ab" * 127, "any text of 20 chars"), 0)


def test_no_authorization_is_a_type_like_any_other_statement_59(words: Words) -> None:
    payload = {"idToken": {"idToken": "", "type": "NoAuthorization"}}
    assert words.read("Authorize", payload) == [
        AuthorizeRequested(7, NOW, IdToken("", "NoAuthorization"))
    ]


@pytest.mark.parametrize(("length", "told"), [(36, True), (37, True), (255, True), (256, False)])
def test_a_group_is_told_as_far_as_it_fits_statement_59(
    words: Words, length: int, *, told: bool
) -> None:
    decided = Authorization(AuthorizationStatus.ACCEPTED, "G" * length, EXPIRES)
    wanted: Payload = {"status": "Accepted", "cacheExpiryDateTime": "2026-12-01T00:00:00.000Z"}
    if told:
        wanted["groupIdToken"] = {"idToken": "G" * length, "type": "Central"}
    assert words.answer("Authorize", decided) == {"idTokenInfo": wanted}
    assert words.answer("TransactionEvent", TransactionReply(1, decided)) == {"idTokenInfo": wanted}


def test_a_decision_without_a_report_is_no_yes(words: Words) -> None:
    assert words.answer("Authorize") == {"idTokenInfo": {"status": "Invalid"}}


@pytest.mark.parametrize(
    ("command", "action"),
    [
        (RequestStartTransaction("T" * 255, "MasterPass", 5, 1), "RequestStartTransaction"),
        (ReserveNow(9, EXPIRES, "T" * 255, group_id_token="G" * 255), "ReserveNow"),
    ],
)
def test_long_tokens_may_be_sent(words: Words, command: Command, action: str) -> None:
    request = words.translator.encode(command)
    assert request is not None
    assert request.payload["idToken"]["idToken"] == "T" * 255
    assert request.action == action
    assert words.schemas.check_outbound(action, request.payload) is None


@pytest.mark.parametrize(
    "command",
    [
        RequestStartTransaction("T" * 256, None, 5),
        RequestStartTransaction("T", None, 5, group_id_token="G" * 256),
        ReserveNow(9, EXPIRES, "T" * 256),
    ],
)
def test_tokens_beyond_that_are_refused(words: Words, command: Command) -> None:
    with pytest.raises(InvalidCommand):
        words.translator.encode(command)


# The rest ---------------------------------------------------------------------------------------


def test_a_stream_is_a_notice_of_its_base_time_and_has_no_answer_n15() -> None:
    row = translate_v21.TRANSLATOR.inbound["NotifyPeriodicEventStream"]
    payload = {"id": 1, "pending": 2, "basetime": STAMP, "data": [{"t": 0, "v": "230.4"}]}
    assert row.read(payload, CONTEXT) == (
        NoticeReported(7, NOW, "NotifyPeriodicEventStream", payload, AT),
    )
    assert row.answer is None


def test_a_reservation_without_transaction_statement_68(words: Words) -> None:
    payload = {"reservationId": 4, "reservationUpdateStatus": "NoTransaction"}
    assert words.read("ReservationStatusUpdate", payload) == [
        ReservationStatusReported(7, NOW, 4, "NoTransaction")
    ]


def test_a_period_of_a_schedule_may_have_no_limit(words: Words) -> None:
    """Where a setpoint rules; what it sets is not read yet."""
    period = {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": 5_000.0}
    schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
    payload = {"timeBase": STAMP, "evseId": 2, "chargingSchedule": schedule}
    assert words.schemas.check_request("NotifyEVChargingSchedule", payload) is None
    (report,) = words.read("NotifyEVChargingSchedule", payload)
    assert isinstance(report, EvScheduleReported)
    assert report.schedule.periods == (SchedulePeriod(0, None),)


def test_an_availability_event_may_have_a_severity_statement_73(words: Words) -> None:
    payload = {
        "generatedAt": STAMP,
        "seqNo": 0,
        "eventData": [
            {
                "eventId": 1,
                "timestamp": STAMP,
                "trigger": "Delta",
                "actualValue": "Occupied",
                "severity": 9,
                "eventNotificationType": "HardWiredNotification",
                "component": {"name": "Connector", "evse": {"id": 2, "connectorId": 1}},
                "variable": {"name": "AvailabilityState"},
            }
        ],
    }
    (report,) = words.read("NotifyEvent", payload)
    assert report == StatusReported(7, NOW, 2, 1, ConnectorStatus.OCCUPIED, AT)


def test_a_status_of_a_log_may_have_its_reason(words: Words) -> None:
    payload = {"status": "UploadFailure", "requestId": 3, "statusInfo": {"reasonCode": "Disk"}}
    (report,) = words.read("LogStatusNotification", payload)
    assert report == NoticeReported(7, NOW, "LogStatusNotification", payload)


def test_replays_are_known_by_their_content_statement_54(words: Words) -> None:
    told = EVENT | {"costDetails": COST}
    again = words.event(told | {"offline": True})
    assert again.content_hash == words.event(told).content_hash
    assert again.offline
    other: TransactionReported = words.event(EVENT | {"evseSleep": True})
    assert other.content_hash != again.content_hash
