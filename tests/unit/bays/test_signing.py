"""What gateway and hub sign: nothing of it can be changed, and it does not keep."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chargehub.bays.signing import (
    NONCE,
    NONCE_HEADER,
    SIGNATURE,
    SIGNATURE_HEADER,
    SKEW_S,
    TIMESTAMP_HEADER,
    SignatureInvalid,
    SignatureTooOld,
    check_request,
    headers_for,
    is_answer_signed,
    sign_answer,
    sign_request,
)
from simulators.bays import BayGateway
from simulators.clock import ManualClock

KEY = b"k" * 32
WALL = 1_800_000_000.0


def signed(**over: Any) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "key": KEY,
        "method": "POST",
        "path": "/v1/devices/LOCK-1/lock",
        "timestamp": str(int(WALL)),
        "nonce": "0123456789abcdef",
        "body": b'{"action": "raise"}',
    }
    signature = sign_request(**parts)
    return parts | {"signature": signature, "wall": WALL} | over


def test_what_was_signed_is_taken() -> None:
    check_request(**signed())


@pytest.mark.parametrize(
    "over",
    [
        {"key": b"another key of thirty-two bytes!"},
        {"method": "PUT"},
        {"path": "/v1/devices/LOCK-2/lock"},
        {"timestamp": str(int(WALL) + 1)},
        {"timestamp": "soon"},
        {"timestamp": "-1"},
        {"nonce": "0123456789abcdeg"},
        {"body": b'{"action": "lower"}'},
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": "\u00e9"},
    ],
)
def test_whatever_is_changed_is_refused(over: dict[str, Any]) -> None:
    with pytest.raises(SignatureInvalid):
        check_request(**signed(**over))


@pytest.mark.parametrize("away_s", [-SKEW_S - 1, SKEW_S + 1])
def test_a_signature_does_not_keep(away_s: int) -> None:
    check_request(**signed(wall=WALL + away_s - (1 if away_s > 0 else -1)))
    with pytest.raises(SignatureTooOld):
        check_request(**signed(wall=WALL + away_s))


def test_our_own_headers_are_good_and_never_the_same() -> None:
    one = headers_for(KEY, "POST", "/a", b"{}", WALL)
    another = headers_for(KEY, "POST", "/a", b"{}", WALL)
    assert one[NONCE_HEADER] != another[NONCE_HEADER]
    assert re.fullmatch(NONCE, one[NONCE_HEADER])
    assert re.fullmatch(SIGNATURE, one[SIGNATURE_HEADER])
    check_request(
        *(KEY, "POST", "/a", one[TIMESTAMP_HEADER], one[NONCE_HEADER], b"{}"),
        *(one[SIGNATURE_HEADER], WALL),
    )


def test_an_answer_belongs_to_its_request() -> None:
    signature = sign_answer(KEY, 200, "0123456789abcdef", b"free")
    assert is_answer_signed(KEY, 200, "0123456789abcdef", b"free", signature)
    assert not is_answer_signed(KEY, 409, "0123456789abcdef", b"free", signature)
    assert not is_answer_signed(KEY, 200, "another nonce 12", b"free", signature)
    assert not is_answer_signed(KEY, 200, "0123456789abcdef", b"occupied", signature)
    assert not is_answer_signed(KEY, 200, "0123456789abcdef", b"free", "")


async def test_the_gateway_of_the_simulators_signs_as_it_is_written() -> None:
    """It was written from the contract, not from our code."""
    gateway = BayGateway(ManualClock(0), KEY, ["LOCK-1"])
    headers = gateway.signed("/events", b"[]")
    stamp = headers[TIMESTAMP_HEADER]
    check_request(
        *(KEY, "POST", "/events", stamp, headers[NONCE_HEADER], b"[]"),
        *(headers[SIGNATURE_HEADER], float(stamp)),
    )
    await gateway.stop()
