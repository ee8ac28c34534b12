"""OCPP 2.1 as additions to 2.0.1: longer idTokens, what events tell more, the one-way stream. Pure.

What is not here is read and worded as in `translate_v201`; the schemas are 2.1's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from chargehub.gateway.encode_v201 import encode_reserve, encode_start
from chargehub.gateway.fields import Fields, notice
from chargehub.gateway.messages import read_notice
from chargehub.gateway.translate_v201 import TRANSLATOR as TRANSLATOR_OF_2_0_1
from chargehub.gateway.translate_v201 import (
    answer_authorize,
    answer_transaction,
    read_authorize,
    read_transaction,
)
from chargehub.gateway.translation import Context, InboundMessage, Payload, Report
from chargehub.kit.clean import clean_json
from chargehub.stations.commands import RequestStartTransaction, ReserveNow

ID_TOKEN_LIMIT = 255
"""IdTokenType of 2.1; 36 before. Its type is free text now, of 20 characters as before."""

_MORE_OF_THE_EVENT = ("costDetails", "evseSleep", "preconditioningStatus")
_MORE_OF_THE_TRANSACTION = ("operationMode", "tariffId", "transactionLimit")


def _read_transaction(payload: Payload, context: Context) -> Sequence[Report]:
    """Keep what only 2.1 tells, as it came; nothing is decided by it yet.

    So the cost that a station reckoned (I12), its tariff and its limits (E16) can be looked up.
    """
    more = {name: payload[name] for name in _MORE_OF_THE_EVENT if name in payload}
    info = payload.get("transactionInfo")
    if isinstance(info, dict):
        of_transaction = {name: info[name] for name in _MORE_OF_THE_TRANSACTION if name in info}
        if of_transaction:
            more["transactionInfo"] = of_transaction
    return read_transaction(payload, context, clean_json(more) if more else None)


def _read_event_stream(payload: Payload, context: Context) -> Sequence[Report]:
    """N15: without its monitor (N15.FR.03) a value has no name yet, so the stream is a notice."""
    at = Fields(payload).moment("basetime", context.received_at)
    return (notice("NotifyPeriodicEventStream", payload, context, at),)


def _answer_pull(_replies: Sequence[Any], _now: datetime) -> Payload:
    """K28.FR.12: no profile of ours is Dynamic, so none has an update to pull."""
    return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidProfile"}}


TRANSLATOR = TRANSLATOR_OF_2_0_1.extended(
    inbound={
        "Authorize": InboundMessage(
            read_authorize, partial(answer_authorize, id_token_limit=ID_TOKEN_LIMIT)
        ),
        "TransactionEvent": InboundMessage(
            _read_transaction,
            partial(answer_transaction, id_token_limit=ID_TOKEN_LIMIT),
            tolerant=True,
        ),
        "NotifyPeriodicEventStream": InboundMessage(_read_event_stream, answer=None),
        "PullDynamicScheduleUpdate": InboundMessage(
            read_notice("PullDynamicScheduleUpdate"), _answer_pull
        ),
    },
    encoders={
        RequestStartTransaction: partial(encode_start, id_token_limit=ID_TOKEN_LIMIT),
        ReserveNow: partial(encode_reserve, id_token_limit=ID_TOKEN_LIMIT),
    },
)
