"""The port to the domain: a version-free report goes in, its reply comes out after COMMIT.

Any protocol's connections use it. Which feature handles which report is in `handlers`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chargehub.kit.group_commit import BatchHandler, Decided, GroupCommitter
from chargehub.stations.reports import Connected, ConnectionGranted, Disconnected


@dataclass(slots=True)
class Intake:
    committer: GroupCommitter
    handlers: Mapping[type, BatchHandler[Any, Any, Any]]

    def submit(self, station_id: int, epoch: int | None, report: Any) -> asyncio.Future[Any]:
        """Hand in a report of the connection `epoch`, or of none; await the reply.

        Raises what GroupCommitter.submit says.
        """
        return self.committer.submit(station_id, epoch, self.handlers[type(report)], report)

    def hand_in(self, station_id: int, epoch: int, report: Any, decided: Decided) -> None:
        """Hand in a report; `decided` is called with its reply, or its error, after COMMIT.

        Raises CommitQueueFull.
        """
        self.committer.hand_in(station_id, epoch, self.handlers[type(report)], report, decided)

    async def connect(self, report: Connected) -> ConnectionGranted | None:
        """Take a socket into service; None where its station is no longer what it was."""
        granted: ConnectionGranted | None = await self.committer.submit(
            report.station_id, None, self.handlers[Connected], report
        )
        return granted

    async def disconnect(self, report: Disconnected) -> None:
        await self.committer.submit(report.station_id, None, self.handlers[Disconnected], report)
