"""Asks the group committer whether it still commits: an empty item goes its whole way.

Readiness needs the answer: sockets stay open and the database answers while nothing is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection

from chargehub.kit.group_commit import Decision, GroupCommitter, Item, Row, Writes

KEY = "commit-probe"


class _Nothing:
    """Reads nothing, writes nothing."""

    async def read(self, _connection: AsyncConnection[Row], _items: Sequence[Item[None]]) -> None:
        """Need no facts."""

    def decide(self, _item: Item[None], _facts: None, _writes: Writes) -> Decision[bool]:
        return Decision(reply=True)


@dataclass(slots=True)
class CommitProbe:
    committer: GroupCommitter
    _handler: _Nothing = field(default_factory=_Nothing)
    _under_way: asyncio.Future[Any] | None = None

    async def commits(self) -> bool:
        """Say true once everything that waited before is committed; the caller sets the limit.

        Whoever asks meanwhile shares the answer: probes of one key would queue up.
        """
        if self._under_way is None or self._under_way.done():
            self._under_way = self.committer.submit(KEY, None, self._handler, None)
        # Shielded: one asker's patience must not end the others' question.
        return bool(await asyncio.shield(self._under_way))
