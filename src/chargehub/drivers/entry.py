"""How a driver comes in: by phone and one-time code, by WeChat, or as a guest.

The first login opens the account. Whoever was a guest until then keeps their idToken. Nothing that
is answered before the right code tells whether a phone has an account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.access.audit import audit
from chargehub.drivers.account_parts import AccountPart
from chargehub.drivers.account_rules import AddressBudget, Redemption, mask_phone
from chargehub.drivers.accounts import (
    WECHAT,
    close_guest_into,
    find_account,
    find_by_phone,
    find_by_wechat,
    make_account_of_guest,
    open_account,
    set_phone,
)
from chargehub.drivers.codes import PhoneCodes
from chargehub.drivers.logins import LIFETIME, DriverLogins, DriverPrincipal, IssuedDriverLogin
from chargehub.drivers.ports import (
    DriverPorts,
    SmsNotConfigured,
    SmsNotSent,
    WeChatNotConfigured,
)
from chargehub.drivers.store import drivers
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.errors import ChargeHubError, Conflict, Unauthenticated
from chargehub.kit.http import TooManyRequests
from chargehub.kit.sealing import Seal

log = structlog.get_logger(__name__)

GUEST_LIFETIME = timedelta(hours=24)
CODES_PER_ADDRESS = 60
LOGINS_PER_ADDRESS = 300
GUESTS_PER_ADDRESS = 60


class WrongCode(Unauthenticated):
    """The code is wrong, or there is none for this phone."""

    code = "wrong-code"


class CodeExpired(Unauthenticated):
    """The code is too old; ask for another."""

    code = "code-expired"


class PhoneLocked(TooManyRequests):
    """Too many wrong codes for this phone; wait."""

    code = "phone-locked"


class PhoneTaken(Conflict):
    """This phone has an account of its own."""

    code = "phone-taken"


class WeChatTaken(Conflict):
    """This WeChat account belongs to another driver."""

    code = "wechat-taken"


@dataclass(frozen=True, slots=True)
class Budgets:
    """What one address may have in an hour."""

    codes: AddressBudget = field(default_factory=lambda: AddressBudget(CODES_PER_ADDRESS))
    logins: AddressBudget = field(default_factory=lambda: AddressBudget(LOGINS_PER_ADDRESS))
    guests: AddressBudget = field(default_factory=lambda: AddressBudget(GUESTS_PER_ADDRESS))


@dataclass(frozen=True, slots=True)
class Entered:
    login: IssuedDriverLogin
    is_new: bool
    """Whether the account was opened by this login."""
    device_token: str | None = None
    """After a login by phone: that this device has proved it."""


@dataclass(frozen=True, slots=True)
class Device:
    """What a login tells of itself."""

    name: str
    address: str
    language: str = "zh"
    token: str = ""
    """Of its last login by the phone."""


class DriverEntry:
    def __init__(
        self,
        database: Database,
        clock: HubClock,
        seal: Seal,
        logins: DriverLogins,
        ports: DriverPorts,
        *,
        budgets: Budgets | None = None,
        parts: Iterable[AccountPart] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._seal = seal
        self._logins = logins
        self.ports = ports
        self.budgets = budgets or Budgets()
        self._parts = tuple(parts)
        self.codes = PhoneCodes(seal)

    @property
    def _wall(self) -> Callable[[], datetime]:
        return self._logins.wall

    async def send_code(self, phone: str, device: Device) -> None:
        """Send a one-time code to a normalised phone, whether it has an account or not.

        Raises SmsNotConfigured, TooManyRequests, PhoneLocked or SmsNotSent.
        """
        sms = self.ports.sms
        if sms is None:
            raise SmsNotConfigured
        self._spend(self.budgets.codes, device.address)
        async with self._database.write() as connection:
            code = await self.codes.make(connection, phone, self._wall(), device.token)
        if isinstance(code, int):
            raise TooManyRequests(
                "A code was sent to this phone a moment ago, or too often; wait.",
                retry_after_s=code,
            )
        try:
            await sms.send_code(phone, code, device.language)
        except SmsNotSent:
            log.warning("driver_code_not_sent", phone=mask_phone(phone))
            async with self._database.write() as connection:
                await self.codes.forget(connection, phone, device.token)
            raise

    async def log_in(
        self, phone: str, code: str, device: Device, guest: DriverPrincipal | None = None
    ) -> Entered:
        """Log in by phone and code; the first time opens the account.

        Raises WrongCode, CodeExpired, PhoneLocked or TooManyRequests.
        """
        self._spend(self.budgets.logins, device.address)
        entered = None
        async with self._database.write() as connection:
            verdict, lock_s = await self.codes.redeem(
                connection, phone, code, self._wall(), device.token
            )
            if verdict is Redemption.RIGHT:
                entered = await self._enter_by_phone(connection, phone, device, guest)
        # Only now: the try is committed.
        if entered is None:
            raise _refusal(phone, verdict, lock_s)
        self._tell_taken_over(guest)
        return replace(entered, device_token=self.codes.device_token(phone))

    async def change_phone(self, driver_id: UUID, phone: str, code: str, address: str) -> None:
        """Give an account another phone, which the code proves.

        Raises PhoneTaken, and what `log_in` does.
        """
        self._spend(self.budgets.logins, address)
        async with self._database.write() as connection:
            verdict, lock_s = await self.codes.redeem(connection, phone, code, self._wall())
            if verdict is Redemption.RIGHT:
                await find_account(connection, driver_id, lock=True)
                if not await set_phone(connection, self._seal, driver_id, phone):
                    raise PhoneTaken
                await audit(connection, self._clock.now(), "driver", "driver.phone", str(driver_id))
                return
        raise _refusal(phone, verdict, lock_s)

    async def _enter_by_phone(
        self,
        connection: AsyncConnection,
        phone: str,
        device: Device,
        guest: DriverPrincipal | None,
    ) -> Entered:
        now = self._clock.now()
        if guest is not None and not guest.is_guest:
            guest = None
        if guest is not None:
            await find_account(connection, guest.driver_id, lock=True)
        driver = await find_by_phone(connection, self._seal, phone, lock=True)
        if driver is None and guest is not None:
            await make_account_of_guest(connection, self._seal, guest.driver_id, phone)
            await self._logins.revoke_all(connection, guest.driver_id)
            return await self._issue(connection, guest.driver_id, device, is_new=True)
        if driver is None:
            opened = await open_account(
                connection, now, self._seal, phone=phone, language=device.language
            )
            if opened is not None:
                return await self._issue(connection, opened, device, is_new=True)
            # Another login of the same phone was faster by a moment.
            driver = await find_by_phone(connection, self._seal, phone, lock=True)
            if driver is None:
                raise WrongCode
        if guest is not None:
            await self._take_guest_over(connection, now, guest.driver_id, driver)
        return await self._issue(connection, driver.id, device, is_new=False)

    async def _take_guest_over(
        self, connection: AsyncConnection, now: datetime, guest_id: UUID, driver: Row[Any]
    ) -> None:
        await close_guest_into(connection, now, guest_id, driver)
        for part in self._parts:
            await part.take_over(connection, guest_id, driver.id)
        await self._logins.revoke_all(connection, guest_id)

    def _tell_taken_over(self, guest: DriverPrincipal | None) -> None:
        """Once it is committed; of a guest who became the account it is told for nothing."""
        if guest is not None and guest.is_guest:
            for part in self._parts:
                part.taken_over(guest.driver_id)

    async def log_in_by_wechat(
        self, code: str, device: Device, present: DriverPrincipal | None = None
    ) -> Entered:
        """Log in by a code of wx.login; an account that asks for it is bound to it.

        Raises WeChatNotConfigured, WeChatRefused, WeChatTaken, NotFound (the account was closed
        meanwhile) or TooManyRequests.
        """
        wechat = self.ports.wechat
        if wechat is None:
            raise WeChatNotConfigured
        self._spend(self.budgets.logins, device.address)
        open_id = await wechat.open_id_of(code)
        now = self._clock.now()
        async with self._database.write() as connection:
            known = await find_by_wechat(connection, self._seal, open_id)
            if present is not None and not present.is_guest:
                if known is not None and known.id != present.driver_id:
                    raise WeChatTaken
                await find_account(connection, present.driver_id, lock=True)  # Closed meanwhile?
                driver_id, is_new = present.driver_id, False
            elif known is not None:
                driver_id, is_new = known.id, False
                if present is not None:
                    await self._take_guest_over(connection, now, present.driver_id, known)
            else:
                opened = await open_account(connection, now, self._seal, language=device.language)
                assert opened is not None, "no phone, no conflict"
                driver_id, is_new = opened, True
                if present is not None:
                    account = await find_account(connection, opened)
                    await self._take_guest_over(connection, now, present.driver_id, account)
            if known is None:
                await connection.execute(
                    update(drivers)
                    .where(drivers.c.id == driver_id)
                    .values(wechat_fingerprint=self._seal.fingerprint(open_id, WECHAT))
                )
            entered = await self._issue(connection, driver_id, device, is_new=is_new)
        self._tell_taken_over(present)
        return entered

    async def enter_as_guest(self, device: Device) -> Entered:
        """Open a guest who may charge for a day. Raises TooManyRequests."""
        self._spend(self.budgets.guests, device.address)
        now = self._clock.now()
        async with self._database.write() as connection:
            opened = await open_account(
                connection,
                now,
                self._seal,
                language=device.language,
                guest_until=now + GUEST_LIFETIME,
            )
            assert opened is not None, "no phone, no conflict"
            return await self._issue(
                connection, opened, device, is_new=True, lifetime=GUEST_LIFETIME
            )

    async def _issue(
        self,
        connection: AsyncConnection,
        driver_id: UUID,
        device: Device,
        *,
        is_new: bool,
        lifetime: timedelta = LIFETIME,
    ) -> Entered:
        login = await self._logins.issue(connection, driver_id, device.name, lifetime)
        return Entered(login, is_new)

    def _spend(self, budget: AddressBudget, address: str) -> None:
        wait_s = budget.take(address, self._wall().timestamp())
        if wait_s > 0:
            log.warning("driver_logins_flooded", address=address)
            raise TooManyRequests(
                "Too many requests come from this address; wait.", retry_after_s=wait_s
            )


def _refusal(phone: str, verdict: Redemption, lock_s: int) -> ChargeHubError:
    log.warning("driver_code_refused", phone=mask_phone(phone), why=verdict.name)
    if verdict is Redemption.LOCKED:
        return PhoneLocked(retry_after_s=max(1, lock_s))
    return CodeExpired() if verdict is Redemption.EXPIRED else WrongCode()
