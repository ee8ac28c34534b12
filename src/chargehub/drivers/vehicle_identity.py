"""What a car presents of itself at a gun, in whatever way a station writes it: VIN or MAC. Pure.

Stations that do Autocharge (即插即充) present it as an idToken: in 1.6 as an idTag, mostly `VID:`
and the MAC of the car's controller (EVCCID of ISO 15118-2), or the VIN; in 2.x with the type
MacAddress, KeyCode or one of the vendor's, in 2.1 also EVCCID and VIN. A text that only looks like
one may be a card's; who asks knows the cards. A VIN has 17 characters without I, O and Q and mostly
a check digit (GB 16735, ISO 3779); a MAC is one of a single device (IEEE 802).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from chargehub.drivers.account_rules import VIN, mask_vin
from chargehub.kit.sealing import Seal

TOKEN_PREFIX = "pnc-"  # noqa: S105  What such idTokens begin with.
"""The idToken of a car is this and a keyed hash: neither VIN nor MAC stands in a table."""
TOKEN_DIGITS = 32
PURPOSE = "vehicle_bindings.identity"

_NAME = re.compile(r"(?:VID|VIN|MAC|EVCCID)[:=_ -]?")
_MAC_FORMS = (
    re.compile(r"[0-9A-F]{12}"),
    re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){5}"),
    re.compile(r"[0-9A-F]{2}(?:-[0-9A-F]{2}){5}"),
    re.compile(r"[0-9A-F]{4}(?:\.[0-9A-F]{4}){2}"),
)
_CAR_KINDS = frozenset({"macaddress", "evccid", "vin"})
_OTHER_KINDS = frozenset(
    {"central", "directpayment", "emaid", "iso14443", "iso15693", "noauthorization"}
)
"""What is a card, a contract or a start from afar, unless the text itself says that it is a car."""

_VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)), strict=True)
) | {digit: int(digit) for digit in "0123456789"}
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_GROUP_BIT = 0x01


class IdentityKind(StrEnum):
    """The words of OCPP's idToken types (2.1 knows both)."""

    VIN = "VIN"
    MAC = "MacAddress"


@dataclass(frozen=True, slots=True)
class VehicleIdentity:
    kind: IdentityKind
    text: str
    """The one form: a VIN in capitals, a MAC as 12 hexadecimal digits in capitals."""
    certain: bool = True
    """False: the text may as well be a card's."""

    @property
    def masked(self) -> str:
        """The end of it, which tells a driver's own cars apart."""
        if self.kind is IdentityKind.VIN:
            return mask_vin(self.text)
        return f"{'*' * 8}{self.text[-4:]}"


def read_identity(text: str, kind: str | None = None) -> VehicleIdentity | None:
    """Read what was presented with an idToken type (None in 1.6); None: it is no car's.

    What stations send while they know nothing (zeros, one character over and over) is no car's.
    """
    written, told = text.strip().upper(), (kind or "").lower()
    # There are VINs that begin with MAC.
    found = None if told in _OTHER_KINDS else _read(written, named=told in _CAR_KINDS)
    name = _NAME.match(written)
    if found is None and name is not None:
        found = _read(written[name.end() :], named=True)
    return found


def _read(text: str, *, named: bool) -> VehicleIdentity | None:
    if VIN.fullmatch(text) is not None:
        if len(set(text)) == 1:
            return None
        return VehicleIdentity(IdentityKind.VIN, text, certain=named or has_check_digit(text))
    if any(form.fullmatch(text) for form in _MAC_FORMS):
        digits = re.sub(r"[^0-9A-F]", "", text)
        if len(set(digits)) == 1 or int(digits[:2], 16) & _GROUP_BIT:
            return None
        return VehicleIdentity(IdentityKind.MAC, digits, certain=named or digits != text)
    return None


def has_check_digit(vin: str) -> bool:
    """Tell whether the ninth character is what the others make it (GB 16735); abroad it may not."""
    rest = sum(_VALUES[one] * weight for one, weight in zip(vin, _WEIGHTS, strict=True)) % 11
    return vin[8] == ("X" if rest == 10 else str(rest))


@dataclass(frozen=True, slots=True)
class PresentedCar:
    token: str
    """Its idToken with us, in lower case."""
    identity: VehicleIdentity | None
    """None: somebody presents what only we call a car."""


class CarNames:
    """By which idToken a car is known here, under the hub's key."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def token_of(self, identity: VehicleIdentity) -> str:
        return self._name(f"{identity.kind}:{identity.text}")

    def presented(self, text: str, kind: str | None) -> PresentedCar | None:
        """Return the car behind a presented idToken; None: it presents no car."""
        if text.lower().startswith(TOKEN_PREFIX):
            # Whoever learnt a car's name from a list does not charge with it.
            return PresentedCar(self._name(text.lower()), None)
        identity = read_identity(text, kind)
        return None if identity is None else PresentedCar(self.token_of(identity), identity)

    def sealed(self, identity: VehicleIdentity, token: str) -> bytes:
        return self._seal.close(identity.text, f"{PURPOSE}/{token}")

    def opened(self, kind: str, sealed: bytes, token: str) -> VehicleIdentity:
        text = self._seal.open_text(sealed, f"{PURPOSE}/{token}")
        return VehicleIdentity(IdentityKind(kind), text)

    def _name(self, text: str) -> str:
        return TOKEN_PREFIX + self._seal.fingerprint(text, PURPOSE).hex()[:TOKEN_DIGITS]


def is_car_token(token: str) -> bool:
    return token.lower().startswith(TOKEN_PREFIX)
