"""Station passwords in every spelling a station may send (statement 15)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.stations.credentials import (
    CREDENTIAL,
    generate_credential,
    hash_credential,
    verify,
)

KEY = b"server key"
HEX_TEXT = "abcdef00112233445566778899fedcba"


def test_statements_14_15_generated_credentials_fit_every_protocol_and_differ() -> None:
    made = {generate_credential() for _ in range(50)}
    assert len(made) == 50
    for text in made:
        assert CREDENTIAL.fullmatch(text)
        assert re.fullmatch(r"[0-9a-f]{40}", text)


@pytest.mark.parametrize(
    "presented",
    [HEX_TEXT.encode(), HEX_TEXT.upper().encode(), bytes.fromhex(HEX_TEXT)],
)
@pytest.mark.parametrize("provisioned", [HEX_TEXT, HEX_TEXT.upper()])
def test_statement_15_hex_key_is_accepted_as_text_and_decoded(
    provisioned: str, presented: bytes
) -> None:
    assert verify(KEY, hash_credential(KEY, provisioned.encode()), presented)


def test_text_password_is_accepted_as_it_is_and_as_its_hex() -> None:
    stored = hash_credential(KEY, b"Correct horse 16")
    assert verify(KEY, stored, b"Correct horse 16")
    assert verify(KEY, stored, b"Correct horse 16".hex().upper().encode())
    assert not verify(KEY, stored, b"correct horse 16")
    assert not verify(KEY, stored, b"Correct horse 16 ")


def test_key_matters() -> None:
    stored = hash_credential(KEY, HEX_TEXT.encode())
    assert not verify(b"another key", stored, HEX_TEXT.encode())


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_only_spellings_of_the_secret_open(secret: bytes, presented: bytes) -> None:
    stored = hash_credential(KEY, secret)
    assert verify(KEY, stored, secret)

    canonical = secret.lower() if _is_hex(secret) else secret
    spellings = {presented.lower() if _is_hex(presented) else presented, presented.hex().encode()}
    if _is_hex(presented):
        spellings.add(bytes.fromhex(presented.decode()))
    assert verify(KEY, stored, presented) is (canonical in spellings)


def _is_hex(raw: bytes) -> bool:
    return re.fullmatch(rb"(?:[0-9A-Fa-f]{2})+", raw) is not None
