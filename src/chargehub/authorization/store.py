"""Reads what is known of idTokens: for a whole batch by one set query, or for one token."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection

from chargehub.authorization.decision import TokenFact
from chargehub.drivers.store import id_tokens


@dataclass(frozen=True, slots=True)
class StoredToken:
    display: str
    kind: str
    fact: TokenFact


async def find_token_fact(connection: SqlConnection, token: str) -> StoredToken | None:
    """Return one token, in the spelling and of the kind it was entered with."""
    row = (
        await connection.execute(select(id_tokens).where(id_tokens.c.token == token.lower()))
    ).one_or_none()
    if row is None:
        return None
    fact = TokenFact(row.status == "Blocked", row.group_token, row.expires_at)
    return StoredToken(row.display, row.kind, fact)


async def read_token_facts(
    connection: AsyncConnection[tuple[Any, ...]], tokens: Collection[str]
) -> dict[str, TokenFact]:
    """Return the facts by lower-case token; an unknown token is absent."""
    wanted = {token.lower() for token in tokens if token}
    if not wanted:
        return {}
    cursor = await connection.execute(
        "SELECT token, status = 'Blocked', group_token, expires_at FROM id_tokens"
        " WHERE token = ANY(%s)",
        (list(wanted),),
    )
    return {row[0]: TokenFact(row[1], row[2], row[3]) for row in await cursor.fetchall()}
