"""One connection's part of the frame log: every frame, with what the session made of it.

Runs for every message: what a frame is comes from the session's event, so no text is read again
but those that can hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from chargehub.frame_log.log import FrameLog
from chargehub.frame_log.store import INBOUND, OUTBOUND
from chargehub.gateway.frame_redaction import is_plain, without_echo, without_secrets
from chargehub.kit.clean import clean_text
from chargehub.ocpp import CALL, CALL_RESULT, CallReceived, Event, OcppVersion, OutboundFrame

_MESSAGE_TYPE = re.compile(r"\s*\[\s*(\d{1,4})\s*[,\]]")
_ACTION_MAX = 100


class FrameRecorder:
    __slots__ = ("_count", "_epoch", "_log", "_protocol", "_secret_call", "_station_id", "_version")

    def __init__(
        self, frame_log: FrameLog, station_id: int, epoch: int, version: OcppVersion
    ) -> None:
        self._log = frame_log
        self._station_id = station_id
        self._epoch = epoch
        self._version = version
        self._protocol = version.value
        self._count = 0
        # One call of ours is in flight: the id of the last that had a secret in it.
        self._secret_call: str | None = None

    def received(self, text: str | bytes, event: Event, at: datetime) -> None:
        """Log a frame of the station before anything is done about it."""
        action = getattr(event, "action", "")  # An ignored frame has none.
        message_id = event.message_id
        if self._secret_call is not None and message_id == self._secret_call:
            shown = without_echo(str(text))
        elif (
            type(event) is CallReceived
            and event.violation is None
            and not event.signed
            and is_plain(action, str(text), self._version)
        ):
            shown = str(text)
        else:
            shown = without_secrets(text)
        self._count += 1
        self._log.add(
            at,
            self._station_id,
            self._epoch,
            self._count,
            CALL if shown.startswith("[2,") else _message_type(shown),
            INBOUND,
            self._protocol,
            _storable(message_id),
            action[:_ACTION_MAX] or None,
            shown,
        )

    def sent(self, frames: Iterable[OutboundFrame], at: datetime) -> None:
        """Log frames of ours as they leave; a socket that ends now may still swallow them."""
        for text, message_type, message_id, action in frames:
            shown = text
            if message_type > CALL_RESULT or not is_plain(action, text, self._version):
                shown = without_secrets(text)
                if message_type == CALL and shown != text:
                    self._secret_call = message_id
            self._count += 1
            self._log.add(
                at,
                self._station_id,
                self._epoch,
                self._count,
                message_type,
                OUTBOUND,
                self._protocol,
                _storable(message_id),
                action[:_ACTION_MAX] or None,
                shown,
            )


def _storable(message_id: str | None) -> str | None:
    """A call is answered under exactly its id, which need not be text that PostgreSQL takes."""
    return None if message_id is None else clean_text(message_id)


def _message_type(text: str) -> int | None:
    found = _MESSAGE_TYPE.match(text)
    return int(found[1]) if found else None
