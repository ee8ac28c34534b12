"""What this package keeps of a driver beside the account: inbox, answers to repeated requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.account_parts import AccountPart
from chargehub.drivers.inbox import forget_inbox, hand_over_inbox, read_messages
from chargehub.kit.idempotency import forget_keys


class InboxPart(AccountPart):
    name = "inbox"

    async def erase(self, connection: AsyncConnection, driver_id: UUID, at: datetime) -> None:
        del at
        await forget_inbox(connection, driver_id)

    async def take_over(self, connection: AsyncConnection, guest_id: UUID, driver_id: UUID) -> None:
        await hand_over_inbox(connection, guest_id, driver_id)

    async def export(self, connection: AsyncConnection, driver_id: UUID) -> Any:
        rows = await read_messages(connection, driver_id, after=None, limit=None)
        return [
            {
                "kind": row.kind,
                "facts": row.facts,
                "at": row.at.isoformat(),
                "read_at": row.read_at and row.read_at.isoformat(),
            }
            for row in rows
        ] or None


class KeptAnswersPart(AccountPart):
    """They are gone in a day by themselves; what they said is in the other parts' exports."""

    name = "kept_answers"

    async def erase(self, connection: AsyncConnection, driver_id: UUID, at: datetime) -> None:
        del at
        await forget_keys(connection, driver_id)

    async def take_over(self, connection: AsyncConnection, guest_id: UUID, driver_id: UUID) -> None:
        """Nothing: a key was the guest's."""


OWN_PARTS: tuple[AccountPart, ...] = (InboxPart(), KeptAnswersPart())
