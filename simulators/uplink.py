"""A station's line to its hub over time: connect, boot, lose it, come back, replay, beat.

What is said on it comes from the station; how one socket works is the wire's matter.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from simulators.chores import Chores
from simulators.client import CallFailed, CallTimedOut, ConnectionRefusedByHub, Payload, Wire
from simulators.configuration import Configuration
from simulators.dialect import Dialect
from simulators.misbehaviour import Misbehaviour, Quirks
from simulators.outbox import Acknowledged, Message, Outbox
from simulators.statistics import Statistics


@dataclass(frozen=True, slots=True)
class UplinkOptions:
    reconnect_min_s: float = 1.0
    reconnect_max_s: float = 10.0
    reboot_s: float = 2.0
    """Wall time from a reset to the next connection."""


class Uplink:
    def __init__(
        self,
        wire: Wire,
        outbox: Outbox,
        dialect: Dialect,
        configuration: Configuration,
        *,
        quirks: Quirks,
        statistics: Statistics,
        options: UplinkOptions,
        rng: random.Random,
    ) -> None:
        self.wire = wire
        self.outbox = outbox
        self.statuses: Callable[[bool], list[Message]] = lambda _booting: []
        """Gives the statuses to send when a connection opens."""
        self.booted = False
        self.boots = 0
        self.flows = Chores(statistics)
        """Work that `settled` waits for."""
        self.unattended = False
        """True once `run` looks after the connection."""
        self._dialect = dialect
        self._configuration = configuration
        self._quirks = quirks
        self._statistics = statistics
        self._options = options
        self._rng = rng
        self._boot_reason = "PowerUp"
        self._watchers = Chores(statistics)
        self._heart_stirred = asyncio.Event()
        self._reachable = asyncio.Event()
        self._reachable.set()

    @property
    def online(self) -> bool:
        """Connected and free to speak."""
        return self.outbox.released and self.wire.connected

    async def connect(self) -> None:
        """Connect once; a station that was accepted before resumes without a boot."""
        await self.wire.open()
        self._watchers.start(self._notice_loss())
        if self.booted:
            await self._rejoin()

    async def boot(self) -> str:
        """Send BootNotification once and return the hub's status word. Raises CallFailed."""
        message = self._dialect.boot(self._boot_reason)
        payload = message.build()
        answer = await self.wire.call(message.action, payload)
        self.outbox.record(Acknowledged(message.action, payload, answer))
        status = str(answer.get("status"))
        interval_s = answer.get("interval")
        if isinstance(interval_s, int) and interval_s > 0:
            self._configuration.set_heartbeat(interval_s)
            self._heart_stirred.set()
        if status == "Accepted":
            self.booted = True
            self.boots += 1
            self._open_up(self.statuses(True))
            await self.outbox.settled()
        return status

    async def go_offline(self) -> None:
        self._reachable.clear()
        await self.wire.close(abruptly=True)
        self._line_lost()

    async def come_back(self) -> None:
        """Make the hub reachable again and, unless `run` does so itself, connect and replay."""
        self._reachable.set()
        if not self.unattended:
            await self.connect()
            if not self.booted:
                await self.boot()
            await self.settled()

    async def rest_until_rebooted(self, reason: str) -> None:
        """Disconnect, be away as long as a reboot takes, and boot."""
        self._reachable.clear()
        await self.wire.close()
        self._line_lost()
        self.forget_boot(reason)
        await asyncio.sleep(self._options.reboot_s)
        self._reachable.set()
        if not self.unattended:
            try:
                await self.connect()
                await self.boot()
            except (ConnectionRefusedByHub, CallFailed):
                self._statistics.connects_failed += 1

    def hang_up(self) -> None:
        """Forbid new connections until a reboot or `come_back` allows them."""
        self._reachable.clear()

    async def reconnect(self) -> None:
        """Close and open again, as after a change of password."""
        await self.outbox.settled()
        await self.wire.close()
        self._line_lost()
        if not self.unattended:
            await self.connect()

    def forget_boot(self, reason: str) -> None:
        self.booted = False
        self._boot_reason = reason

    def stir_heart(self) -> None:
        """Make a changed HeartbeatInterval count at once."""
        self._heart_stirred.set()

    async def heartbeat(self) -> Payload:
        return await self.outbox.ask(self._dialect.heartbeat())

    async def settled(self) -> None:
        """Wait until all that could be told has been answered."""
        await self.outbox.settled()
        await self.flows.finished()
        await self.outbox.settled()

    def send_now(self, messages: list[Message]) -> None:
        """Send what the hub asked for, which is allowed even before it accepted the station."""
        if self.outbox.released:
            for message in messages:
                self.outbox.put(message)
        else:
            self.flows.start(self._send_past_the_outbox(messages))

    async def run(self) -> None:
        """Stay connected and beat until cancelled."""
        self.unattended = True
        self._watchers.start(self._beat())
        backoff_s = self._options.reconnect_min_s
        while True:
            await self._reachable.wait()
            try:
                await self._join()
            except (ConnectionRefusedByHub, CallFailed):
                self._statistics.connects_failed += 1
                await self.wire.close()
                await asyncio.sleep(backoff_s * self._rng.uniform(0.5, 1.5))
                backoff_s = min(backoff_s * 2, self._options.reconnect_max_s)
                continue
            backoff_s = self._options.reconnect_min_s
            await self.wire.wait_lost()
            self._line_lost()
            self._statistics.connections_lost += 1
            await asyncio.sleep(backoff_s * self._rng.uniform(0.2, 1.0))

    async def close(self) -> None:
        self.unattended = False
        await self._watchers.cancel()
        await self.flows.cancel()
        await self.outbox.stop()
        await self.wire.close()

    async def _join(self) -> None:
        if not self.wire.connected:
            await self.connect()
        # 16 4.2, B02.FR.07: until it is accepted, a station boots again at the given interval.
        while not self.booted and await self.boot() != "Accepted":  # noqa: ASYNC110 - a protocol's wait, no event ends it.
            await asyncio.sleep(max(1, self._configuration.integer("HeartbeatInterval")))

    async def _rejoin(self) -> None:
        if Misbehaviour.FORGET_QUEUE in self._quirks:
            self.outbox.forget()
        if Misbehaviour.BOOT_ON_RECONNECT in self._quirks:
            await self.boot()
            return
        silent = Misbehaviour.NO_STATUS_ON_RECONNECT in self._quirks
        self._open_up([] if silent else self.statuses(False))

    def _open_up(self, statuses: list[Message]) -> None:
        if Misbehaviour.QUEUE_BEFORE_STATUS in self._quirks:
            self.outbox.release()
            for message in statuses:
                self.outbox.put(message)
        else:
            self.outbox.put_first(statuses)
            self.outbox.release()
        if Misbehaviour.FLOOD in self._quirks:
            for _ in range(200):
                self.outbox.put(self._dialect.heartbeat())

    async def _notice_loss(self) -> None:
        await self.wire.wait_lost()
        self._line_lost()

    def _line_lost(self) -> None:
        if not self.wire.connected:
            self.outbox.pause()

    async def _beat(self) -> None:
        while True:
            interval_s = self._configuration.integer("HeartbeatInterval")
            self._heart_stirred.clear()
            with suppress(TimeoutError):
                # An interval of 0 is the flood that firmware with a bad setting makes.
                await asyncio.wait_for(self._heart_stirred.wait(), interval_s or 0.005)
                continue
            if not self.online:
                await asyncio.sleep(1.0)
                continue
            try:
                await self.heartbeat()
            except CallTimedOut:
                # Nobody is there behind the socket.
                await self.wire.close(abruptly=True)
            except CallFailed:
                continue

    async def _send_past_the_outbox(self, messages: list[Message]) -> None:
        for message in messages:
            payload = message.build()
            try:
                answer = await self.wire.call(message.action, payload)
            except CallFailed:
                return
            self.outbox.record(Acknowledged(message.action, payload, answer))
