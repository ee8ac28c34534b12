"""Frames without their secrets: what the frame log may keep of a text. Pure.

By structure where the text can be read, and only where it speaks of a secret at all; a text that
cannot be read is kept as far as nothing in it does. Runs on the event loop, so no text, however
large and however made, takes long.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from typing import Any

import orjson

from chargehub.kit.secrets import (
    PIN_KIND,
    REDACTED,
    hide_in_text,
    may_hold_secret,
    mentions_secret,
    names_secret,
    only_words,
    redacted,
)
from chargehub.ocpp import OcppVersion, load_json

# Of these the schemas leave a secret no place, but those that a telltale gives away.
PLAIN = frozenset(
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
# What is added to a token, and a vendor's own fields: the schemas of 1.6 have neither.
_ADDED = ("additionalInfo", "customData")
# Only beside it can a PIN's kind stand, in any case.
_BESIDE_A_KIND = '"idToken"'

WALKED_MAX = 16_384
"""Characters that are looked through value by value, at less than a microsecond each."""
FIELDS_MAX, BLOCKS, ITEMS_MAX = 20, 32, 1_000
"""Of a larger message: fields, blocks of a list, and items of blocks that speak of a secret."""

_SIGNED = "-Signed"
_HEAD = re.compile(r'\s*\[\s*\d{1,2}\s*,\s*"[^"\\]{0,255}"\s*,(?:\s*"[A-Za-z0-9-]{1,60}"\s*,)?')
# In a torn text the name that makes a value a secret may be missing: of the fields that can hold
# one, the value is hidden anyway.
_DOUBTFUL = re.compile(r'("(?:idToken|value|attributeValue|actualValue)"\s*:\s*")[^"]*')


def is_plain(action: str, text: str, version: OcppVersion) -> bool:
    """Tell whether a text that keeps to its action's schema can be kept as it is.

    Cheap, because it is asked for every frame.
    """
    if action not in PLAIN:
        return False
    # An escape could spell anything another way. One character is found ten times as fast as more.
    if "\\" in text or ("/" in text and "://" in text):
        return False
    if version is OcppVersion.V16:
        return True
    for added in _ADDED:  # `any` costs three times that.
        if added in text:
            return False
    return _BESIDE_A_KIND not in text or PIN_KIND not in text.lower()


def without_secrets(text: str | bytes) -> str:
    """Return a frame's text as it may be kept: itself, where there is nothing to hide."""
    if isinstance(text, bytes):
        return _torn(text.decode("utf-8", "replace"))
    try:
        message = load_json(text)
    except ValueError:
        return _torn(text)
    bare, scanned, harmless = message, text, True
    sealed = _sealed_in(message)
    if sealed is not None:  # Its content is judged by itself.
        bare = [*message[:3], {**sealed, "payload": None}, *message[4:]]
        scanned, harmless = _dump(bare), _is_harmless(sealed["payload"])
    if harmless and not _speaks(scanned, bare):
        return text
    kept = redacted(bare) if len(scanned) <= WALKED_MAX else _walked_in_parts(bare)
    if kept is None:
        return _head(text)
    if sealed is not None:
        kept[3]["payload"] = sealed["payload"] if harmless else REDACTED
    return text if kept == message else _dump(kept)


def _dump(message: Any) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _speaks(text: str, value: Any) -> bool:
    """Say whether a JSON text may hold a secret; `value` is what was read of it."""
    if "\\" not in text:
        return may_hold_secret(text)
    try:
        resolved = orjson.dumps(value)
    except TypeError:  # A number that needs more than 64 bits.
        return True
    for escape in (b'\\"', b"\\n", b"\\r", b"\\t"):
        resolved = resolved.replace(escape, b" ")
    return b"\\" in resolved or may_hold_secret(resolved.decode())


def _walked_in_parts(message: Any) -> Any:
    """Look through the parts of a large message that speak of a secret; None: too much does.

    Reports are long lists, and of their items a few name a secret.
    """
    if not isinstance(message, list) or not message or not isinstance(message[-1], dict):
        return None
    payload = message[-1]
    chosen = _chosen_places(payload)
    if chosen is None:
        return None
    part = {
        name: [value[place] for place in chosen[name]] if name in chosen else value
        for name, value in payload.items()
        if name in chosen or mentions_secret(name) or _item_speaks(value)
    }
    try:
        if len(orjson.dumps([*message[:-1], part])) > WALKED_MAX:
            return None
    except TypeError:
        return None
    *before, found = redacted([*message[:-1], part])
    kept = {name: found.get(name, value) for name, value in payload.items()}
    for name, places in chosen.items():
        kept[name] = list(payload[name])
        for place, item in zip(places, found[name], strict=True):
            kept[name][place] = item
    return [*before, kept]


def _chosen_places(payload: dict[str, Any]) -> dict[str, list[int]] | None:
    """Return of each list where the items are that speak of a secret; None: too many do.

    A list is left out whose name, or whose neighbours, may make secrets of its items.
    """
    if len(payload) > FIELDS_MAX or names_secret(payload):
        return None
    chosen = {}
    left = ITEMS_MAX
    for name, value in payload.items():
        if isinstance(value, list) and not mentions_secret(name):
            chosen[name], looked_at = _spoken_places(value, left)
            left -= looked_at
            if left < 0:
                return None
    return chosen


def _spoken_places(items: list[Any], most: int) -> tuple[list[int], int]:
    """Return where the items are that speak of a secret, and how many were looked at singly.

    It ends where that is more than `most`.
    """
    size = max(1, len(items) // BLOCKS)
    places: list[int] = []
    looked_at = 0
    for begin in range(0, len(items), size):
        block = items[begin : begin + size]
        if not _item_speaks(block):
            continue
        looked_at += len(block)
        if looked_at > most:
            break
        places += [begin + place for place, item in enumerate(block) if _item_speaks(item)]
    return places, looked_at


def _item_speaks(item: Any) -> bool:
    try:
        text = orjson.dumps(item).decode()
    except TypeError:
        return True
    return _speaks(text, item)


def without_echo(text: str) -> str:
    """Return the answer to a call with a secret in it: a station may repeat that under any name."""
    if len(text) > WALKED_MAX:
        return _head(text)
    try:
        message = load_json(text)
    except ValueError:
        return _torn(text)
    if not isinstance(message, list) or len(message) < 3:
        return _torn(text)
    # An error's code is a word of the standard, what follows it is the station's own.
    kind, message_id, told, *more = message
    shown = [kind, message_id, told if kind == 4 else only_words(told), *only_words(more)]
    return _dump(redacted(shown))


def _sealed_in(message: Any) -> dict[str, Any] | None:
    """Return the envelope of a signed message that has something in it (P4 7.1)."""
    match message:
        case [int(), str(), str(action), dict(sealed), *_] if action.endswith(_SIGNED):
            return sealed if sealed.get("payload") is not None else None
        case _:
            return None


def _is_harmless(sealed: object) -> bool:
    if not isinstance(sealed, str):
        return False
    try:
        text = urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)).decode()
        inner = load_json(text)
    except ValueError:
        return False
    if not _speaks(text, inner):
        return True
    return len(text) <= WALKED_MAX and bool(redacted(inner) == inner)


def _torn(text: str) -> str:
    """Keep of a text that is no JSON what cannot be a secret."""
    if mentions_secret(text) or (len(text) > WALKED_MAX and may_hold_secret(text)):
        return _head(text)
    return _DOUBTFUL.sub(rf"\1{REDACTED}", hide_in_text(text))


def _head(text: str) -> str:
    """Keep of a text type, id and action."""
    head = _HEAD.match(text)
    return (head.group() if head else "") + REDACTED
