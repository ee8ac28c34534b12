"""What other parts of the hub keep of a driver, and have a say in when an account ends.

A part that stores something under a driver's id is an AccountPart; features.py hands all of them
over.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection


class AccountPart(Protocol):
    """Subclass it and override what concerns the part, in the account's transaction if async."""

    name: str
    """The member of the export that holds what `export` returns."""

    async def obstacle(self, connection: AsyncConnection, driver_id: UUID) -> str | None:
        """Say what has to end before the account may be closed; None: nothing."""
        del connection, driver_id
        return None

    async def erase(self, connection: AsyncConnection, driver_id: UUID, at: datetime) -> None:
        """Erase the driver's personal data; facts of orders stay under the id alone."""
        del connection, driver_id, at

    async def take_over(self, connection: AsyncConnection, guest_id: UUID, driver_id: UUID) -> None:
        """Give what is the guest's to the account that they turned out to have."""
        del connection, guest_id, driver_id

    def taken_over(self, guest_id: UUID) -> None:
        """Tell who watches what was the guest's; called once `take_over` is committed."""
        del guest_id

    async def export(self, connection: AsyncConnection, driver_id: UUID) -> Any:
        """Return all that is kept of the driver, as JSON; None: nothing is."""
        del connection, driver_id
        return None
