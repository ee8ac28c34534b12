"""How a call of ours ends for whoever waits for it: with an answer or a domain error. Pure."""

from __future__ import annotations

import asyncio

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
