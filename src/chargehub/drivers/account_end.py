"""What a driver may ask of all that is kept of them: a copy, and the end of the account."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.drivers.account_parts import AccountPart
from chargehub.drivers.accounts import NAME, PHONE, find_account
from chargehub.drivers.cards import nobodys, read_own_tokens
from chargehub.drivers.logins import DriverLogins
from chargehub.drivers.store import (
    driver_login_codes,
    driver_logins,
    drivers,
    id_tokens,
    vehicles,
)
from chargehub.drivers.vehicles import Garage, find_default, read_vehicles
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import Conflict
from chargehub.kit.sealing import Seal


class AccountInUse(Conflict):
    """Something of yours is still under way; end it first."""

    code = "account-in-use"


class AccountEnd:
    def __init__(
        self,
        database: Database,
        clock: HubClock,
        seal: Seal,
        *,
        logins: DriverLogins,
        garage: Garage,
        parts: tuple[AccountPart, ...],
    ) -> None:
        self._database = database
        self._clock = clock
        self._seal = seal
        self._logins = logins
        self._garage = garage
        self._parts = parts

    def full_phone(self, row: Row[Any]) -> str:
        sealed = row.phone_sealed
        return "" if sealed is None else self._seal.open_text(sealed, f"{PHONE}/{row.id}")

    def full_name(self, row: Row[Any]) -> str:
        sealed = row.name_sealed
        return "" if sealed is None else self._seal.open_text(sealed, f"{NAME}/{row.id}")

    async def export(self, driver_id: UUID) -> dict[str, Any]:
        """Return all that the hub keeps of this driver, as JSON, a member for each part."""
        devices = await self._logins.list_devices(driver_id)
        async with self._database.read() as connection:
            row = await find_account(connection, driver_id)
            tokens = await read_own_tokens(connection, driver_id)
            default = await find_default(connection, driver_id)
            kept: dict[str, Any] = {
                "exported_at": self._clock.now(),
                "account": {
                    "driver_id": row.id,
                    "phone": self.full_phone(row),
                    "name": self.full_name(row),
                    "language": row.language,
                    "kinds": row.kinds,
                    "wechat_bound": row.wechat_fingerprint is not None,
                    "created_at": row.created_at,
                    "guest_until": row.guest_until,
                },
                "vehicles": [
                    asdict(self._garage.opened(vehicle, default))
                    for vehicle in await read_vehicles(connection, [driver_id])
                ],
                "id_tokens": [
                    {
                        "token": token.display,
                        "kind": token.kind,
                        "status": token.status,
                        "group": token.group_token,
                        "holder": token.holder,
                        "expires_at": token.expires_at,
                    }
                    for token in tokens
                ],
                "logins": [
                    {
                        "device_name": device.device_name,
                        "created_at": device.created_at,
                        "expires_at": device.expires_at,
                    }
                    for device in devices
                ],
            }
            for part in self._parts:
                kept[part.name] = await part.export(connection, driver_id)
        return kept

    async def close(self, driver_id: UUID) -> None:
        """Close the account: its logins end, its idTokens are blocked, personal data are erased.

        What was charged stays, under an id that leads to nobody. Raises AccountInUse.
        """
        now = self._clock.now()
        async with self._database.write() as connection:
            row = await find_account(connection, driver_id, lock=True)
            obstacles = [
                said
                for part in self._parts
                if (said := await part.obstacle(connection, driver_id)) is not None
            ]
            if obstacles:
                raise AccountInUse(" ".join(obstacles), obstacles=obstacles)
            for part in self._parts:
                await part.erase(connection, driver_id, now)
            await _erase(connection, row)
            await connection.execute(
                update(drivers)
                .where(drivers.c.id == driver_id)
                .values(
                    phone_sealed=None,
                    phone_fingerprint=None,
                    wechat_fingerprint=None,
                    name_sealed=None,
                    language="zh",
                    kinds=[],
                    closed_at=now,
                )
            )
            await audit(connection, now, "driver", "driver.closed", str(driver_id))


async def _erase(connection: AsyncConnection, row: Row[Any]) -> None:
    await connection.execute(delete(driver_logins).where(driver_logins.c.driver_id == row.id))
    await connection.execute(delete(vehicles).where(vehicles.c.driver_id == row.id))
    await connection.execute(
        update(id_tokens).where(id_tokens.c.driver_id == row.id).values(nobodys())
    )
    if row.phone_fingerprint is not None:
        await connection.execute(
            delete(driver_login_codes).where(
                driver_login_codes.c.phone_fingerprint == row.phone_fingerprint,
                # A lock outlives the account: else closing it would be a way around.
                driver_login_codes.c.locked_until.is_(None),
            )
        )
