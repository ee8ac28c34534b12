"""One-time codes of phones: made, kept as a keyed hash, sent and redeemed.

A phone is known here by its fingerprint alone, whether or not it has an account: so no answer tells
which has one. A device that has proved a phone shows a token of that, and has codes, rations and
locks of its own: what strangers do to the phone is no matter to it. Times are wall times.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.account_rules import (
    CodeRules,
    CodeState,
    Redemption,
    redeem,
    seconds_until,
    sent,
    wait_for_send,
)
from chargehub.drivers.accounts import PHONE, lock_number
from chargehub.drivers.store import driver_login_codes as codes
from chargehub.kit.sealing import Seal

DIGITS = 6
CODE, DEVICE, OF_DEVICE = "drivers.code", "drivers.device", "drivers.phone_and_device"
NONCE_BYTES = 16
DEVICE_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}")


class PhoneCodes:
    def __init__(self, seal: Seal, rules: CodeRules | None = None) -> None:
        self._seal = seal
        self.rules = rules or CodeRules()

    def device_token(self, phone: str) -> str:
        """Return what a device that has just proved this phone may show from now on."""
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        return f"{nonce}.{self._proof(phone, nonce)}"

    async def make(
        self, connection: AsyncConnection, phone: str, now: datetime, device_token: str = ""
    ) -> str | int:
        """Return a fresh code, which is stored; or the seconds to wait for one."""
        key = self._key(phone, device_token)
        # Two first requests of one phone take turns: there is no row to lock yet.
        await connection.execute(select(func.pg_advisory_xact_lock(lock_number(key))))
        state = await _locked_state(connection, key)
        wait_s = wait_for_send(state, now, self.rules)
        if wait_s > 0:
            return wait_s
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
        fresh = sent(state, self._hash(phone, code), now, self.rules)
        row = insert_or_skip(codes).values(phone_fingerprint=key, **asdict(fresh))
        await connection.execute(
            row.on_conflict_do_update(index_elements=["phone_fingerprint"], set_=asdict(fresh))
        )
        return code

    async def forget(self, connection: AsyncConnection, phone: str, device_token: str = "") -> None:
        """Take a code back that could not be sent: another may be asked for at once.

        Those that were sent before it count as before.
        """
        key = self._key(phone, device_token)
        await connection.execute(
            update(codes)
            .where(codes.c.phone_fingerprint == key)
            .values(
                code_hash=None,
                sent_at=codes.c.sent_at - self.rules.resend_after,
                sends=func.greatest(codes.c.sends - 1, 0),
                day_sends=func.greatest(codes.c.day_sends - 1, 0),
            )
        )

    async def redeem(
        self,
        connection: AsyncConnection,
        phone: str,
        code: str,
        now: datetime,
        device_token: str = "",
    ) -> tuple[Redemption, int]:
        """Judge a presented code and count the try; return also the seconds a lock lasts.

        Whatever comes of it, the transaction has to be committed: a try counts.
        """
        key = self._key(phone, device_token)
        state = await _locked_state(connection, key)
        stored = state and state.code_hash
        # Compared also where there is none, so that the time tells nothing.
        matches = hmac.compare_digest(self._hash(phone, code), stored or b"")
        verdict, after = redeem(state, matches, now, self.rules)
        if after is None:
            return verdict, 0
        if after != state:
            await connection.execute(
                update(codes).where(codes.c.phone_fingerprint == key).values(asdict(after))
            )
        return verdict, seconds_until(after.locked_until, now)

    def _key(self, phone: str, device_token: str) -> bytes:
        """Return under what the state is kept: of the device, where it has proved this phone."""
        nonce, _, proof = device_token.partition(".")
        proved = DEVICE_TOKEN.fullmatch(device_token) is not None
        if proved and hmac.compare_digest(proof, self._proof(phone, nonce)):
            return self._seal.fingerprint(f"{phone}/{nonce}", OF_DEVICE)
        return self._seal.fingerprint(phone, PHONE)

    def _proof(self, phone: str, nonce: str) -> str:
        digest = self._seal.fingerprint(f"{phone}/{nonce}", DEVICE)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _hash(self, phone: str, code: str) -> bytes:
        # Keyed: six digits are guessed in no time by who has the table alone.
        return self._seal.fingerprint(f"{phone}/{code}", CODE)


async def _locked_state(connection: AsyncConnection, key: bytes) -> CodeState | None:
    row = (
        await connection.execute(
            select(codes).where(codes.c.phone_fingerprint == key).with_for_update()
        )
    ).one_or_none()
    if row is None:
        return None
    values = row._asdict()
    del values["phone_fingerprint"]
    return CodeState(**values)
