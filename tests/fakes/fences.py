"""Fences for committers in tests: one that is always open, one with a list."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection

from chargehub.kit.group_commit import Item, StaleKeys


@dataclass
class ListFence:
    """Shut for the keys in `stale`; open for all where there are none."""

    stale: set[Hashable] = field(default_factory=set)

    async def ask(self, _connection: AsyncConnection[Any], items: Sequence[Item[Any]]) -> StaleKeys:
        async def stale_keys() -> set[Hashable]:
            return {item.key for item in items if item.fence is not None} & self.stale

        return stale_keys
