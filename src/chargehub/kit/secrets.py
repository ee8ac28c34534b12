"""What is a secret, by its name or its place, and copies of data without secrets. Pure.

For whatever outlives the moment: rows, log lines, answers that many people can read. It knows
names, URLs and the places where OCPP payloads carry secrets; free text it cannot judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

REDACTED = "(redacted)"
MAX_DEPTH = 64

_WORDS = (
    r"passw(or)?d|passphrase|secret|credential|cookie|csrf|apikey"
    r"|privatekey|presharedkey|vpnkey|simpin|wifikey|(session|access|refresh|bearer)token"
    r"|additionalidtoken"  # 2.x: what a driver adds to the card, a PIN among it.
)
_SECRET = re.compile(rf"{_WORDS}|authorization(key)?$|(^|wifi|wlan)psk$")
_MENTION = re.compile(rf"{_WORDS}|authorization|psk|keycode|vpn")
_SEPARATORS = re.compile(r"[^a-z0-9]+")
# A password may hold an `@` of its own, never a `/`.
_URL_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^/\s]+@")
_URL_PARAMETER = re.compile(
    r"([?&;][\w.-]*(?:passw(?:or)?d|secret|token|signature|credential|sig|api_?key)=)[^&;#\s]+",
    re.IGNORECASE,
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)

# PostgreSQL puts the row, or the key, that a constraint refuses into the error's detail.
_REFUSED_VALUES = re.compile(
    r"(Failing row contains |Key \([^=\n]*\)=)\(.*?\)(?=\.(?:\n|$)| already | is | conflicts )",
    re.DOTALL,
)

# ChangeConfiguration {key, value}, SetVariables {variable, attributeValue}, NotifyReport
# {variable, variableAttribute: [{value}]}, NotifyEvent {variable, actualValue}, our own {name:
# {component, variable}, value}: the value of what another field names.
_NAMING_FIELDS = ("key", "variable", "name")
_VALUE_FIELDS = frozenset({"value", "attributeValue", "actualValue"})

# A PIN typed at the station is an IdToken of this kind; all others are numbers of cards.
PIN_KIND = "KeyCode"
_TOKEN_FIELDS = (("idToken", "type"), ("id_token", "id_token_type"), ("id_token", "id_token_kind"))

# What an answer says in the standard's own words, and what it names.
_ANSWER_WORDS = frozenset(
    {"status", "attributeStatus", "reasonCode", "name", "instance", "attributeType"}
    | {"fileName", "filename"}
)


def is_secret_name(*path: str) -> bool:
    """Say whether what is known by this name, in the place before it, is a secret.

    The place matters where the name alone says too little: `vpn`, `key`.
    """
    name = _plain(path[-1])
    return bool(_SECRET.search(name) or (len(path) > 1 and _plain(path[-2]) + name == "vpnkey"))


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name.lower())


def hide_in_text(text: str) -> str:
    """Hide passwords and signatures of URLs, private keys, and rows that the database quotes."""
    if "DETAIL:" in text:
        text = _REFUSED_VALUES.sub(rf"\1{REDACTED}", text)
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(REDACTED, text)
    if "://" not in text:
        return text
    text = _URL_PASSWORD.sub(rf"\1{REDACTED}@", text)
    return _URL_PARAMETER.sub(rf"\1{REDACTED}", text)


def mentions_secret(text: str) -> bool:
    """Say whether a text that nobody could read may hold a secret: it speaks of one."""
    return _MENTION.search(_plain(text)) is not None


def shown_token(token: str | None, kind: str | None) -> str | None:
    """Return an IdToken as anybody may see it: a PIN is hidden."""
    return REDACTED if token and kind == PIN_KIND else token


def only_words(value: Any, name: str = "", *, max_depth: int = MAX_DEPTH) -> Any:
    """Copy a station's answer to a request with a secret in it, without what could repeat that.

    Under which name it does nobody knows: of its texts only the standard's own words stay.
    """
    if max_depth <= 0:
        return REDACTED
    if isinstance(value, Mapping):
        return {
            str(key): only_words(item, str(key), max_depth=max_depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [only_words(item, name, max_depth=max_depth - 1) for item in value]
    return REDACTED if isinstance(value, str) and name not in _ANSWER_WORDS else value


def redacted(value: Any, *, max_depth: int = MAX_DEPTH) -> Any:
    """Copy JSON-like data without its secrets."""
    return _copy(value, "", max_depth, names_secret=False)


def names_secret(value: Mapping[Any, Any]) -> bool:
    """Say whether an object names a secret whose value stands beside the name."""
    return any(is_secret_name(name) for name in _names_in(value))


def _names_in(value: Mapping[Any, Any]) -> Iterator[str]:
    for field in _NAMING_FIELDS:
        name = value.get(field)
        if isinstance(name, Mapping):
            name = name.get("name", name.get("variable"))
        if isinstance(name, str):
            yield name


def _copy(value: Any, place: str, depth: int, *, names_secret: bool) -> Any:
    if isinstance(value, str):
        return hide_in_text(value) if depth > 0 else REDACTED
    if isinstance(value, Mapping):
        return _copy_mapping(value, place, depth, inside_secret=names_secret)
    if isinstance(value, list | tuple):
        if depth <= 0:
            return REDACTED
        return [_copy(item, place, depth - 1, names_secret=names_secret) for item in value]
    return value


def _copy_mapping(
    value: Mapping[Any, Any], place: str, depth: int, *, inside_secret: bool
) -> dict[str, Any] | str:
    if depth <= 0:
        return REDACTED
    secret = inside_secret or names_secret(value)
    copy = {
        str(name): REDACTED
        if _hides(place, str(name), item, inside_secret=secret)
        else _copy(item, str(name), depth - 1, names_secret=secret)
        for name, item in value.items()
    }
    for token, kind in _TOKEN_FIELDS:
        if value.get(kind) == PIN_KIND and isinstance(value.get(token), str):
            copy[token] = REDACTED
    return copy


def _hides(place: str, name: str, item: Any, *, inside_secret: bool) -> bool:
    if item is None or isinstance(item, bool):
        return False
    return (inside_secret and name in _VALUE_FIELDS) or is_secret_name(place, name)
