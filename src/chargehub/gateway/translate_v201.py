"""OCPP 2.0.1 to version-free words, which are its own; `encode_v201` is the way back. Pure.

OCPP 2.1 is this table extended (`translate_v21`). What is decided about a report is the features'
business.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chargehub.authorization.decision import Authorization
from chargehub.gateway.device_model import read_report, read_variable_results, read_write_results
from chargehub.gateway.encode_v201 import CENTRAL, ENCODERS, ID_TOKEN_LIMIT
from chargehub.gateway.fields import (
    MAX_INT16,
    MAX_INT63,
    Fields,
    flagged_notice,
    message_flags,
    notice,
    reading_flags,
)
from chargehub.gateway.messages import (
    CONNECTOR_STATUSES,
    DATA_TRANSFER,
    HEARTBEAT,
    answer_boot,
    answer_nothing,
    kept_as,
)
from chargehub.gateway.profiles_v201 import INBOUND as PROFILES_INBOUND
from chargehub.gateway.profiles_v201 import TOLD
from chargehub.gateway.translation import (
    Context,
    InboundMessage,
    Payload,
    Report,
    Translator,
    Untranslatable,
)
from chargehub.kit.clean import clean_json, content_hash
from chargehub.kit.datetimes import format_datetime
from chargehub.reservations.reports import ReservationStatusReported
from chargehub.stations.commands import ChangeCredential
from chargehub.stations.reports import (
    BootReported,
    ConnectorStatus,
    StatusReported,
)
from chargehub.telemetry.meter_values import read_meter_values, read_timestamp
from chargehub.transactions.reports import (
    AuthorizeRequested,
    EventKind,
    IdToken,
    SamplesReported,
    TransactionReported,
)


def _read_boot(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    station = fields.child("chargingStation")
    modem = station.child("modem")
    vendor, model = station.text("vendorName"), station.text("model")
    if vendor is None or model is None:
        raise Untranslatable("a boot needs a vendor and a model")
    return (
        BootReported(
            station_id=context.station_id,
            received_at=context.received_at,
            vendor=vendor,
            model=model,
            serial_number=station.filled("serialNumber"),
            firmware_version=station.filled("firmwareVersion"),
            iccid=modem.filled("iccid"),
            imsi=modem.filled("imsi"),
            reason=fields.filled("reason", 50),
        ),
        *flagged_notice("BootNotification", payload, context),
    )


def _read_status(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    evse_no = fields.whole("evseId", high=MAX_INT16)
    connector_no = fields.whole("connectorId", high=MAX_INT16)
    word = fields.text("connectorStatus", 50)
    if evse_no is None or word is None:
        raise Untranslatable("a status needs an EVSE and a status word")
    return (
        StatusReported(
            station_id=context.station_id,
            received_at=context.received_at,
            evse_no=evse_no,
            connector_no=min(evse_no, 1) if connector_no is None else connector_no,
            status=CONNECTOR_STATUSES.get(word, ConnectorStatus.UNKNOWN),
            at=fields.moment("timestamp", context.received_at),
        ),
        *flagged_notice("StatusNotification", payload, context),
    )


def _read_event(payload: Payload, context: Context) -> Sequence[Report]:
    """H01.FR.20/23: AvailabilityState is a status; anything else makes the message a notice."""
    fields = Fields(payload)
    reports: list[Report] = []
    events = fields.children("eventData")
    for event in events:
        status = _availability(event, context)
        if status is not None:
            reports.append(status)
    if len(reports) < len(events) or not events or not context.valid:
        at = fields.moment("generatedAt", context.received_at)
        reports.append(notice("NotifyEvent", payload, context, at))
    return reports


def _availability(event: Fields, context: Context) -> StatusReported | None:
    if event.child("variable").text("name") != "AvailabilityState":
        return None
    component = event.child("component")
    status = CONNECTOR_STATUSES.get(event.text("actualValue", 50) or "")
    evse = component.child("evse")
    evse_no = evse.whole("id", high=MAX_INT16) or 0
    name = component.text("name")
    if status is None or name not in _AVAILABILITY_COMPONENTS:
        return None
    if evse_no == 0 and name != "ChargingStation":
        return None
    connector_no = evse.whole("connectorId", high=MAX_INT16)
    return StatusReported(
        station_id=context.station_id,
        received_at=context.received_at,
        evse_no=evse_no,
        connector_no=min(evse_no, 1) if connector_no is None else connector_no,
        status=status,
        at=event.moment("timestamp", context.received_at),
        error_code=event.filled("techCode", 50),
        info=event.filled("techInfo", 500),
    )


_AVAILABILITY_COMPONENTS = frozenset(("ChargingStation", "EVSE", "Connector"))


def read_authorize(payload: Payload, context: Context) -> Sequence[Report]:
    token = _id_token(Fields(payload))
    if token is None:
        raise Untranslatable("an Authorize needs an idToken")
    return (AuthorizeRequested(context.station_id, context.received_at, token),)


def answer_authorize(
    replies: Sequence[Any], _now: datetime, id_token_limit: int = ID_TOKEN_LIMIT
) -> Payload:
    if not replies:
        return {"idTokenInfo": {"status": "Invalid"}}
    return {"idTokenInfo": _id_token_info(replies[0], id_token_limit)}


def read_transaction(
    payload: Payload, context: Context, kept: Payload | None = None
) -> Sequence[TransactionReported]:
    """Read an event; `kept` is what of it is stored as it came, when nothing is wrong with it."""
    fields = Fields(payload)
    transaction = fields.child("transactionInfo")
    evse = fields.child("evse")
    ref = transaction.filled("transactionId")
    if ref is None:
        raise Untranslatable("a transaction event needs a transaction")
    at, flags = read_timestamp(fields.raw("timestamp"), context.received_at)
    kind = _EVENT_KINDS.get(fields.text("eventType", 50) or "")
    evse_no = evse.whole("id", high=MAX_INT16)
    connector_no = evse.whole("connectorId", high=MAX_INT16)
    token = _id_token(fields)
    seq_no = fields.whole("seqNo", high=MAX_INT63)
    trigger, reservation_id = fields.filled("triggerReason", 50), fields.whole("reservationId")
    charging_state = transaction.filled("chargingState", 50)
    stopped_reason = transaction.filled("stoppedReason", 50)
    remote_start_id = transaction.whole("remoteStartId")
    offline = fields.truth("offline")
    fields.dropped = fields.dropped or transaction.dropped or evse.dropped or kind is None
    flags |= message_flags(fields, context)
    readings = read_meter_values(
        fields.raw("meterValue"), context.received_at, reading_flags(context)
    )
    return (
        TransactionReported(
            station_id=context.station_id,
            received_at=context.received_at,
            # What no kind can be read from may neither begin nor end anything.
            kind=kind or EventKind.UPDATED,
            at=at,
            transaction_ref=ref,
            evse_no=evse_no,
            connector_no=connector_no,
            id_token=token,
            readings=readings,
            seq_no=seq_no,
            trigger=trigger,
            charging_state=charging_state,
            stopped_reason=stopped_reason,
            offline=offline,
            remote_start_id=remote_start_id,
            reservation_id=reservation_id,
            flags=flags,
            raw=clean_json(payload) if flags else kept,
            content_hash=_event_hash(payload),
        ),
    )


_EVENT_KINDS = {kind.value: kind for kind in EventKind}


def _event_hash(payload: Payload) -> int:
    """Hash the event without `offline`, which a station may set on the replay alone."""
    if "offline" not in payload:
        return content_hash(payload)
    return content_hash({name: value for name, value in payload.items() if name != "offline"})


def answer_transaction(
    replies: Sequence[Any], _now: datetime, id_token_limit: int = ID_TOKEN_LIMIT
) -> Payload:
    # E01.FR.11/12: an idTokenInfo only for an idToken.
    authorization = replies[0].authorization if replies else None
    if authorization is None:
        return {}
    return {"idTokenInfo": _id_token_info(authorization, id_token_limit)}


def _read_meter_values(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    evse_no = fields.whole("evseId", high=MAX_INT16)
    readings = read_meter_values(
        fields.raw("meterValue"), context.received_at, reading_flags(context)
    )
    if evse_no is None or not readings:
        raise Untranslatable("meter values need an EVSE and a value")
    return (
        SamplesReported(context.station_id, context.received_at, evse_no, readings),
        *flagged_notice("MeterValues", payload, context),
    )


def _read_credential_word(payload: Payload, _context: Context) -> str | None:
    """Read what the answer to SetVariables says of its one variable."""
    results = Fields(payload).children("setVariableResult")
    return results[0].text("attributeStatus", 50) if len(results) == 1 else None


def _read_reservation(payload: Payload, context: Context) -> Sequence[Report]:
    fields = Fields(payload)
    reservation_id = fields.whole("reservationId")
    status = fields.filled("reservationUpdateStatus", 50)
    if reservation_id is None or status is None:
        raise Untranslatable("a reservation update needs a reservation and a status")
    return (
        ReservationStatusReported(context.station_id, context.received_at, reservation_id, status),
    )


def _id_token(fields: Fields) -> IdToken | None:
    """Read what was presented; an idToken that cannot be read was presented all the same."""
    if not fields.has("idToken"):
        return None
    bare = isinstance(fields.raw("idToken"), str)
    token = fields if bare else fields.child("idToken")
    text = token.text("idToken")
    if bare:
        fields.dropped = True
        return IdToken(text or "")
    if text is None:
        fields.dropped = True
    return IdToken(text or "", token.filled("type", 20))


def _id_token_info(authorization: Authorization, id_token_limit: int) -> Payload:
    info: Payload = {"status": authorization.status.value}
    if authorization.cache_expires_at is not None:
        info["cacheExpiryDateTime"] = format_datetime(authorization.cache_expires_at)
    group = authorization.group_id_token
    if group and len(group) <= id_token_limit:
        info["groupIdToken"] = {"idToken": group, "type": CENTRAL}  # C09.FR.09/12/13
    if authorization.evse_nos:
        info["evseId"] = list(authorization.evse_nos)  # C01.FR.20
    return info


_INBOUND = {
    "Authorize": InboundMessage(read_authorize, answer_authorize),
    # A field too long must not keep a station off the hub.
    "BootNotification": InboundMessage(_read_boot, answer_boot, tolerant=True),
    "DataTransfer": DATA_TRANSFER,
    "FirmwareStatusNotification": kept_as("FirmwareStatusNotification"),
    "Heartbeat": HEARTBEAT,
    "LogStatusNotification": kept_as("LogStatusNotification"),
    "MeterValues": InboundMessage(_read_meter_values, answer_nothing, tolerant=True),
    # What an operator's raw request asked for: shown as a station's notices.
    "NotifyCustomerInformation": kept_as("NotifyCustomerInformation"),
    "NotifyDisplayMessages": kept_as("NotifyDisplayMessages"),
    "NotifyEvent": InboundMessage(_read_event, answer_nothing),
    "NotifyMonitoringReport": kept_as("NotifyMonitoringReport"),
    "NotifyReport": InboundMessage(read_report, answer_nothing),
    "PublishFirmwareStatusNotification": kept_as("PublishFirmwareStatusNotification"),
    "ReservationStatusUpdate": InboundMessage(_read_reservation, answer_nothing),
    "SecurityEventNotification": kept_as("SecurityEventNotification"),
    "StatusNotification": InboundMessage(_read_status, answer_nothing, tolerant=True),
    "TransactionEvent": InboundMessage(read_transaction, answer_transaction, tolerant=True),
    **PROFILES_INBOUND,
}


TRANSLATOR = Translator(
    inbound=_INBOUND,
    encoders=ENCODERS,
    trigger_answers={
        "GetBaseReport": frozenset(("NotifyReport",)),
        "GetReport": frozenset(("NotifyReport",)),
        "TriggerMessage": frozenset(
            (
                "BootNotification",
                "FirmwareStatusNotification",
                "Heartbeat",
                "LogStatusNotification",
                "MeterValues",
                "PublishFirmwareStatusNotification",
                "SignCertificate",
                "StatusNotification",
                "TransactionEvent",
            )
        ),
    },
    # B02.FR.01: retrieve information (B06, B07, B08) and configure (B05); B02.FR.05: no start.
    allowed_while_pending=frozenset(
        (
            "GetBaseReport",
            "GetReport",
            "GetVariables",
            "SetNetworkProfile",
            "SetVariables",
            "TriggerMessage",
        )
    ),
    results={
        "GetVariables": read_variable_results,
        "SetVariables": read_write_results,
    },
    told={**TOLD, ChangeCredential: _read_credential_word},
)
