"""Takes credentials that a taxi company names: for accounts at once, for others when they sign up.

Each row is a transaction of its own, so a bad one holds up no other and no driver waits for a file.
A file that is sent again changes nothing; what it says that is known is read in portions, so a
request that was cut off is soon where it was. A credential for a phone without an account waits
under the phone's fingerprint.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.drivers.accounts import PHONE, find_account
from chargehub.drivers.credentials import queries
from chargehub.drivers.credentials.import_file import BadLine, CredentialLine, read_file
from chargehub.drivers.credentials.rules import (
    CredentialKind,
    CredentialStatus,
    masked_number,
    number_tail,
    without_number,
)
from chargehub.drivers.credentials.service import Credentials, tell_decided, tell_end
from chargehub.kit.errors import NotFound

log = structlog.get_logger(__name__)

APPROVED, WITHDRAWN = CredentialStatus.APPROVED.value, CredentialStatus.WITHDRAWN.value
TAKEN = "Another account has this number."
PORTION = 500
"""So many rows are asked about in one read."""


class RowOutcome(StrEnum):
    APPROVED = "approved"
    RENEWED = "renewed"
    """Approved already, and now for longer."""
    WAITING = "waiting"
    """The phone has no account yet; approved when it signs up."""
    UNCHANGED = "unchanged"
    """Known as the file says."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class RowReport:
    line: int
    outcome: RowOutcome
    kind: CredentialKind | None
    number: str
    """Masked; empty where it could not be read."""
    faults: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Named:
    """A credential as a row names it: the columns of its table."""

    kind: str
    number_fingerprint: bytes
    number_tail: str
    holder: str
    issuer: str
    dates: dict[str, Any]

    @property
    def columns(self) -> dict[str, Any]:
        told = asdict(self)
        return {**told.pop("dates"), **told}


@dataclass(frozen=True, slots=True)
class CredentialImports:
    credentials: Credentials
    read_phone: Callable[[str], str]

    async def take(self, data: bytes, *, actor: str) -> list[RowReport]:
        """Take a file; return what became of each row, in its order. Raises ImportUnreadable."""
        today = self.credentials.today()
        rows = await asyncio.to_thread(read_file, data, today, self.read_phone)
        reports = []
        for begin in range(0, len(rows), PORTION):
            portion = rows[begin : begin + PORTION]
            unchanged = await self._read_unchanged(portion)
            for row in portion:
                known = row.line in unchanged
                reports.append(unchanged[row.line] if known else await self._take_row(row, actor))
        # Who signed up while the file was read.
        await self.claim_all()
        counts = {outcome.value: 0 for outcome in RowOutcome}
        for report in reports:
            counts[report.outcome.value] += 1
        async with self.credentials.database.write() as connection:
            at = self.credentials.clock.now()
            await audit(connection, at, actor, "credential.imported", "file", **counts)
        return reports

    async def _read_unchanged(
        self, rows: Sequence[CredentialLine | BadLine]
    ) -> dict[int, RowReport]:
        """Return the reports, by line, of the rows that say what is known already."""
        named, reports = [], {}
        for row in rows:
            if isinstance(row, CredentialLine):
                it = self._named(row)
                phone = self.credentials.seal.fingerprint(row.phone, PHONE)
                named.append(
                    (row.line, phone, it.kind, it.number_fingerprint, it.dates["valid_to"])
                )
                number = masked_number(it.number_tail)
                reports[row.line] = RowReport(row.line, RowOutcome.UNCHANGED, row.kind, number)
        async with self.credentials.database.read() as connection:
            found = await queries.read_unchanged(connection, named)
        return {line: reports[line] for line in found}

    async def _take_row(self, row: CredentialLine | BadLine, actor: str) -> RowReport:
        if isinstance(row, BadLine):
            number = masked_number(row.tail) if row.tail else ""
            return RowReport(row.line, RowOutcome.REFUSED, row.kind, number, row.faults)
        named = self._named(row)
        phone = self.credentials.seal.fingerprint(row.phone, PHONE)
        async with self.credentials.database.write() as connection:
            driver_id = await queries.find_driver_by_phone(connection, phone)
            if driver_id is None:
                outcome = await self._let_wait(connection, phone, named, actor)
            else:
                outcome = await self._grant(connection, driver_id, named, actor)
        faults = (("number", TAKEN),) if outcome is RowOutcome.REFUSED else ()
        return RowReport(row.line, outcome, row.kind, masked_number(named.number_tail), faults)

    def _named(self, row: CredentialLine) -> _Named:
        return _Named(
            kind=row.kind.value,
            number_fingerprint=self.credentials.fingerprint(row.number),
            number_tail=number_tail(row.number),
            holder=row.holder,
            issuer=without_number(row.issuer, lambda run: run == row.number),
            dates=asdict(row.dates),
        )

    async def _let_wait(
        self, connection: AsyncConnection, phone: bytes, named: _Named, actor: str
    ) -> RowOutcome:
        number = (named.kind, named.number_fingerprint)
        if await queries.find_in_force(connection, *number) is not None:
            return RowOutcome.REFUSED
        known = await queries.find_waiting(connection, *number)
        if (
            known is not None
            and known.phone_fingerprint == phone
            and known.valid_to >= named.dates["valid_to"]
        ):
            return RowOutcome.UNCHANGED
        await queries.store_waiting(
            connection,
            {
                "id": uuid.uuid4(),
                "phone_fingerprint": phone,
                **named.columns,
                "imported_by": actor,
                "imported_at": self.credentials.clock.now(),
            },
        )
        return RowOutcome.WAITING

    async def _grant(
        self, connection: AsyncConnection, driver_id: UUID, named: _Named, actor: str
    ) -> RowOutcome:
        """Approve for this driver, whose row is locked; REFUSED where another has the number."""
        at = self.credentials.clock.now()
        known = await queries.find_in_force(connection, named.kind, named.number_fingerprint)
        if known is not None and known.driver_id != driver_id:
            return RowOutcome.REFUSED
        # What waited for another phone: the account's own number is the one that counts.
        await queries.delete_number_waiting(connection, named.kind, named.number_fingerprint)
        if known is not None and known.status == APPROVED:
            if known.valid_to >= named.dates["valid_to"]:
                return RowOutcome.UNCHANGED
            await self._lengthen(connection, known, named, actor, at)
            return RowOutcome.RENEWED
        decision = {"status": APPROVED, "decided_by": actor, "decided_at": at}
        if known is not None:
            credential_id = known.id
            told = {name: value for name, value in named.columns.items() if value}
            await queries.change_credential(connection, credential_id, **told, **decision)
        else:
            credential_id = uuid.uuid4()
            values = {"id": credential_id, "driver_id": driver_id, "source": "import"}
            values |= {**named.columns, **decision, "created_at": at}
            if not await queries.insert_credential(connection, values):
                return RowOutcome.REFUSED
        await self._tell(connection, credential_id, actor, "approved", at)
        return RowOutcome.APPROVED

    async def _lengthen(
        self,
        connection: AsyncConnection,
        known: Row[Any],
        named: _Named,
        actor: str,
        at: datetime,
    ) -> None:
        values: dict[str, Any] = {"valid_to": named.dates["valid_to"], "noticed_days": None}
        values |= {name: text for name in ("holder", "issuer") if (text := getattr(named, name))}
        await queries.change_credential(connection, known.id, **values)
        await queries.withdraw_renewals(connection, known.id, named.dates["valid_to"], at)
        await self._tell(connection, known.id, actor, "renewed", at)

    async def _tell(
        self, connection: AsyncConnection, credential_id: UUID, actor: str, act: str, at: datetime
    ) -> None:
        row = await queries.find_credential(connection, credential_id)
        await audit(
            connection,
            at,
            actor,
            f"credential.{act}",
            str(row.id),
            kind=row.kind,
            number=masked_number(row.number_tail),
            driver_id=str(row.driver_id),
            source="import",
        )
        await tell_decided(connection, row, at)
        # The next day's look would be late for one that ends today.
        await tell_end(connection, row, self.credentials.today(), at)

    async def claim(self, subject: str, _payload: Mapping[str, Any]) -> None:
        """Give a driver who has signed up what waits for their phone; again does nothing."""
        async with self.credentials.database.read() as connection:
            found = await queries.read_claims(connection, UUID(subject))
        for driver_id in found:
            await self._claim(driver_id)

    async def claim_all(self) -> None:
        """Give every driver what waits for their phone, as after a change of phone."""
        async with self.credentials.database.read() as connection:
            found = await queries.read_claims(connection)
        for driver_id in found:
            await self._claim(driver_id)

    async def _claim(self, driver_id: UUID) -> None:
        today = self.credentials.today()
        async with self.credentials.database.write() as connection:
            try:
                driver = await find_account(connection, driver_id, lock=True)
            except NotFound:  # Closed meanwhile.
                return
            if driver.phone_fingerprint is None:
                return
            for row in await queries.read_waiting(connection, driver.phone_fingerprint):
                if row.valid_to < today:
                    continue
                named = _Named(
                    row.kind,
                    row.number_fingerprint,
                    row.number_tail,
                    row.holder,
                    row.issuer,
                    {name: getattr(row, name) for name in ("issued_on", "valid_from", "valid_to")},
                )
                outcome = await self._grant(connection, driver_id, named, row.imported_by)
                if outcome is RowOutcome.REFUSED:
                    log.info("waiting_number_taken", waiting_id=str(row.id))
