"""A sender of text messages that keeps them, and a WeChat that knows a few codes."""

from __future__ import annotations

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
