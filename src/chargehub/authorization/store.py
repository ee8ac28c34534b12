"""Reads what is known of idTokens, one set query for a whole batch."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from psycopg import AsyncConnection

from chargehub.authorization.decision import TokenFact


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
