"""How a call of ours ends for whoever waits for it: with an answer or a domain error. Pure."""

from __future__ import annotations

import asyncio

from chargehub.gateway.device_model import written_status
from chargehub.gateway.translation import Payload
from chargehub.ocpp import CallFailed, ErrorCode, FailureReason
from chargehub.stations.commands import (
    CommandAnswer,
    StationAnswerError,
    StationOffline,
    StationTimeout,
    UnsupportedByStation,
)


def resolve(done: asyncio.Future[CommandAnswer] | None, answer: CommandAnswer) -> None:
    if done is not None and not done.done():
        done.set_result(answer)


def answer_status(payload: Payload, asked: Payload | None) -> str | None:
    """Return the status word of a station's answer to `asked`, whatever the version.

    Of an answer with a word for each variable it is all the words there are for those that were
    asked for; None where one has none, because nobody knows what became of it.
    """
    if "setVariableResult" in payload:
        return written_status(payload, asked)
    status = payload.get("status")
    return status if isinstance(status, str) else None


def failure_of(failed: CallFailed) -> Exception:
    match failed.reason:
        case FailureReason.TIMED_OUT:
            return StationTimeout(sent=failed.sent)
        case FailureReason.CONNECTION_CLOSED:
            return StationOffline("The connection ended before the answer.", sent=failed.sent)
        case FailureReason.ANSWERED_WITH_ERROR:
            facts = {"station_error": str(failed.code), "station_detail": failed.description[:255]}
            if failed.code in {ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED}:
                return UnsupportedByStation(**facts)
            return StationAnswerError(f"The station answered {failed.code}.", **facts)
