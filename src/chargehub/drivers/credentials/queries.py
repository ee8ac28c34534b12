"""The SQL of credentials.

Whoever changes a driver's credentials holds the lock of the driver's row (`find_account`), so that
all of one driver is decided one after another. Between drivers the unique index decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, exists, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.credentials.rules import (
    CredentialKind,
    CredentialStatus,
    HeldCredential,
    kinds_verified,
)
from chargehub.drivers.credentials.store import (
    credential_images,
    driver_credentials,
    waiting_credentials,
)
from chargehub.drivers.store import drivers
from chargehub.kit.errors import NotFound

Rows = Sequence[Row[Any]]
_UNCHANGED = text(
    """
    SELECT u.line
    FROM unnest(CAST(:lines AS integer[]), CAST(:phones AS bytea[]), CAST(:kinds AS text[]),
                CAST(:numbers AS bytea[]), CAST(:ends AS date[]))
         AS u(line, phone, kind, number, ends)
    LEFT JOIN drivers d ON d.phone_fingerprint = u.phone AND d.closed_at IS NULL
    LEFT JOIN driver_credentials c ON c.kind = u.kind AND c.number_fingerprint = u.number
         AND c.status IN ('pending', 'approved') AND c.renews IS NULL
    LEFT JOIN waiting_credentials w ON w.kind = u.kind AND w.number_fingerprint = u.number
    WHERE (c.driver_id = d.id AND c.status = 'approved' AND c.valid_to >= u.ends AND w.id IS NULL)
       OR (d.id IS NULL AND c.id IS NULL AND w.phone_fingerprint = u.phone
           AND w.valid_to >= u.ends)
    """
)
PENDING, APPROVED = CredentialStatus.PENDING.value, CredentialStatus.APPROVED.value


async def verified_kinds(
    connection: AsyncConnection, driver_id: UUID, on: date
) -> frozenset[CredentialKind]:
    """Return which credentials of the driver count on this day of the hub (`rules.local_day`).

    What benefits, prices and reservation rules ask.
    """
    row = driver_credentials.c
    query = select(row.kind, row.status, row.valid_from, row.valid_to).where(
        row.driver_id == driver_id, row.status.in_([APPROVED, CredentialStatus.EXPIRED.value])
    )
    found = (await connection.execute(query)).all()
    return kinds_verified(
        (
            HeldCredential(
                CredentialKind(item.kind),
                CredentialStatus(item.status),
                item.valid_from,
                item.valid_to,
            )
            for item in found
        ),
        on,
    )


def _described() -> Select[Any]:
    """Select credentials with what is beside them."""
    image = exists().where(credential_images.c.credential_id == driver_credentials.c.id)
    named = exists().where(
        waiting_credentials.c.kind == driver_credentials.c.kind,
        waiting_credentials.c.number_fingerprint == driver_credentials.c.number_fingerprint,
    )
    return select(
        driver_credentials, image.label("has_image"), named.label("named_for_another_phone")
    )


async def read_credentials(
    connection: AsyncConnection,
    driver_id: UUID,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Rows:
    """Return a driver's credentials, the newest first."""
    order = (driver_credentials.c.created_at, driver_credentials.c.id)
    query = _described().where(driver_credentials.c.driver_id == driver_id)
    if after is not None:
        query = query.where(tuple_(*order) < after)
    query = query.order_by(*(column.desc() for column in order)).limit(limit)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def read_reviews(
    connection: AsyncConnection,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
    status: str,
    kind: str | None = None,
    driver_id: UUID | None = None,
) -> Rows:
    """Return credentials of all drivers, the longest waiting first."""
    order = (driver_credentials.c.created_at, driver_credentials.c.id)
    query = _described().where(driver_credentials.c.status == status)
    if kind is not None:
        query = query.where(driver_credentials.c.kind == kind)
    if driver_id is not None:
        query = query.where(driver_credentials.c.driver_id == driver_id)
    if after is not None:
        query = query.where(tuple_(*order) > after)
    rows: Rows = (await connection.execute(query.order_by(*order).limit(limit))).all()
    return rows


async def find_credential(
    connection: AsyncConnection, credential_id: UUID, *, driver_id: UUID | None = None
) -> Row[Any]:
    """Return one credential; NotFound when there is none, or none of this driver."""
    query = _described().where(driver_credentials.c.id == credential_id)
    if driver_id is not None:
        query = query.where(driver_credentials.c.driver_id == driver_id)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such credential.")
    return row


async def find_in_force(
    connection: AsyncConnection, kind: str, fingerprint: bytes
) -> Row[Any] | None:
    """Return the credential that has this number: pending or approved, whosever it is.

    Of several that follow each other it is the first.
    """
    query = select(driver_credentials).where(
        driver_credentials.c.kind == kind,
        driver_credentials.c.number_fingerprint == fingerprint,
        driver_credentials.c.status.in_([PENDING, APPROVED]),
        driver_credentials.c.renews.is_(None),
    )
    return (await connection.execute(query)).one_or_none()


async def find_last_of(connection: AsyncConnection, first: Row[Any] | None) -> UUID | None:
    """Return the last of the credentials in force that renew each other, from this one on."""
    last = None if first is None else first.id
    row = driver_credentials.c
    while last is not None:
        following = await connection.scalar(select(row.id).where(row.renews == last))
        if following is None:
            break
        last = following
    return last


async def find_pending(connection: AsyncConnection, driver_id: UUID, kind: str) -> Row[Any] | None:
    query = select(driver_credentials).where(
        driver_credentials.c.driver_id == driver_id,
        driver_credentials.c.kind == kind,
        driver_credentials.c.status == PENDING,
    )
    return (await connection.execute(query)).one_or_none()


async def read_recent_submissions(
    connection: AsyncConnection, driver_id: UUID, since: datetime
) -> list[datetime]:
    """Return when the driver entered credentials, the oldest first."""
    row = driver_credentials.c
    query = select(row.created_at).where(
        row.driver_id == driver_id, row.source == "driver", row.created_at > since
    )
    return list(await connection.scalars(query.order_by(row.created_at)))


async def insert_credential(connection: AsyncConnection, values: dict[str, Any]) -> bool:
    """Insert it; return False where another account has the number."""
    inserted = await connection.execute(
        insert(driver_credentials)
        .values(values)
        .on_conflict_do_nothing()
        .returning(driver_credentials.c.id)
    )
    return inserted.one_or_none() is not None


async def change_credential(
    connection: AsyncConnection, credential_id: UUID, **values: Any
) -> None:
    await connection.execute(
        update(driver_credentials).where(driver_credentials.c.id == credential_id).values(values)
    )


async def end_credential(connection: AsyncConnection, credential_id: UUID, **values: Any) -> None:
    """Take it out of force; what renews it stands in its place from now on."""
    row = driver_credentials.c
    renewed = await connection.scalar(select(row.renews).where(row.id == credential_id))
    await change_credential(connection, credential_id, renews=None, **values)
    await connection.execute(
        update(driver_credentials).where(row.renews == credential_id).values(renews=renewed)
    )


async def store_image(connection: AsyncConnection, values: dict[str, Any]) -> None:
    row = insert(credential_images).values(values)
    await connection.execute(
        row.on_conflict_do_update(index_elements=[credential_images.c.credential_id], set_=values)
    )


async def find_image(connection: AsyncConnection, credential_id: UUID) -> Row[Any] | None:
    query = select(credential_images).where(credential_images.c.credential_id == credential_id)
    return (await connection.execute(query)).one_or_none()


async def delete_image(connection: AsyncConnection, credential_id: UUID) -> None:
    await connection.execute(
        delete(credential_images).where(credential_images.c.credential_id == credential_id)
    )


async def delete_decided_images(connection: AsyncConnection, decided_before: datetime) -> int:
    # What waits for its decision has no such time.
    decided = select(driver_credentials.c.id).where(
        driver_credentials.c.decided_at <= decided_before
    )
    deleted = await connection.execute(
        delete(credential_images).where(credential_images.c.credential_id.in_(decided))
    )
    return deleted.rowcount


async def read_drivers_with_ends(connection: AsyncConnection, until: date) -> list[UUID]:
    """Return the drivers with an approved credential that ends by this day."""
    row = driver_credentials.c
    query = select(row.driver_id).where(row.status == APPROVED, row.valid_to <= until).distinct()
    return list(await connection.scalars(query))


async def read_ends(connection: AsyncConnection, driver_id: UUID, until: date) -> Rows:
    row = driver_credentials.c
    query = select(driver_credentials).where(
        row.driver_id == driver_id, row.status == APPROVED, row.valid_to <= until
    )
    return (await connection.execute(query.order_by(row.valid_to, row.id))).all()


async def delete_credentials(connection: AsyncConnection, driver_id: UUID) -> None:
    """Forget all credentials of a driver, images too."""
    await connection.execute(
        delete(driver_credentials).where(driver_credentials.c.driver_id == driver_id)
    )


async def find_driver_by_phone(connection: AsyncConnection, fingerprint: bytes) -> UUID | None:
    """Return whose phone this is, the driver's row locked; None without an open account."""
    query = select(drivers.c.id).where(
        drivers.c.phone_fingerprint == fingerprint, drivers.c.closed_at.is_(None)
    )
    found: UUID | None = await connection.scalar(query.with_for_update())
    return found


async def read_unchanged(
    connection: AsyncConnection, named: Sequence[tuple[int, bytes, str, bytes, date]]
) -> set[int]:
    """Return the lines that say what is known already; one read for all of them.

    `named`: line, fingerprint of the phone, kind, fingerprint of the number, last day.
    """
    if not named:
        return set()
    lines, phones, kinds, numbers, ends = zip(*named, strict=True)
    values = {
        "lines": list(lines),
        "phones": list(phones),
        "kinds": list(kinds),
        "numbers": list(numbers),
        "ends": list(ends),
    }
    return set(await connection.scalars(_UNCHANGED, values))


async def read_claims(connection: AsyncConnection, driver_id: UUID | None = None) -> list[UUID]:
    """Return the drivers for whose phone a credential waits: all, or this one if so."""
    query = (
        select(drivers.c.id)
        .join(
            waiting_credentials,
            waiting_credentials.c.phone_fingerprint == drivers.c.phone_fingerprint,
        )
        .where(drivers.c.closed_at.is_(None))
        .distinct()
    )
    if driver_id is not None:
        query = query.where(drivers.c.id == driver_id)
    return list(await connection.scalars(query))


async def read_waiting(connection: AsyncConnection, phone_fingerprint: bytes) -> Rows:
    query = select(waiting_credentials).where(
        waiting_credentials.c.phone_fingerprint == phone_fingerprint
    )
    return (await connection.execute(query.order_by(waiting_credentials.c.id))).all()


async def find_waiting(connection: AsyncConnection, kind: str, fingerprint: bytes) -> Any | None:
    query = select(waiting_credentials).where(
        waiting_credentials.c.kind == kind,
        waiting_credentials.c.number_fingerprint == fingerprint,
    )
    return (await connection.execute(query)).one_or_none()


async def store_waiting(connection: AsyncConnection, values: dict[str, Any]) -> None:
    row = insert(waiting_credentials).values(values)
    told = {name: value for name, value in values.items() if name != "id"}
    await connection.execute(
        row.on_conflict_do_update(
            index_elements=[
                waiting_credentials.c.kind,
                waiting_credentials.c.number_fingerprint,
            ],
            set_=told,
        )
    )


async def delete_number_waiting(connection: AsyncConnection, kind: str, fingerprint: bytes) -> None:
    await connection.execute(
        delete(waiting_credentials).where(
            waiting_credentials.c.kind == kind,
            waiting_credentials.c.number_fingerprint == fingerprint,
        )
    )


async def delete_ended_waiting(connection: AsyncConnection, today: date) -> int:
    deleted = await connection.execute(
        delete(waiting_credentials).where(waiting_credentials.c.valid_to < today)
    )
    return deleted.rowcount


async def withdraw_renewals(
    connection: AsyncConnection, credential_id: UUID, until: date, at: datetime
) -> None:
    """End what renews a credential that was renewed otherwise to this day; images go too.

    What is approved for longer stays.
    """
    row = driver_credentials.c
    last = credential_id
    while True:
        following = (
            await connection.execute(
                select(row.id, row.status, row.valid_to).where(row.renews == last)
            )
        ).one_or_none()
        if following is None:
            return
        if following.status == APPROVED and following.valid_to > until:
            last = following.id
            continue
        await end_credential(
            connection,
            following.id,
            status=CredentialStatus.WITHDRAWN.value,
            reason="renewed otherwise",
            decided_by="import",
            decided_at=at,
        )
        await delete_image(connection, following.id)
