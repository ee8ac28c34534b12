"""OCPP 1.6 (and its security extension) to and from version-free words. Pure.

Connector n of 1.6 is EVSE n with connector 1; connector 0 is the station. What is decided about a
report is the features' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chargehub.authorization.decision import Authorization, AuthorizationStatus
from chargehub.gateway.answers import answer_status
from chargehub.gateway.configuration_keys import (
    encode_change,
    encode_read,
    read_change,
    read_configuration,
)
from chargehub.gateway.fields import (
    MAX_INT16,
    MAX_INT31,
    MAX_INT63,
    Fields,
    flagged_notice,
    message_flags,
    reading_flags,
)
from chargehub.gateway.messages import (
    CONNECTOR_STATUSES,
    DATA_TRANSFER,
    HEARTBEAT,
    answer_boot,
    answer_nothing,
    encode_cancel_reservation,
    encode_clear_cache,
    kept_as,
)
from chargehub.gateway.profiles_v16 import ENCODERS as PROFILE_ENCODERS
from chargehub.gateway.profiles_v16 import TOLD, encode_profile
from chargehub.gateway.translation import (
    Context,
    InboundMessage,
    Payload,
    Report,
    Request,
    Translator,
    Untranslatable,
)
from chargehub.kit.clean import clean_json, content_hash
from chargehub.kit.datetimes import format_datetime
from chargehub.stations.commands import (
    CancelReservation,
    ChangeAvailability,
    ChangeCredential,
    ClearCache,
    GetVariables,
    InvalidCommand,
    ReportInventory,
    RequestStartTransaction,
    RequestStopTransaction,
    ReserveNow,
    ResetKind,
    ResetStation,
    SetVariables,
    TriggerMessage,
    UnlockConnector,
    UnsupportedByStation,
)
from chargehub.stations.reports import (
    BootReported,
    ConnectorStatus,
    StatusReported,
)
from chargehub.telemetry.measurands import read_register_wh
from chargehub.telemetry.meter_values import read_meter_values, read_timestamp
from chargehub.transactions.reports import (
    AuthorizeRequested,
    EventKind,
    IdToken,
    SamplesReported,
    TransactionReported,
)

ID_TAG_LIMIT = 20


# --- Inbound --------------------------------------------------------------------------------------


def _read_boot(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    vendor, model = fields.text("chargePointVendor"), fields.text("chargePointModel")
    if vendor is None or model is None:
        raise Untranslatable("a boot needs a vendor and a model")
    return (
        BootReported(
            station_id=context.station_id,
            received_at=context.received_at,
            vendor=vendor,
            model=model,
            serial_number=fields.filled("chargePointSerialNumber")
            or fields.filled("chargeBoxSerialNumber"),
            firmware_version=fields.filled("firmwareVersion"),
            iccid=fields.filled("iccid"),
            imsi=fields.filled("imsi"),
            meter_type=fields.filled("meterType"),
            meter_serial_number=fields.filled("meterSerialNumber"),
        ),
        *flagged_notice("BootNotification", payload, context),
    )


def _read_status(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    connector_id = fields.whole("connectorId", high=MAX_INT16)
    word = fields.text("status", 50)
    if connector_id is None or word is None:
        raise Untranslatable("a status needs a connector and a status word")
    error_code = fields.filled("errorCode", 50)
    return (
        StatusReported(
            station_id=context.station_id,
            received_at=context.received_at,
            evse_no=connector_id,
            connector_no=1 if connector_id else 0,
            status=CONNECTOR_STATUSES.get(word, ConnectorStatus.UNKNOWN),
            at=fields.moment("timestamp", context.received_at),
            error_code=None if error_code == "NoError" else error_code,
            info=fields.filled("info"),
            vendor_id=fields.filled("vendorId"),
            vendor_error_code=fields.filled("vendorErrorCode"),
        ),
        *flagged_notice("StatusNotification", payload, context),
    )


def _read_authorize(payload: Payload, context: Context) -> Sequence[Report]:
    token = _id_token(Fields(payload))
    if token is None:
        raise Untranslatable("an Authorize needs an idTag")
    return (AuthorizeRequested(context.station_id, context.received_at, token),)


def _answer_authorize(replies: Sequence[Any], _now: datetime) -> Payload:
    return {"idTagInfo": _id_tag_info(replies[0] if replies else None)}


def _read_start(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    at, flags = read_timestamp(fields.raw("timestamp"), context.received_at)
    register_wh, register_flag = read_register_wh(fields.raw("meterStart"))
    evse_no = fields.whole("connectorId", high=MAX_INT16)
    token = _id_token(fields)
    reservation_id = fields.whole("reservationId")
    # Booked whatever is missing: the answer names a transaction, and no number twice
    # (statement 47).
    flags |= register_flag | message_flags(fields, context)
    return (
        TransactionReported(
            station_id=context.station_id,
            received_at=context.received_at,
            kind=EventKind.STARTED,
            at=at,
            transaction_ref=None,
            evse_no=evse_no,
            connector_no=None if evse_no is None else min(evse_no, 1),
            id_token=token,
            register_wh=register_wh,
            reservation_id=reservation_id,
            flags=flags,
            raw=clean_json(payload) if flags else None,
            assigns_ref=True,
            ref_is_ours=True,
            content_hash=content_hash(payload),
        ),
    )


def _answer_start(replies: Sequence[Any], _now: datetime) -> Payload:
    (reply,) = replies
    return {
        "idTagInfo": _id_tag_info(reply.authorization),
        "transactionId": reply.transaction_id,
    }


def _read_stop(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    at, flags = read_timestamp(fields.raw("timestamp"), context.received_at)
    register_wh, register_flag = read_register_wh(fields.raw("meterStop"))
    reason = fields.filled("reason", 50) or "Local"  # 16 4.10
    token = _id_token(fields)
    ref = _transaction_ref(fields)
    if not fields.has("transactionId") and not fields.has("meterStop"):
        raise Untranslatable("a stop needs a transaction or a register")
    flags |= register_flag | message_flags(fields, context)
    return (
        TransactionReported(
            station_id=context.station_id,
            received_at=context.received_at,
            kind=EventKind.ENDED,
            at=at,
            transaction_ref=ref,
            ref_is_ours=True,
            id_token=token,
            register_wh=register_wh,
            readings=read_meter_values(
                fields.raw("transactionData"), context.received_at, reading_flags(context)
            ),
            stopped_reason=_STOPPED_REASONS.get(reason, reason),
            flags=flags,
            raw=clean_json(payload) if flags else None,
            content_hash=content_hash(payload),
        ),
    )


_STOPPED_REASONS = {"HardReset": "ImmediateReset"}
"""To 2.x words. SoftReset and UnlockCommand have none and stay."""


def _answer_stop(replies: Sequence[Any], _now: datetime) -> Payload:
    authorization = replies[0].authorization if replies else None
    return {} if authorization is None else {"idTagInfo": _id_tag_info(authorization)}


def _read_meter_values(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    evse_no = fields.whole("connectorId", high=MAX_INT16)
    ref = _transaction_ref(fields)
    readings = read_meter_values(
        fields.raw("meterValue"), context.received_at, reading_flags(context)
    )
    if not readings or (evse_no is None and ref is None):
        raise Untranslatable("meter values need a connector or a transaction, and a value")
    return (
        SamplesReported(context.station_id, context.received_at, evse_no or 0, readings, ref),
        *flagged_notice("MeterValues", payload, context),
    )


def _id_token(fields: Fields) -> IdToken | None:
    text = fields.text("idTag")
    return None if text is None else IdToken(text)


def _transaction_ref(fields: Fields) -> str | None:
    number = fields.whole("transactionId", low=-MAX_INT63, high=MAX_INT63)
    # E16 3.18: with -1 the station never learned the id; reconciled by connector and time.
    return None if number is None or number == -1 else str(number)


def _id_tag_info(authorization: Authorization | None) -> Payload:
    if authorization is None:
        return {"status": "Invalid"}
    info: Payload = {"status": _ID_TAG_STATUSES[authorization.status]}
    group = authorization.group_id_token
    if group and len(group) <= ID_TAG_LIMIT:
        info["parentIdTag"] = group
    if authorization.cache_expires_at is not None:
        info["expiryDate"] = format_datetime(authorization.cache_expires_at)
    return info


_ID_TAG_STATUSES = {
    AuthorizationStatus.ACCEPTED: "Accepted",
    AuthorizationStatus.BLOCKED: "Blocked",
    AuthorizationStatus.CONCURRENT_TX: "ConcurrentTx",
    AuthorizationStatus.EXPIRED: "Expired",
    AuthorizationStatus.INVALID: "Invalid",
    AuthorizationStatus.NO_CREDIT: "Blocked",
    AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE: "Blocked",
    AuthorizationStatus.NOT_AT_THIS_LOCATION: "Blocked",
    AuthorizationStatus.NOT_AT_THIS_TIME: "Blocked",
    AuthorizationStatus.UNKNOWN: "Invalid",
}


_INBOUND = {
    "Authorize": InboundMessage(_read_authorize, _answer_authorize),
    # A field too long must not keep a station off the hub.
    "BootNotification": InboundMessage(_read_boot, answer_boot, tolerant=True),
    "DataTransfer": DATA_TRANSFER,
    "DiagnosticsStatusNotification": kept_as("LogStatusNotification"),
    "FirmwareStatusNotification": kept_as("FirmwareStatusNotification"),
    "Heartbeat": HEARTBEAT,
    "LogStatusNotification": kept_as("LogStatusNotification"),
    "MeterValues": InboundMessage(_read_meter_values, answer_nothing, tolerant=True),
    "SecurityEventNotification": kept_as("SecurityEventNotification"),
    "SignedFirmwareStatusNotification": kept_as("FirmwareStatusNotification"),
    "StartTransaction": InboundMessage(_read_start, _answer_start, tolerant=True),
    "StatusNotification": InboundMessage(_read_status, answer_nothing, tolerant=True),
    "StopTransaction": InboundMessage(_read_stop, _answer_stop, tolerant=True),
}


# --- Outbound -------------------------------------------------------------------------------------


def _id_tag(text: str) -> str:
    if len(text) > ID_TAG_LIMIT:
        raise InvalidCommand(f"This station's protocol takes idTokens of {ID_TAG_LIMIT} characters")
    return text


def _encode_start(command: RequestStartTransaction) -> Request:
    payload: Payload = {"idTag": _id_tag(command.id_token)}
    if command.evse_no is not None:
        payload["connectorId"] = command.evse_no
    if command.charging_profile is not None:
        payload["chargingProfile"] = encode_profile(command.charging_profile)
    return Request("RemoteStartTransaction", payload)


def _encode_stop(command: RequestStopTransaction) -> Request:
    ref = command.transaction_ref
    if not ref.isdecimal() or len(ref) > 10 or int(ref) > MAX_INT31:
        raise InvalidCommand("This station knows its transactions by positive 31-bit numbers")
    return Request("RemoteStopTransaction", {"transactionId": int(ref)})


def _encode_reset(command: ResetStation) -> Request:
    return Request("Reset", {"type": "Hard" if command.kind is ResetKind.IMMEDIATE else "Soft"})


def _encode_availability(command: ChangeAvailability) -> Request:
    wanted = "Operative" if command.operative else "Inoperative"
    return Request("ChangeAvailability", {"connectorId": command.evse_no, "type": wanted})


def _encode_unlock(command: UnlockConnector) -> Request:
    return Request("UnlockConnector", {"connectorId": command.evse_no})


def _encode_reserve(command: ReserveNow) -> Request:
    payload: Payload = {
        "connectorId": command.evse_no or 0,  # 16 5.13: 0 is any connector.
        "expiryDate": format_datetime(command.expires_at),
        "idTag": _id_tag(command.id_token),
        "reservationId": command.reservation_id,
    }
    if command.group_id_token is not None:
        payload["parentIdTag"] = _id_tag(command.group_id_token)
    return Request("ReserveNow", payload)


_TRIGGERS = {
    "BootNotification": "BootNotification",
    "DiagnosticsStatusNotification": "DiagnosticsStatusNotification",
    "FirmwareStatusNotification": "FirmwareStatusNotification",
    "Heartbeat": "Heartbeat",
    "LogStatusNotification": "DiagnosticsStatusNotification",
    "MeterValues": "MeterValues",
    "StatusNotification": "StatusNotification",
}
"""What may be triggered, in 2.x words too."""


def _encode_trigger(command: TriggerMessage) -> Request:
    message = _TRIGGERS.get(command.message)
    if message is None:
        raise UnsupportedByStation(f"This station cannot be asked for {command.message}")
    payload: Payload = {"requestedMessage": message}
    if command.evse_no:
        payload["connectorId"] = command.evse_no  # 16 7.8: only > 0 may be named.
    return Request("TriggerMessage", payload)


def _encode_inventory(_command: ReportInventory) -> Request:
    # 16 5.8: an empty key list asks for all keys; the answer itself is the report.
    return Request("GetConfiguration", {})


def _encode_credential(command: ChangeCredential) -> Request:
    # WP A01.FR.02; set as hex digits, sent back by the station as the bytes they stand for.
    return Request("ChangeConfiguration", {"key": "AuthorizationKey", "value": command.password})


TRANSLATOR = Translator(
    inbound=_INBOUND,
    encoders={
        RequestStartTransaction: _encode_start,
        RequestStopTransaction: _encode_stop,
        ResetStation: _encode_reset,
        ChangeAvailability: _encode_availability,
        UnlockConnector: _encode_unlock,
        ReserveNow: _encode_reserve,
        CancelReservation: encode_cancel_reservation,
        ClearCache: encode_clear_cache,
        TriggerMessage: _encode_trigger,
        ReportInventory: _encode_inventory,
        **PROFILE_ENCODERS,
        ChangeCredential: _encode_credential,
        SetVariables: encode_change,
        GetVariables: encode_read,
    },
    trigger_answers={
        "TriggerMessage": frozenset(_TRIGGERS.values()),
        "ExtendedTriggerMessage": frozenset(
            (*_TRIGGERS.values(), "LogStatusNotification", "SignCertificate")
        ),
    },
    # 16 4.2: configure and ask, but start and stop nothing.
    allowed_while_pending=frozenset(
        (
            "ChangeConfiguration",
            "ExtendedTriggerMessage",
            "GetConfiguration",
            "GetDiagnostics",
            "GetLog",
            "GetLocalListVersion",
            "InstallCertificate",
            "Reset",
            "SendLocalList",
            "SignedUpdateFirmware",
            "TriggerMessage",
            "UpdateFirmware",
        )
    ),
    results={
        "ChangeConfiguration": read_change,
        "GetConfiguration": read_configuration,
    },
    told={**TOLD, ChangeCredential: lambda payload, _context: answer_status(payload, None)},
)
