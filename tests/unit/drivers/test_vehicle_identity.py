"""VINs and MACs as stations write them: one form for each car, and what is no car's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.drivers.vehicle_identity import (
    TOKEN_PREFIX,
    CarNames,
    IdentityKind,
    has_check_digit,
    is_car_token,
    read_identity,
)
from chargehub.kit.sealing import Seal

VIN = "1M8GDM9AXKP042788"
"""Its check digit is X; it is the example of the rule."""
ABROAD = "WVWZZZ1JZ3W386752"
"""A European one, which has no check digit."""
MAC = "0A1B2C3D4EF5"
NAMES = CarNames(Seal(b"a hub"))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0A1B2C3D4EF5", None),
        ("0a1b2c3d4ef5", None),
        ("0A:1B:2C:3D:4E:F5", None),
        ("0a-1b-2c-3d-4e-f5", None),
        ("0a1b.2c3d.4ef5", None),
        ("VID:0A1B2C3D4EF5", None),
        ("vid0a1b2c3d4ef5", None),
        ("VID_0A1B2C3D4EF5", None),
        ("MAC:0A:1B:2C:3D:4E:F5", None),
        ("EVCCID=0A1B2C3D4EF5", None),
        (" 0A1B2C3D4EF5 ", None),
        ("0A1B2C3D4EF5", "MacAddress"),
        ("0A1B2C3D4EF5", "EVCCID"),
        ("0A1B2C3D4EF5", "KeyCode"),
        ("0A1B2C3D4EF5", "Local"),
        ("0A1B2C3D4EF5", "VendorTag"),
        # Stations seen in the field call whatever they present a card.
        ("VID:0A1B2C3D4EF5", "ISO14443"),
    ],
)
def test_a_mac_has_one_form(text: str, kind: str | None) -> None:
    found = read_identity(text, kind)
    assert found is not None
    assert (found.kind, found.text) == (IdentityKind.MAC, MAC)
    assert NAMES.token_of(found) == NAMES.token_of(read_identity(MAC) or found)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (VIN, None),
        (VIN.lower(), None),
        (f"VIN:{VIN}", None),
        (f"VID:{VIN}", None),
        (f"vin{VIN}", None),
        (VIN, "VIN"),
        (VIN, "vin"),
        (VIN, "KeyCode"),
        (f"VIN:{VIN}", "Central"),
    ],
)
def test_a_vin_has_one_form(text: str, kind: str | None) -> None:
    found = read_identity(text, kind)
    assert found is not None
    assert (found.kind, found.text, found.certain) == (IdentityKind.VIN, VIN, True)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", None),
        ("APP-0123456789ABCDEF", "Central"),
        ("TAXI-0001", None),
        ("0476AB12", "ISO14443"),
        ("04A2B3C4D5E6F7", None),
        # A card, a contract and a start from afar are none, whatever they look like.
        (MAC, "ISO14443"),
        (MAC, "ISO15693"),
        (VIN, "Central"),
        (VIN, "eMAID"),
        (MAC, "NoAuthorization"),
        # A VIN without I, O and Q, of 17 characters.
        ("1M8GDM9AXKP04278O", None),
        ("1M8GDM9AXKP04278I", None),
        ("1M8GDM9AXKP04278Q", None),
        (VIN[:16], None),
        (f"{VIN}1", None),
        # What stations send that know nothing, and addresses of no single device.
        ("0" * 17, None),
        ("1" * 17, "VIN"),
        ("VID:000000000000", None),
        ("FF:FF:FF:FF:FF:FF", None),
        ("01:00:5E:00:00:01", None),
        ("0A:1B:2C:3D:4E", None),
        ("0A:1B-2C:3D:4E:F5", None),
        ("0A1B2C3D4EG5", None),
        ("VID:", None),
        ("VID:VID:0A1B2C3D4EF5", None),
    ],
)
def test_what_is_no_cars(text: str, kind: str | None) -> None:
    assert read_identity(text, kind) is None


@pytest.mark.parametrize(
    ("text", "kind", "certain"),
    [
        (MAC, None, False),
        (MAC, "KeyCode", False),
        (MAC, "MacAddress", True),
        ("0A:1B:2C:3D:4E:F5", None, True),
        (f"VID:{MAC}", None, True),
        (VIN, None, True),
        (ABROAD, None, False),
        (ABROAD, "VIN", True),
        (f"VIN:{ABROAD}", None, True),
        # An operator's numbers of 12 digits are cards as well as anything.
        ("100000000017", None, False),
    ],
)
def test_what_may_as_well_be_a_card_is_not_certain(
    text: str, kind: str | None, *, certain: bool
) -> None:
    found = read_identity(text, kind)
    assert found is not None
    assert found.certain is certain


def test_a_vin_may_begin_like_a_name() -> None:
    """MA is India's; its third character may be a C."""
    found = read_identity("MAC12345678901234")
    assert found is not None
    assert (found.kind, found.text) == (IdentityKind.VIN, "MAC12345678901234")


def test_the_check_digit_is_that_of_the_rule() -> None:
    assert has_check_digit(VIN)
    assert has_check_digit("1" * 17)
    assert not has_check_digit(ABROAD)
    changed = [VIN[:place] + "3" + VIN[place + 1 :] for place in (0, 4, 9, 16)]
    assert not any(has_check_digit(vin) for vin in changed)


@given(st.text(max_size=40), st.sampled_from([None, "MacAddress", "VIN", "ISO14443", "KeyCode"]))
def test_whatever_is_presented_is_read_or_not(text: str, kind: str | None) -> None:
    found = read_identity(text, kind)
    if found is not None:
        assert len(found.text) == {IdentityKind.VIN: 17, IdentityKind.MAC: 12}[found.kind]
        assert found.text.isascii()
        assert found.text.isalnum()
        assert (again := read_identity(found.text, found.kind)) is not None
        assert again.text == found.text


def test_masks_show_the_end_only() -> None:
    vin, mac = read_identity(VIN), read_identity(MAC)
    assert vin is not None
    assert mac is not None
    assert vin.masked == "***********042788"
    assert mac.masked == "********4EF5"


def test_a_car_is_called_by_a_keyed_hash() -> None:
    presented = NAMES.presented(f"VID:{MAC}", None)
    assert presented is not None
    assert presented.token.startswith(TOKEN_PREFIX)
    assert is_car_token(presented.token.upper())
    assert MAC.lower() not in presented.token
    elsewhere = CarNames(Seal(b"another hub")).presented(MAC, "MacAddress")
    assert elsewhere is not None
    assert elsewhere.token != presented.token
    assert NAMES.presented("TAXI-0001", None) is None


def test_who_presents_our_name_of_a_car_is_not_that_car() -> None:
    car = NAMES.presented(MAC, "MacAddress")
    assert car is not None
    thief = NAMES.presented(car.token.upper(), "KeyCode")
    assert thief is not None
    assert thief.identity is None
    assert thief.token != car.token


def test_what_a_car_is_called_is_sealed() -> None:
    identity = read_identity(VIN)
    assert identity is not None
    token = NAMES.token_of(identity)
    sealed = NAMES.sealed(identity, token)
    assert VIN.encode() not in sealed
    assert NAMES.opened("VIN", sealed, token) == identity
