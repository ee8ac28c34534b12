"""The handler of the group commit whose decision needs nothing but the report.

Others are a `BatchHandler` of their own, with facts read for the whole batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from psycopg import AsyncConnection

from chargehub.kit.group_commit import Decision, Item, Writes

ReportT = TypeVar("ReportT")
ReplyT = TypeVar("ReplyT")


class ReportHandler(ABC, Generic[ReportT, ReplyT]):
    """Reads nothing; says in `decide_report` what follows from one report."""

    __slots__ = ()

    async def read(self, connection: AsyncConnection[Any], items: Sequence[Item[ReportT]]) -> None:
        """Need nothing."""

    def decide(
        self,
        item: Item[ReportT],
        facts: None,  # noqa: ARG002 - part of every handler's shape
        writes: Writes,
    ) -> Decision[ReplyT]:
        return self.decide_report(item.report, writes)

    @abstractmethod
    def decide_report(self, report: ReportT, writes: Writes) -> Decision[ReplyT]:
        """Decide on one report: no I/O, no clock, memory untouched until `on_commit`."""
