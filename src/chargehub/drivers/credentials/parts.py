"""The parts of credentials, wired for features.py: what the routers find and what falls due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.account_parts import AccountPart
from chargehub.drivers.account_rules import normalise_phone
from chargehub.drivers.accounts import SIGNED_UP
from chargehub.drivers.credentials import queries
from chargehub.drivers.credentials.daily import DAILY, CredentialsDaily
from chargehub.drivers.credentials.imports import CredentialImports
from chargehub.drivers.credentials.rules import CredentialKind, local_day
from chargehub.drivers.credentials.service import CredentialRules, Credentials
from chargehub.drivers.credentials.views import credential_view
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.sealing import Seal
from chargehub.kit.worker import DueAction, OutboxAction


@dataclass(frozen=True, slots=True)
class CredentialParts:
    credentials: Credentials
    imports: CredentialImports
    daily: CredentialsDaily

    @classmethod
    def build(
        cls,
        database: Database,
        clock: HubClock,
        seal: Seal,
        *,
        time_zone: str,
        image_days: int,
    ) -> CredentialParts:
        rules = CredentialRules(ZoneInfo(time_zone), image_days)
        credentials = Credentials(database, clock, seal, rules)
        imports = CredentialImports(credentials, normalise_phone)
        return cls(credentials, imports, CredentialsDaily(credentials, imports))

    async def is_taxi_driver(
        self, connection: AsyncConnection, driver_id: UUID, at: datetime
    ) -> bool:
        """Tell whether the driver has an approved taxi qualification at this time."""
        day = local_day(at, self.credentials.rules.zone)
        held = await queries.verified_kinds(connection, driver_id, day)
        return CredentialKind.TAXI_QUALIFICATION in held

    def for_routers(self) -> tuple[object, ...]:
        return self.credentials, self.imports

    def of_account(self) -> AccountPart:
        return AccountCredentials(self.credentials)

    def due(self) -> dict[str, DueAction]:
        return {DAILY: self.daily.act}

    def topics(self) -> dict[str, OutboxAction]:
        return {SIGNED_UP: self.imports.claim}


class AccountCredentials(AccountPart):
    """What an account's export shows of credentials, and that its end forgets them."""

    name = "credentials"

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def erase(self, connection: AsyncConnection, driver_id: UUID, at: datetime) -> None:
        del at
        await queries.delete_credentials(connection, driver_id)

    async def take_over(self, connection: AsyncConnection, guest_id: UUID, driver_id: UUID) -> None:
        """Do nothing: a guest has no credentials."""

    async def export(self, connection: AsyncConnection, driver_id: UUID) -> Any:
        rows = await queries.read_credentials(connection, driver_id, after=None, limit=10_000)
        today = self._credentials.today()
        return [credential_view(row, today).model_dump(mode="json") for row in rows]
