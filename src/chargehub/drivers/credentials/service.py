"""Use cases of credentials: entered and withdrawn by drivers, decided by staff.

Numbers pass through here and are kept nowhere: rows have their fingerprint and tail, the audit
trail and the inbox the tail. Times are hub time; days are those of the hub's time zone.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.access.rules import LoginGuard
from chargehub.drivers.accounts import find_account
from chargehub.drivers.credentials import queries
from chargehub.drivers.credentials.images import NoImage, check_image, image_type
from chargehub.drivers.credentials.rules import (
    CredentialKind,
    CredentialStatus,
    Validity,
    begins_after_gap,
    check_dates,
    due_notice,
    first_day_of_both,
    local_day,
    masked_number,
    number_tail,
    read_number,
    without_number,
)
from chargehub.drivers.inbox import notify
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import Conflict, InvalidInput, NotFound
from chargehub.kit.http import PayloadTooLarge, TooManyRequests, UnsupportedMediaType
from chargehub.kit.sealing import Seal

NUMBER, IMAGE = "driver_credentials.number", "credential_images.sealed"
"""What is fingerprinted, and what is sealed with `/<id>` behind it."""
SUBMISSIONS_A_DAY = 10
MAX_IMAGE_BYTES = 2_000_000
"""A phone's photo of a document, sent as JPEG, is legible in a quarter of it. It is sealed and
stored in one piece, so who raises `limits.request_body_bytes` (2 MiB) gets no larger ones by it."""
DECIDED, EXPIRING = "credential_decided", "credential_expiring"
PENDING, APPROVED, REFUSED, WITHDRAWN = (
    CredentialStatus.PENDING.value,
    CredentialStatus.APPROVED.value,
    CredentialStatus.REFUSED.value,
    CredentialStatus.WITHDRAWN.value,
)


class CredentialNumberTaken(Conflict):
    """Another account has a credential of this number; ask the staff when it is yours."""

    code = "credential-number-taken"


class CredentialPending(Conflict):
    """A credential of this kind waits for the staff; withdraw it to enter another."""

    code = "credential-pending"


class CredentialDecided(Conflict):
    """The credential is not in a state that allows this."""

    code = "credential-decided"


class UnusableImage(InvalidInput):
    """This is no whole picture, or more than one picture."""

    code = "credential-image-unusable"


class ReasonNeeded(InvalidInput):
    """What was decided is looked at for a reason only: say it."""

    code = "reason-needed"


@dataclass(frozen=True, slots=True)
class CredentialRules:
    """What the operator of the hub sets."""

    zone: ZoneInfo
    image_days: int
    """Days after the decision for which the image stays."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A credential as somebody names it; `number` in any spelling."""

    kind: CredentialKind
    number: str
    issuer: str = ""
    dates: Validity = field(default_factory=Validity)


@dataclass(frozen=True, slots=True)
class Credentials:
    database: Database
    clock: HubClock
    seal: Seal
    rules: CredentialRules
    # An answer "taken" tells that a number is known here: who guesses has to wait.
    guard: LoginGuard = field(default_factory=LoginGuard)

    def today(self) -> date:
        return local_day(self.clock.now(), self.rules.zone)

    def fingerprint(self, number: str) -> bytes:
        """Return what is stored of a number (in its one spelling)."""
        return self.seal.fingerprint(number, NUMBER)

    async def submit(self, connection: AsyncConnection, driver_id: UUID, entry: Entry) -> Row[Any]:
        """Put a credential of the driver's into the review queue and return it."""
        now = self.clock.now()
        number = read_number(entry.number)
        check_dates(entry.dates, self.today())
        who = str(driver_id)
        wait_s = self.guard.begin(who, who, time.monotonic())
        if wait_s > 0:
            raise TooManyRequests(
                "Too many credentials could not be entered; wait.",
                retry_after_s=math.ceil(wait_s),
                rule="numbers_tried",
                passes_at=(now + self.clock.hub_time(wait_s)).isoformat(),
            )
        await find_account(connection, driver_id, lock=True)
        await self._refuse_flood(connection, driver_id, now)
        row = await self._insert(connection, driver_id, entry, number, now)
        self.guard.succeeded(who, who)
        return row

    async def _refuse_flood(
        self, connection: AsyncConnection, driver_id: UUID, now: datetime
    ) -> None:
        day = timedelta(days=1)
        recent = await queries.read_recent_submissions(connection, driver_id, now - day)
        if len(recent) >= SUBMISSIONS_A_DAY:
            passes_at = recent[-SUBMISSIONS_A_DAY] + day
            raise TooManyRequests(
                f"At most {SUBMISSIONS_A_DAY} credentials are entered in 24 hours.",
                retry_after_s=max(1, math.ceil(self.clock.wall_delay(passes_at))),
                rule="submissions_a_day",
                passes_at=passes_at.isoformat(),
            )

    async def _insert(
        self,
        connection: AsyncConnection,
        driver_id: UUID,
        entry: Entry,
        number: str,
        now: datetime,
    ) -> Row[Any]:
        if await queries.find_pending(connection, driver_id, entry.kind) is not None:
            raise CredentialPending(rule="one_pending_of_a_kind", passes_at=None)
        fingerprint = self.fingerprint(number)
        holder = await queries.find_in_force(connection, entry.kind, fingerprint)
        if holder is not None and holder.driver_id != driver_id:
            raise CredentialNumberTaken(rule="one_credential_one_account", passes_at=None)
        credential_id = uuid.uuid4()
        is_new = await queries.insert_credential(
            connection,
            {
                "id": credential_id,
                "driver_id": driver_id,
                "kind": entry.kind.value,
                "number_fingerprint": fingerprint,
                "number_tail": number_tail(number),
                "issuer": without_number(entry.issuer, lambda run: run == number),
                **asdict(entry.dates),
                "status": PENDING,
                "source": "driver",
                "renews": await queries.find_last_of(connection, holder),
                "created_at": now,
            },
        )
        if not is_new:  # Two accounts at once: the other was first.
            raise CredentialNumberTaken(rule="one_credential_one_account", passes_at=None)
        return await queries.find_credential(connection, credential_id)

    async def withdraw(
        self, connection: AsyncConnection, driver_id: UUID, credential_id: UUID
    ) -> Row[Any]:
        """Take a credential back; again is the same. Its image is deleted at once."""
        row = await self._own(connection, driver_id, credential_id)
        if row.status == WITHDRAWN:
            return row
        _demand(row, PENDING, APPROVED)
        await queries.end_credential(
            connection,
            credential_id,
            status=WITHDRAWN,
            decided_by="driver",
            decided_at=self.clock.now(),
        )
        await queries.delete_image(connection, credential_id)
        return await queries.find_credential(connection, credential_id)

    async def put_image(self, driver_id: UUID, credential_id: UUID, data: bytes) -> Row[Any]:
        """Store the image of a pending credential, in place of an earlier one."""
        if len(data) > MAX_IMAGE_BYTES:
            raise PayloadTooLarge(
                f"An image has at most {MAX_IMAGE_BYTES} bytes.",
                rule="image_size",
                passes_at=None,
            )
        media_type = image_type(data)
        if media_type is None:
            raise UnsupportedMediaType(
                "Send a JPEG, PNG or WebP.", rule="image_type", passes_at=None
            )
        try:
            await asyncio.to_thread(check_image, data, media_type)
        except NoImage as error:
            raise UnusableImage(str(error), rule="image_whole", passes_at=None) from None
        async with self.database.write() as connection:
            row = await self._own(connection, driver_id, credential_id)
            _demand(row, PENDING)
            await queries.store_image(
                connection,
                {
                    "credential_id": credential_id,
                    "media_type": media_type,
                    "size_bytes": len(data),
                    "sealed": self.seal.close(data, f"{IMAGE}/{credential_id}"),
                    "uploaded_at": self.clock.now(),
                },
            )
            return await queries.find_credential(connection, credential_id)

    async def _own(
        self, connection: AsyncConnection, driver_id: UUID, credential_id: UUID
    ) -> Row[Any]:
        await find_account(connection, driver_id, lock=True)
        return await queries.find_credential(connection, credential_id, driver_id=driver_id)

    async def view_image(
        self, credential_id: UUID, *, actor: str, reason: str
    ) -> tuple[str, bytes]:
        """Return media type and image; who looked, and why, is in the audit trail."""
        async with self.database.write() as connection:
            row = await queries.find_credential(connection, credential_id)
            if row.status != PENDING and not reason:
                raise ReasonNeeded(rule="reason_after_decision", passes_at=None)
            image = await queries.find_image(connection, credential_id)
            if image is None:
                raise NotFound("There is no image, or it was deleted after its days.")
            # The number as it may stand in the reason is no more to be kept than elsewhere.
            said = self._masked(reason or "review", row)
            await self._audit(connection, row, actor, "image_viewed", reason=said)
        return image.media_type, self.seal.open(image.sealed, f"{IMAGE}/{credential_id}")

    async def approve(
        self, credential_id: UUID, *, actor: str, issuer: str | None, dates: Validity
    ) -> Row[Any]:
        """Approve; what the reviewer read on the image takes the place of what was entered."""
        async with self.database.write() as connection:
            row = await self._decidable(connection, credential_id, PENDING)
            given = {name: day for name, day in asdict(dates).items() if day is not None}
            entered = {name: getattr(row, name) for name in asdict(dates)}
            read = Validity(**{**entered, **given})
            check_dates(read, self.today(), end_needed=True)
            values = asdict(read)
            if issuer is not None:
                values["issuer"] = self._masked(issuer, row)
            if row.renews is not None:
                values["valid_from"] = await self._replace(connection, row, read)
            return await self._decide(connection, row, actor, APPROVED, **values)

    async def _replace(
        self, connection: AsyncConnection, renewal: Row[Any], read: Validity
    ) -> date | None:
        """Return from when the renewal counts, so that no day is lost.

        It takes the old one's place at once. Where it begins only after a gap, the old one counts
        to its own end beside it, and still stands for the number.
        """
        old = await queries.find_credential(connection, renewal.renews)
        if begins_after_gap(read.valid_from, old.valid_to):
            return read.valid_from
        await queries.end_credential(
            connection,
            old.id,
            status=WITHDRAWN,
            reason="renewed",
            decided_at=self.clock.now(),
        )
        await queries.delete_image(connection, old.id)
        return first_day_of_both(old.valid_from, read.valid_from)

    async def refuse(self, credential_id: UUID, *, actor: str, reason: str) -> Row[Any]:
        async with self.database.write() as connection:
            row = await self._decidable(connection, credential_id, PENDING)
            said = self._masked(reason, row)
            return await self._decide(connection, row, actor, REFUSED, reason=said)

    async def revoke(self, credential_id: UUID, *, actor: str, reason: str) -> Row[Any]:
        """Take an approval back, as when a driver has left the company."""
        async with self.database.write() as connection:
            row = await self._decidable(connection, credential_id, APPROVED)
            said = self._masked(reason, row)
            return await self._decide(connection, row, actor, WITHDRAWN, reason=said)

    async def _decidable(
        self, connection: AsyncConnection, credential_id: UUID, status: str
    ) -> Row[Any]:
        row = await queries.find_credential(connection, credential_id)
        await find_account(connection, row.driver_id, lock=True)
        row = await queries.find_credential(connection, credential_id)
        _demand(row, status)
        return row

    async def _decide(
        self, connection: AsyncConnection, row: Row[Any], actor: str, status: str, **values: Any
    ) -> Row[Any]:
        now = self.clock.now()
        values |= {"status": status, "decided_by": actor, "decided_at": now}
        if status == APPROVED:
            await queries.change_credential(connection, row.id, **values)
        else:
            await queries.end_credential(connection, row.id, **values)
        decided = await queries.find_credential(connection, row.id)
        action = "revoked" if (row.status, status) == (APPROVED, WITHDRAWN) else status
        await self._audit(connection, decided, actor, action, reason=decided.reason)
        await tell_decided(connection, decided, now)
        if status == APPROVED:  # The next day's look would be late for one that ends today.
            await tell_end(connection, decided, self.today(), now)
        return decided

    async def _audit(
        self, connection: AsyncConnection, row: Row[Any], actor: str, act: str, **facts: str
    ) -> None:
        await audit(
            connection,
            self.clock.now(),
            actor,
            f"credential.{act}",
            str(row.id),
            kind=row.kind,
            number=masked_number(row.number_tail),
            driver_id=str(row.driver_id),
            **facts,
        )

    def _masked(self, text: str, row: Row[Any]) -> str:
        return without_number(text, lambda run: self.fingerprint(run) == row.number_fingerprint)


def _demand(row: Row[Any], *statuses: str) -> None:
    if row.status not in statuses:
        raise CredentialDecided(
            f"It is {row.status}; this needs one that is {' or '.join(statuses)}.",
            rule="credential_status",
            passes_at=None,
            status_now=row.status,
        )


async def tell_decided(connection: AsyncConnection, row: Row[Any], at: datetime) -> None:
    """Write to the driver's inbox what became of a credential."""
    await notify(connection, row.driver_id, DECIDED, inbox_facts(row), at)


async def tell_end(connection: AsyncConnection, row: Row[Any], today: date, at: datetime) -> None:
    """Tell the driver that an approved credential ends soon, where that notice is due."""
    stage = due_notice(row.valid_to, today, row.noticed_days)
    if stage is None:
        return
    facts = inbox_facts(row) | {"days_left": (row.valid_to - today).days}
    key = f"{EXPIRING}/{row.id}/{row.valid_to}/{stage}"
    await notify(connection, row.driver_id, EXPIRING, facts, at, key=key)
    await queries.change_credential(connection, row.id, noticed_days=stage)


def inbox_facts(row: Row[Any]) -> dict[str, Any]:
    return {
        "credential_id": str(row.id),
        "kind": row.kind,
        "number": masked_number(row.number_tail),
        "status": row.status,
        "reason": row.reason,
        "valid_to": None if row.valid_to is None else row.valid_to.isoformat(),
    }
