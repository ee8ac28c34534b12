"""The ports of drivers' logins to the world: text messages and WeChat.

Real adapters come with the provider that is chosen; a hub without one says so. The development
ones stand in a demo only: they send nothing anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import structlog

from chargehub.drivers.account_rules import mask_phone
from chargehub.kit.errors import ChargeHubError, Unauthenticated

log = structlog.get_logger(__name__)


class SmsNotConfigured(ChargeHubError):
    """This hub sends no text messages, so nobody can log in by phone."""

    code = "sms-not-configured"
    status = 501


class SmsNotSent(ChargeHubError):
    """The text message could not be sent; try again."""

    code = "sms-not-sent"
    status = 502


class WeChatNotConfigured(ChargeHubError):
    """This hub has no login by WeChat."""

    code = "wechat-not-configured"
    status = 501


class WeChatRefused(Unauthenticated):
    """WeChat does not know this code, or it was used before."""

    code = "wechat-refused"


class SmsSender(Protocol):
    async def send_code(self, phone: str, code: str, language: str) -> None:
        """Send a one-time code to +86 and 11 digits. Raises SmsNotSent."""


class WeChat(Protocol):
    async def open_id_of(self, code: str) -> str:
        """Return who got this code of wx.login. Raises WeChatRefused."""


@dataclass(slots=True)
class DriverPorts:
    """What this hub has of them."""

    sms: SmsSender | None = None
    wechat: WeChat | None = None


class DevelopmentSms:
    """Writes the code to the log, for a demo: nobody gets a message."""

    async def send_code(self, phone: str, code: str, language: str) -> None:
        log.warning("sms_of_the_demo", to=mask_phone(phone), code=code, language=language)


class DevelopmentWeChat:
    """Believes any code `demo-<name>`: the name is the open id."""

    async def open_id_of(self, code: str) -> str:
        if re.fullmatch(r"demo-[A-Za-z0-9_-]{1,40}", code) is None:
            raise WeChatRefused("In the demo a code is demo- and a name.")
        return code.removeprefix("demo-")


def ports_of(*, demo: bool) -> DriverPorts:
    return DriverPorts(DevelopmentSms(), DevelopmentWeChat()) if demo else DriverPorts()
