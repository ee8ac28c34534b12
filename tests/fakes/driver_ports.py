"""What stands around drivers' accounts: a sender of text messages that keeps them, and others."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.account_parts import AccountPart
from chargehub.drivers.ports import SmsNotSent, WeChatRefused


class FakeSms:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.fails = False

    async def send_code(self, phone: str, code: str, language: str) -> None:
        if self.fails:
            raise SmsNotSent
        self.sent.append((phone, code, language))

    def code_of(self, phone: str) -> str:
        """Return the newest code that went to a phone."""
        return next(code for to, code, _ in reversed(self.sent) if to == phone)


class FakeWeChat:
    """The code `wx-<open id>` is good once."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    async def open_id_of(self, code: str) -> str:
        if not code.startswith("wx-") or code in self._used:
            raise WeChatRefused
        self._used.add(code)
        return code.removeprefix("wx-").partition("#")[0]


class FakeAccountPart(AccountPart):
    """Keeps a number for each driver whom a test names, as a part that is busy may."""

    name = "numbers"

    def __init__(self) -> None:
        self.numbers: dict[UUID, int] = {}
        self.busy: set[UUID] = set()

    async def obstacle(self, connection: AsyncConnection, driver_id: UUID) -> str | None:
        del connection
        return "A number is still being counted." if driver_id in self.busy else None

    async def erase(self, connection: AsyncConnection, driver_id: UUID, at: datetime) -> None:
        del connection, at
        self.numbers.pop(driver_id, None)

    async def take_over(self, connection: AsyncConnection, guest_id: UUID, driver_id: UUID) -> None:
        del connection
        self.numbers[driver_id] = self.numbers.pop(guest_id, 0)

    async def export(self, connection: AsyncConnection, driver_id: UUID) -> Any:
        del connection
        return self.numbers.get(driver_id)
