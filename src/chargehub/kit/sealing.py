"""Seals personal data: AES-256-GCM, and keyed fingerprints by which what is sealed can be found.

Both keys come from one secret of the hub (`settings.personal_data_key`). What is sealed for one
purpose opens for no other, so a sealed value that is moved to another row or column is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chargehub.kit.errors import ChargeHubError

VERSION = b"\x01"
NONCE_BYTES = 12
KEY_BYTES = 32


class SealBroken(ChargeHubError):
    """Stored personal data do not open: another key sealed them, or they were changed."""

    code = "seal-broken"


class Seal:
    """Closes and opens personal data under the hub's key."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(_derived(secret, b"chargehub personal data"))
        self._fingerprint_key = _derived(secret, b"chargehub personal fingerprints")

    def close(self, plain: bytes | str, purpose: str) -> bytes:
        """Seal a value; `purpose` names the column and the row, as `drivers.phone/<id>`."""
        data = plain.encode() if isinstance(plain, str) else plain
        nonce = secrets.token_bytes(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, data, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Return what was sealed for this purpose. Raises SealBroken."""
        nonce, closed = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if sealed[:1] != VERSION or len(nonce) != NONCE_BYTES:
            raise SealBroken
        try:
            return self._cipher.decrypt(nonce, closed, purpose.encode())
        except InvalidTag:
            raise SealBroken from None

    def open_text(self, sealed: bytes, purpose: str) -> str:
        return self.open(sealed, purpose).decode()

    def fingerprint(self, value: str, purpose: str) -> bytes:
        """Return the HMAC-SHA-256 by which an equal value of this purpose is found.

        The caller brings the value into its one spelling first.
        """
        message = purpose.encode() + b"\x00" + value.encode()
        return hmac.digest(self._fingerprint_key, message, hashlib.sha256)


def _derived(secret: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label).derive(secret)
