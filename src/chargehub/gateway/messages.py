"""Messages that mean the same in every OCPP version: rows for a translator's tables. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from chargehub.gateway.fields import Fields, notice
from chargehub.gateway.translation import Context, InboundMessage, Payload, Report, Request
from chargehub.kit.datetimes import format_datetime
from chargehub.ocpp import ResultRefused
from chargehub.stations.commands import CancelReservation, ClearCache
from chargehub.stations.reports import ConnectorStatus, NoticeReported, RegistrationStatus

CONNECTOR_STATUSES = {status.value: status for status in ConnectorStatus}

RETRY_INTERVAL_S = 300
"""When a station whose boot could not be read may try again."""


def answer_nothing(_replies: Sequence[Any], _now: datetime) -> Payload:
    return {}


def answer_boot(replies: Sequence[Any], now: datetime) -> Payload:
    status, interval_s = RegistrationStatus.REJECTED, RETRY_INTERVAL_S
    if replies:
        status, interval_s = replies[0].status, replies[0].interval_s
    return {"currentTime": format_datetime(now), "interval": interval_s, "status": status.value}


def _answer_heartbeat(_replies: Sequence[Any], now: datetime) -> Payload:
    return {"currentTime": format_datetime(now)}


HEARTBEAT = InboundMessage(lambda _payload, _context: (), _answer_heartbeat)


def read_notice(kind: str) -> Callable[[Payload, Context], Sequence[Report]]:
    def read(payload: Payload, context: Context) -> Sequence[Report]:
        at = Fields(payload).moment("timestamp", context.received_at)
        return (notice(kind, payload, context, at),)

    return read


def kept_as(kind: str) -> InboundMessage:
    """Make the row of a message that is kept and acknowledged as it is."""
    return InboundMessage(read_notice(kind), answer_nothing)


DATA_TRANSFER = InboundMessage(
    read_notice("DataTransfer"),
    # 16 4.3, P02.FR.05-07: no vendor's extension is known here, so no data is answered either.
    lambda _replies, _now: {"status": "UnknownVendorId"},
)


def refused_answer(refusal: ResultRefused, context: Context) -> NoticeReported:
    """Keep that a station could not process an answer of ours."""
    kept = {
        "action": refusal.action,
        "code": str(refusal.code)[:50],
        "description": refusal.description[:255],
        "details": refusal.details,
    }
    return notice("AnswerRefused", kept, context)


def encode_cancel_reservation(command: CancelReservation) -> Request:
    return Request("CancelReservation", {"reservationId": command.reservation_id})


def encode_clear_cache(_command: ClearCache) -> Request:
    return Request("ClearCache", {})
