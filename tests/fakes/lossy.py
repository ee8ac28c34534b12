"""A database whose answer to a COMMIT can get lost: committed, but nobody is told."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection, OperationalError
from sqlalchemy import make_url


class LossyConnection(AsyncConnection[Any]):
    source: LossySource

    async def commit(self) -> None:
        await super().commit()
        if self.source.lose_next:
            self.source.lose_next = False
            raise OperationalError("the answer to COMMIT got lost")


class LossySource:
    """Opens the committer's connection; `lose_next` loses the answer to one COMMIT."""

    def __init__(self, database_url: str) -> None:
        url = make_url(database_url).set(drivername="postgresql")
        self._url = url.render_as_string(hide_password=False)
        self.lose_next = False

    async def open(self) -> AsyncConnection[Any]:
        connection = await LossyConnection.connect(
            self._url, autocommit=False, options="-c timezone=UTC"
        )
        connection.source = self
        return connection
