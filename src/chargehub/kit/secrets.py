"""What is a secret, by its name or its place, and copies of data without secrets. Pure.

For whatever outlives the moment: rows, log lines, answers that many people can read. It knows
names, URLs and the places where OCPP payloads carry secrets; of free text it knows `password=...`
and `Authorization: Basic ...`, and cannot judge the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

REDACTED = "(redacted)"
MAX_DEPTH = 64

# By themselves a secret's name, or a part of it.
_WORDS = (
    *("password", "passwd", "passphrase", "pwd", "secret", "credential", "cookie", "csrf"),
    *("apikey", "privatekey", "presharedkey", "vpnkey", "simpin", "wifikey"),
    *("sessiontoken", "accesstoken", "refreshtoken", "bearertoken"),
    "additionalidtoken",  # 2.x: what a driver adds to the card, a PIN among it.
)
_SECRET = re.compile(rf"{'|'.join(_WORDS)}|authorization(key)?$|(^|wifi|wlan)psk$")
_MENTIONS = (*_WORDS, "authorization", "psk", "keycode", "vpn")
_NO_PART_OF_A_NAME = bytes(
    code for code in range(256) if not (chr(code).isascii() and chr(code).isalnum())
)
_URL = re.compile(r'://[^\s"]+')
# A password may hold an `@` of its own and, though it should not, a `/`: what ends it is the last
# `@`. A number with a path behind it is a port.
_URL_USER = re.compile(r"://[^:/@]*:(?!\d{1,5}(?:[/?#]|$))")
_URL_PARAMETER = re.compile(
    r"([?&;][\w.-]{0,64}?"
    r"(?:passw(?:or)?d|pwd|secret|token|signature|credential|sig|api_?key)=)[^&;#\s]+",
    re.IGNORECASE,
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)

# A name and its value in free text, a vendor's or a log's. Each part is short, so that no text is
# searched more than once.
_TOLD = re.compile(
    r"((?:passw(?:or)?d|passphrase|pwd|secret|api[ _-]?key|authorization[ _-]?key)"
    r"[\"']?\s{0,3}[:=]\s{0,3}[\"']?|authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?"
    r"(?:basic|bearer|digest)\s{1,3})(?!\(redacted\))[^\s\"',;&]+",
    re.IGNORECASE,
)

# PostgreSQL puts the row, or the key, that a constraint refuses into the error's detail.
_REFUSED_VALUES = re.compile(
    r"(Failing row contains |Key \([^=\n]{0,500}\)=)"
    # To the end, where its own end is missing: so no text is searched more than once.
    r"\(.*?(?:\)(?=\.(?:\n|$)| already | is | conflicts )|\Z)",
    re.DOTALL,
)

# ChangeConfiguration {key, value}, SetVariables {variable, attributeValue}, NotifyReport
# {variable, variableAttribute: [{value}]}, NotifyEvent {variable, actualValue}, our own {name:
# {component, variable}, value}: the value of what another field names.
_NAMING_FIELDS = ("key", "variable", "name")
_VALUE_FIELDS = frozenset({"value", "attributeValue", "actualValue"})

# A PIN typed at the station is an IdToken of this kind; all others are numbers of cards.
# Stations differ in case.
PIN_KIND = "keycode"
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
    """Return the letters and digits of a name, as fast as a large text needs it."""
    return name.lower().encode("utf-8", "replace").translate(None, _NO_PART_OF_A_NAME).decode()


def hide_in_text(text: str) -> str:
    """Hide what is known as a secret in a text.

    That is passwords and signatures of URLs, private keys, rows that the database quotes, and what
    follows a secret's name. Whatever the text, the time it takes grows with its length and no
    faster.
    """
    if "DETAIL:" in text:
        text = _REFUSED_VALUES.sub(rf"\1{REDACTED}", text)
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(REDACTED, text)
    if "://" in text:
        if "@" in text:
            text = _URL.sub(_without_password, text)
        text = _URL_PARAMETER.sub(rf"\1{REDACTED}", text)
    if (":" in text or "=" in text) and mentions_secret(text):
        text = _TOLD.sub(rf"\1{REDACTED}", text)
    return text


def _without_password(url: re.Match[str]) -> str:
    before, at, host = url.group().rpartition("@")
    user = _URL_USER.search(before)
    if not at or user is None or user.end() == len(before):
        return url.group()
    return f"{before[: user.end()]}{REDACTED}@{host}"


def mentions_secret(text: str) -> bool:
    """Say whether a text may hold a secret by a name: it speaks of one."""
    plain = _plain(text)
    return any(word in plain for word in _MENTIONS)


def may_hold_secret(text: str) -> bool:
    """Say, at little cost, whether `redacted` might find a secret in JSON of this text.

    Escapes can spell anything another way; whoever asks has resolved them.
    """
    return any(word in text for word in ("://", "DETAIL:")) or mentions_secret(text)


def is_pin(kind: object) -> bool:
    """Say whether an IdToken of this kind is a PIN."""
    return isinstance(kind, str) and kind.lower() == PIN_KIND


def shown_token(token: str | None, kind: str | None) -> str | None:
    """Return an IdToken as anybody may see it: a PIN is hidden."""
    return REDACTED if token and is_pin(kind) else token


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
        return _copy_text(value, depth)
    if isinstance(value, Mapping):
        return _copy_mapping(value, place, depth, inside_secret=names_secret)
    if isinstance(value, list | tuple):
        if depth <= 0:
            return REDACTED
        return [_copy(item, place, depth - 1, names_secret=names_secret) for item in value]
    return value


def _copy_text(text: str, depth: int) -> str:
    """Copy a text, or what it is the JSON of: vendors put objects into strings (DataTransfer)."""
    if depth <= 0:
        return REDACTED
    if text.lstrip()[:1] in {"{", "["} and (mentions_secret(text) or "\\" in text):
        try:
            inner = orjson.loads(text)
        except ValueError:
            return REDACTED if mentions_secret(text) else hide_in_text(text)
        kept = _copy(inner, "", depth - 1, names_secret=False)
        return text if kept == inner else orjson.dumps(kept).decode()
    return hide_in_text(text)


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
        if is_pin(value.get(kind)) and isinstance(value.get(token), str):
            copy[token] = REDACTED
    return copy


def _hides(place: str, name: str, item: Any, *, inside_secret: bool) -> bool:
    if item is None or isinstance(item, bool):
        return False
    return (inside_secret and name in _VALUE_FIELDS) or is_secret_name(place, name)
