"""What a driver scans or types, read as the code of one of our guns. Pure.

Knows the forms of such texts (our label's link, `hlht://`, links of vendors, plain numbers), not
which guns there are.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from chargehub.kit.errors import InvalidInput
from chargehub.stations.rules import GUN_CODE_PATTERN

MAX_CODE_LENGTH = 512
_GUN_CODE = re.compile(GUN_CODE_PATTERN)
_DASHES = re.compile("[\u2010-\u2015\u2212]")
# As it is said and written: "A101 号枪", "No. A101", "#A101".
_AROUND_A_NUMBER = re.compile(r"^(?:no\.|no:|#|枪号:?|桩号:?)+|(?:号枪|号桩|号)+$", re.IGNORECASE)
_LABEL_PATH = re.compile(r"/c/([^/]+)/?$", re.IGNORECASE)  # QR codes like capitals.
_VENDOR_GUARD = 200
"""A vendor's pattern is run over so many characters of a link, however long the link is."""


class UnreadableGunCode(InvalidInput):
    """This is no gun code: scan the label on the gun, or type the number printed on it."""

    code = "gun-code-unreadable"


class AnotherOperatorsGun(InvalidInput):
    """This gun belongs to another operator; charge there with that operator's app."""

    code = "another-operators-gun"


@dataclass(frozen=True, slots=True)
class CodeForms:
    """The forms this hub reads."""

    public_url: str = ""
    """What our labels' links begin with (stations/labels.py)."""
    operator_id: str = ""
    """Our organisation code, in hlht:// texts; empty: none of those is ours."""
    vendor_links: tuple[re.Pattern[str], ...] = ()
    """Each has a group `code`, and may have a group `operator`."""
    link_hosts: frozenset[str] = frozenset()
    """Hosts of links that are ours too, in lower case; a link to any other is somebody else's."""

    @property
    def hosts(self) -> frozenset[str]:
        own = urlsplit(self.public_url).hostname
        return self.link_hosts | {own} if own else self.link_hosts


def link_hosts(hosts: str) -> frozenset[str]:
    """Return the hosts of the setting `gun_link_hosts`."""
    return frozenset(hosts.lower().split())


def vendor_links(patterns: str) -> tuple[re.Pattern[str], ...]:
    """Return the patterns of the setting `gun_links`, which has checked them."""
    return tuple(re.compile(text) for text in patterns.split())


def read_gun_code(scanned: str, forms: CodeForms) -> str:
    """Return the gun code that a scanned or typed text means; compare it without case.

    Raises UnreadableGunCode, AnotherOperatorsGun.
    """
    text = _plain(scanned)
    if len(text) > MAX_CODE_LENGTH:
        raise UnreadableGunCode
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _checked(_AROUND_A_NUMBER.sub("", text))
    if scheme.lower() == "hlht":
        return _read_hlht(rest, forms)
    if scheme.lower() not in {"http", "https"}:
        raise UnreadableGunCode
    return _read_link(text, forms)


def _plain(text: str) -> str:
    """Return the text in half-width characters, without blanks or what cannot be seen."""
    text = unicodedata.normalize("NFKC", text)
    seen = (c for c in text if not c.isspace() and unicodedata.category(c) not in {"Cf", "Cc"})
    return _DASHES.sub("-", "".join(seen))


def _checked(code: str) -> str:
    if _GUN_CODE.fullmatch(code) is None:
        raise UnreadableGunCode
    return code


def _read_hlht(rest: str, forms: CodeForms) -> str:
    """Read `{ConnectorID}.{OperatorID}/...`, the form of Chinese interoperation."""
    connector, dot, operator = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition(".")
    if not (dot and connector and operator):
        raise UnreadableGunCode
    _check_operator(operator, forms)
    return _checked(unquote(connector))


def _read_link(text: str, forms: CodeForms) -> str:
    try:
        link = urlsplit(text)
    except ValueError:
        raise UnreadableGunCode from None
    host = (link.hostname or "").rstrip(".")
    if host not in forms.hosts:
        raise _strange(host, forms)
    label = _LABEL_PATH.search(link.path)
    if label is not None and _is_label(host, link.path, forms):
        return _checked(unquote(label[1]))
    for pattern in forms.vendor_links:
        found = pattern.search(text[:_VENDOR_GUARD])
        if found is None:
            continue
        if "operator" in pattern.groupindex and found["operator"]:
            _check_operator(found["operator"], forms)
        return _checked(unquote(found["code"]))
    raise UnreadableGunCode(f"This link names no gun: ours are like {_label_form(forms)}.")


def _is_label(host: str, path: str, forms: CodeForms) -> bool:
    ours = urlsplit(forms.public_url)
    if host != ours.hostname:  # One of `link_hosts`, as of labels from before.
        return True
    # The port is not compared: a label printed behind one proxy is good behind the next.
    return path.lower().startswith(ours.path.rstrip("/").lower() + "/c/")


def _strange(host: str, forms: CodeForms) -> UnreadableGunCode:
    return UnreadableGunCode(
        f"The link to {host[:100] or 'nowhere'} is not of this hub: its codes are links like "
        f"{_label_form(forms)}, or the number printed on the gun.",
        allowed_hosts=sorted(forms.hosts),
    )


def _label_form(forms: CodeForms) -> str:
    return f"{forms.public_url.rstrip('/') or 'https://...'}/c/CODE"


def _check_operator(operator: str, forms: CodeForms) -> None:
    named = operator[:40]
    if not forms.operator_id:
        raise AnotherOperatorsGun(
            f"The code names the operator {named}, and this hub has no organisation code "
            "(CHARGEHUB_OPERATOR_ID) to compare it with: type the number printed on the gun.",
            operator_id=named,
        )
    if operator.lower() != forms.operator_id.lower():
        raise AnotherOperatorsGun(operator_id=named)
