"""The SQL of idTokens as REST reads and writes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.store import id_tokens
from chargehub.kit.errors import NotFound
from chargehub.stations.store import locations

Rows = Sequence[Row[Any]]


async def read_id_tokens(
    connection: AsyncConnection,
    *,
    after: str | None,
    limit: int,
    group: str | None = None,
    status: str | None = None,
) -> Rows:
    """Return idTokens by their text; `group` in any case."""
    query = select(id_tokens).order_by(id_tokens.c.token).limit(limit)
    if group is not None:
        query = query.where(func.lower(id_tokens.c.group_token) == group.lower())
    if status is not None:
        query = query.where(id_tokens.c.status == status)
    if after is not None:
        query = query.where(id_tokens.c.token > after)
    return (await connection.execute(query)).all()


async def find_id_token(connection: AsyncConnection, token: str, *, lock: bool = False) -> Row[Any]:
    query = select(id_tokens).where(id_tokens.c.token == token.lower())
    if lock:
        query = query.with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such idToken.")
    return row


async def spell_group(connection: AsyncConnection, token: str, group: str) -> str:
    """Return the group in the case that its other tokens have it in: one group, one spelling."""
    query = select(id_tokens.c.group_token).where(
        func.lower(id_tokens.c.group_token) == group.lower(), id_tokens.c.token != token.lower()
    )
    found: str | None = await connection.scalar(query.order_by(id_tokens.c.token).limit(1))
    return found or group


async def store_id_token(connection: AsyncConnection, token: str, values: dict[str, Any]) -> bool:
    """Insert or replace; return whether it was new."""
    known = await connection.execute(
        select(id_tokens.c.token).where(id_tokens.c.token == token.lower()).with_for_update()
    )
    is_new = known.one_or_none() is None
    await connection.execute(
        insert(id_tokens)
        .values(token=token.lower(), display=token, **values)
        .on_conflict_do_update(
            index_elements=[id_tokens.c.token], set_={"display": token, **values}
        )
    )
    return is_new


async def set_status(connection: AsyncConnection, token: str, status: str) -> Row[Any]:
    """Accept or block an idToken, as staff say; raise NotFound."""
    await find_id_token(connection, token, lock=True)
    query = (
        id_tokens.update()
        .where(id_tokens.c.token == token.lower())
        .values(status=status, blocked_as_nobodys=False)
        .returning(id_tokens)
    )
    row: Row[Any] = (await connection.execute(query)).one()
    return row


async def remove_id_token(connection: AsyncConnection, token: str) -> None:
    await find_id_token(connection, token, lock=True)
    await connection.execute(delete(id_tokens).where(id_tokens.c.token == token.lower()))


async def find_missing_locations(
    connection: AsyncConnection, location_ids: Collection[str]
) -> list[str]:
    """Return those of the Locations that do not exist."""
    known = await connection.scalars(select(locations.c.id).where(locations.c.id.in_(location_ids)))
    return sorted(set(location_ids) - set(known))
