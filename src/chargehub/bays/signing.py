"""How a gateway and the hub sign what they send each other: HMAC-SHA-256, timestamp, nonce. Pure.

The signature of a request is over method, path, timestamp, nonce and the SHA-256 of the body, each
on a line; that of an answer over `answer`, the status, the request's nonce and its body's SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from chargehub.kit.errors import ChargeHubError

TIMESTAMP_HEADER = "X-Bay-Timestamp"
NONCE_HEADER = "X-Bay-Nonce"
SIGNATURE_HEADER = "X-Bay-Signature"
SKEW_S = 300
"""A request may be signed so long ago, or ahead by a clock that is not quite right."""
NONCE = r"^[A-Za-z0-9_-]{16,64}$"
TIMESTAMP = r"^[0-9]{1,12}$"
SIGNATURE = r"^[0-9a-f]{64}$"


class SignatureInvalid(ChargeHubError):
    """The request is not signed with the gateway's key."""

    code = "signature-invalid"
    status = 401


class SignatureTooOld(ChargeHubError):
    """The request was signed too long ago, or by a clock that is ahead; sign it anew."""

    code = "signature-too-old"
    status = 401


class SignatureUsed(ChargeHubError):
    """A request with this nonce came before; sign it anew with another one."""

    code = "signature-used"
    status = 401


def sign_request(  # noqa: PLR0917 - the parts of what is signed, in their order
    key: bytes, method: str, path: str, timestamp: str, nonce: str, body: bytes
) -> str:
    return _sign(key, method, path, timestamp, nonce, hashlib.sha256(body).hexdigest())


def sign_answer(key: bytes, status: int, nonce: str, body: bytes) -> str:
    return _sign(key, "answer", str(status), nonce, hashlib.sha256(body).hexdigest())


def headers_for(key: bytes, method: str, path: str, body: bytes, wall: float) -> dict[str, str]:
    """Return the headers of a request of ours, with a nonce of its own."""
    timestamp, nonce = str(int(wall)), secrets.token_urlsafe(18)
    return {
        TIMESTAMP_HEADER: timestamp,
        NONCE_HEADER: nonce,
        SIGNATURE_HEADER: sign_request(key, method, path, timestamp, nonce, body),
    }


def check_request(  # noqa: PLR0917 - the parts of what is signed, in their order
    key: bytes,
    method: str,
    path: str,
    timestamp: str,
    nonce: str,
    body: bytes,
    signature: str,
    wall: float,
) -> None:
    """Raise SignatureInvalid or SignatureTooOld. The time is looked at in what is signed only."""
    if not re.fullmatch(TIMESTAMP, timestamp):
        raise SignatureInvalid
    expected = sign_request(key, method, path, timestamp, nonce, body)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise SignatureInvalid
    if abs(wall - int(timestamp)) > SKEW_S:
        raise SignatureTooOld


def is_answer_signed(key: bytes, status: int, nonce: str, body: bytes, signature: str) -> bool:
    expected = sign_answer(key, status, nonce, body)
    return hmac.compare_digest(expected.encode(), signature.encode())


def _sign(key: bytes, *lines: str) -> str:
    return hmac.digest(key, "\n".join(lines).encode(), "sha256").hex()
