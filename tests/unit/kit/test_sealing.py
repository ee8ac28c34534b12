"""Sealed values open under their key and for their purpose only; equal ones are found."""

from __future__ import annotations

import pytest

from chargehub.kit.sealing import Seal, SealBroken

SEAL = Seal(b"a key of this hub")
PHONE = "+8613900001234"


def test_what_is_sealed_opens_again() -> None:
    sealed = SEAL.close("王芳", "drivers.name/1")
    assert SEAL.open_text(sealed, "drivers.name/1") == "王芳"
    assert "王芳".encode() not in sealed
    assert SEAL.open(SEAL.close(b"\x00\xff", "image"), "image") == b"\x00\xff"


def test_the_same_value_is_never_sealed_the_same_way() -> None:
    assert SEAL.close(PHONE, "p") != SEAL.close(PHONE, "p")


@pytest.mark.parametrize("length", [0, 1, 12, 13, 20])
def test_what_was_cut_does_not_open(length: int) -> None:
    with pytest.raises(SealBroken):
        SEAL.open(SEAL.close(PHONE, "p")[:length], "p")


def test_another_key_another_purpose_or_a_changed_byte_does_not_open() -> None:
    sealed = SEAL.close(PHONE, "drivers.phone/1")
    with pytest.raises(SealBroken):
        Seal(b"another key").open(sealed, "drivers.phone/1")
    with pytest.raises(SealBroken):
        SEAL.open(sealed, "drivers.phone/2")
    for place in range(len(sealed)):
        spoilt = bytearray(sealed)
        spoilt[place] ^= 1
        with pytest.raises(SealBroken):
            SEAL.open(bytes(spoilt), "drivers.phone/1")


def test_a_fingerprint_is_the_same_for_the_same_and_tells_purposes_and_keys_apart() -> None:
    found = SEAL.fingerprint(PHONE, "phone")
    assert found == Seal(b"a key of this hub").fingerprint(PHONE, "phone")
    assert len(found) == 32
    others = (
        SEAL.fingerprint(PHONE, "vin"),
        SEAL.fingerprint(PHONE + "0", "phone"),
        Seal(b"another key").fingerprint(PHONE, "phone"),
    )
    assert found not in others
