"""Station passwords: generated, stored as HMAC-SHA-256 under the server key, compared. Pure.

A generated password is 40 hex digits, which every protocol takes: text of at most 40 characters,
or hex for the 20 bytes of an AuthorizationKey (16J 6.2.2).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

GENERATED_BYTES = 20
# A00.FR.205: 16 to 40 characters, in 2.1 to 64. Printable ASCII, because a keypad or a CSV has to
# carry it.
CREDENTIAL_LENGTHS = (16, 64)
CREDENTIAL = re.compile(r"[\x21-\x7e]{16,64}")
HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")


def generate_credential() -> str:
    return secrets.token_hex(GENERATED_BYTES)


def hash_credential(key: bytes, secret: bytes) -> bytes:
    """Return what is stored. Hex text is hashed in lower case, because its case means nothing."""
    return _mac(key, _canonical(secret))


def verify(key: bytes, stored: bytes, presented: bytes) -> bool:
    """Say whether a station may enter with these password bytes.

    16J 6.2.2, WP 7.2: a key provisioned as hex is sent decoded by some stations and as the hex
    text by others, and the other way round: either spelling of the stored secret is accepted.
    """
    spellings = [_canonical(presented), presented.hex().encode()]
    if HEX.fullmatch(presented):
        spellings.append(bytes.fromhex(presented.decode()))
    # Every spelling is tried, so that the time tells nothing.
    matches = [hmac.compare_digest(_mac(key, spelling), stored) for spelling in spellings]
    return any(matches)


def _canonical(secret: bytes) -> bytes:
    return secret.lower() if HEX.fullmatch(secret) else secret


def _mac(key: bytes, secret: bytes) -> bytes:
    return hmac.digest(key, secret, hashlib.sha256)
