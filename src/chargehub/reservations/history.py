"""What a driver's earlier reservations say of the next one.

No-shows outlast the account: else closing it would be the way around a suspension. Their times are
kept under the fingerprints of its phone and its WeChat identity while any rules count them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.store import drivers
from chargehub.kit import jobs
from chargehub.kit.db import Database
from chargehub.reservations.rules import History, Terms
from chargehub.reservations.store import (
    OPEN,
    no_shows_of_closed,
    reservation_rules,
    reservations,
)

D = drivers.c
K = no_shows_of_closed.c
R = reservations.c


async def read_history(
    connection: AsyncConnection, driver_id: UUID, terms: Terms, now: datetime, *, verified: bool
) -> History:
    """Return what counts under these terms; turns in the queue are no bookings."""
    since = now - timedelta(days=terms.no_show_days + terms.suspension_days)
    rows = await connection.execute(
        select(R.status, R.hold_until, R.ended_at).where(
            R.driver_id == driver_id,
            R.queue_entry_id.is_(None),
            or_(
                R.status.in_(OPEN) & (R.hold_until > now),
                (R.status == "no_show") & (R.ended_at >= since),
            ),
        )
    )
    found = list(rows)
    same_person = or_(K.fingerprint == D.phone_fingerprint, K.fingerprint == D.wechat_fingerprint)
    of_closed = await connection.scalars(
        # Known by phone and by WeChat, one is still one.
        select(K.at).distinct().join(drivers, same_person).where(D.id == driver_id, K.at >= since)
    )
    return History(
        [row.hold_until for row in found if row.status in OPEN],
        [*of_closed, *(row.ended_at for row in found if row.status == "no_show")],
        verified,
    )


async def keep_no_shows(connection: AsyncConnection, driver_id: UUID) -> None:
    """Keep their times beyond the account, which is about to be erased."""
    for fingerprint in (D.phone_fingerprint, D.wechat_fingerprint):
        missed = (
            select(fingerprint, R.ended_at)
            .join(drivers, D.id == R.driver_id)
            .where(
                D.id == driver_id,
                fingerprint.is_not(None),
                R.status == "no_show",
                R.queue_entry_id.is_(None),
            )
        )
        row = insert(no_shows_of_closed).from_select(["fingerprint", "at"], missed)
        await connection.execute(row.on_conflict_do_nothing())


async def forget_no_shows(database: Database, now: datetime) -> None:
    """Delete those of closed accounts that no rules, past or to come, count any more."""
    async with database.read() as connection:
        days = await connection.scalar(
            select(func.max(_days("no_show_days") + _days("suspension_days")))
        )
    usual = Terms()
    kept = timedelta(days=max(days or 0, usual.no_show_days + usual.suspension_days))
    await jobs.prune(database, K.at, now - kept)


def _days(name: str) -> ColumnElement[int]:
    stated = reservation_rules.c.terms[name].astext.cast(Integer)
    return func.coalesce(stated, getattr(Terms(), name))
