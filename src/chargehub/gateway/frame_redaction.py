"""Frames without their secrets: what the frame log may keep of a text. Pure.

By structure where the text can be read, and only for messages that can carry a secret at all; a
text that cannot be read is kept as far as nothing in it speaks of one.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from typing import Any

from chargehub.kit.secrets import REDACTED, hide_in_text, mentions_secret, only_words, redacted
from chargehub.ocpp import load_json

# Of these the schemas leave a secret no place, but those that a telltale gives away.
_PLAIN = frozenset(
    {
        "Authorize",
        "BootNotification",
        "Heartbeat",
        "MeterValues",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
        "TransactionEvent",
    }
)
# A PIN, what is added to a token, a vendor's own fields, a URL; and an escape, which could spell
# any of them another way.
_TELLTALES = ("KeyCode", "additionalInfo", "customData", "://", "\\")

_SIGNED = "-Signed"
_HEAD = re.compile(r'\s*\[\s*\d{1,2}\s*,\s*"[^"\\]{0,255}"\s*,(?:\s*"[A-Za-z0-9-]{1,60}"\s*,)?')
# In a torn text the name that makes a value a secret may be missing: of the fields that can hold
# one, the value is hidden anyway.
_DOUBTFUL = re.compile(r'("(?:idToken|value|attributeValue|actualValue)"\s*:\s*")[^"]*')


def is_plain(action: str, text: str) -> bool:
    """Tell whether a text that keeps to its action's schema can be kept as it is.

    Cheap, because it is asked for every frame.
    """
    if action not in _PLAIN:
        return False
    for telltale in _TELLTALES:  # noqa: SIM110 - `any` costs three times that
        if telltale in text:
            return False
    return True


def without_secrets(text: str | bytes) -> str:
    """Return a frame's text as it may be kept: itself, where there is nothing to hide."""
    if isinstance(text, bytes):
        return _torn(text.decode("utf-8", "replace"))
    try:
        message = load_json(text)
    except ValueError:
        return _torn(text)
    kept = _unsealed(redacted(message))
    if kept == message:
        return text
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def without_echo(text: str) -> str:
    """Return the answer to a call with a secret in it: a station may repeat that under any name."""
    try:
        message = load_json(text)
    except ValueError:
        return _torn(text)
    if not isinstance(message, list) or len(message) < 3:
        return _torn(text)
    # An error's code is a word of the standard, what follows it is the station's own.
    kind, message_id, told, *more = message
    shown = [kind, message_id, told if kind == 4 else only_words(told), *only_words(more)]
    return json.dumps(redacted(shown), ensure_ascii=False, separators=(",", ":"))


def _unsealed(message: Any) -> Any:
    """Hide the sealed content of a signed message that has a secret in it (P4 7.1)."""
    match message:
        case [int(kind), str(message_id), str(action), dict(sealed), *_] if action.endswith(
            _SIGNED
        ):
            if _is_harmless(sealed.get("payload")):
                return message
            return [kind, message_id, action, {**sealed, "payload": REDACTED}]
        case _:
            return message


def _is_harmless(sealed: object) -> bool:
    if not isinstance(sealed, str):
        return sealed is None
    try:
        inner = load_json(urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)).decode())
    except ValueError:
        return False
    return bool(redacted(inner) == inner)


def _torn(text: str) -> str:
    """Keep of a text that is no JSON what cannot be a secret."""
    if mentions_secret(text):
        head = _HEAD.match(text)
        return (head.group() if head else "") + REDACTED
    return _DOUBTFUL.sub(rf"\1{REDACTED}", hide_in_text(text))
