"""A dual-gun DC charging station: two guns, one cabinet, one line to the hub.

It is driven in steps by a test (`plug_in`, `present_token`, `advance` ..) or runs by itself
(`run`), in which case only cars and drivers come from outside.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.car import Car
from simulators.charging import Charging
from simulators.client import (
    Account,
    CallFailed,
    Payload,
    Refusal,
    Reply,
    SocketWire,
    Wire,
    WireOptions,
)
from simulators.clock import Clock, ManualClock
from simulators.configuration import Configuration
from simulators.dialect import Dialect
from simulators.gun import Gun, StopCause, Transaction, Verdict
from simulators.misbehaviour import NO_QUIRKS, Misbehaviour, Quirks
from simulators.outbox import Acknowledged, Outbox, OutboxOptions
from simulators.requests import Requests
from simulators.statistics import Statistics
from simulators.uplink import Uplink, UplinkOptions

NO_RESERVING = {
    Misbehaviour.NO_RESERVATIONS: "NotSupported",
    Misbehaviour.UNKNOWN_RESERVATIONS: "NotImplemented",
}


@dataclass(frozen=True, slots=True)
class StationOptions:
    wire: WireOptions = field(default_factory=WireOptions)
    outbox: OutboxOptions = field(default_factory=OutboxOptions)
    uplink: UplinkOptions = field(default_factory=UplinkOptions)
    sample_interval_s: int = 10
    register_wh: float | None = None
    """What both meters show at the start; None takes it from the clock."""
    seed: object = 0
    on_acknowledged: Callable[[Acknowledged], None] | None = None
    """Takes what else the station records in `acknowledged`."""
    autocharge: bool = False
    """Whether a car that says what it is called starts by itself when it is plugged in."""
    in_process: Callable[[SimulatedStation], Wire] | None = None
    """Builds a wire that takes the socket's place."""


class SimulatedStation:
    def __init__(
        self,
        identity: str,
        url: str,
        password: str | None,
        speak: Callable[[SimulatedStation], Dialect],
        *,
        clock: Clock,
        quirks: Quirks = NO_QUIRKS,
        options: StationOptions | None = None,
        statistics: Statistics | None = None,
    ) -> None:
        options = options or StationOptions()
        self.identity = identity
        self.clock = clock
        self.quirks = quirks
        self.statistics = statistics or Statistics()
        self.acknowledged: list[Acknowledged] = []
        """Every message of ours that the hub answered, with the answer."""
        self.configuration = Configuration(quirks, sample_interval_s=options.sample_interval_s)
        self.dialect = speak(self)
        seed = f"{options.seed}:{identity}"
        account = Account(url, identity, password, self.dialect.subprotocol)
        wire = options.in_process(self) if options.in_process else self._socket(account, options)
        record = options.on_acknowledged or self.acknowledged.append
        self.uplink = Uplink(
            wire,
            Outbox(wire, quirks, self.statistics, record, options.outbox),
            self.dialect,
            self.configuration,
            quirks=quirks,
            statistics=self.statistics,
            options=options.uplink,
            rng=random.Random(seed),
        )
        self.charging = Charging(
            clock,
            self.dialect,
            self.uplink,
            self.configuration,
            quirks=quirks,
            statistics=self.statistics,
            seed=seed,
            register_wh=options.register_wh,
        )
        self.configuration.count_profiles(self.charging.profiles.held)
        self.requests = Requests(self)
        self.autocharge = options.autocharge
        self.uplink.statuses = self.charging.statuses
        self.charging.idle = self.requests.notice_idle
        self.charging.rearm = self._arm
        self._timer: asyncio.TimerHandle | None = None

    def _socket(self, account: Account, options: StationOptions) -> SocketWire:
        return SocketWire(
            account,
            answer=self.answer,
            settled=self.settled,
            quirks=self.quirks,
            options=options.wire,
            statistics=self.statistics,
        )

    # What there is to see.

    @property
    def guns(self) -> tuple[Gun, ...]:
        return self.charging.guns

    def gun(self, evse_no: int) -> Gun:
        return self.guns[evse_no - 1]

    @property
    def connected(self) -> bool:
        return self.uplink.wire.connected

    @property
    def online(self) -> bool:
        """Connected and free to speak."""
        return self.uplink.online

    @property
    def boots(self) -> int:
        return self.uplink.boots

    @property
    def messages_waiting(self) -> bool:
        return len(self.uplink.outbox) > 0

    # The line.

    async def connect(self) -> None:
        """Open the socket once; a station that was accepted before resumes without a boot.

        Raises ConnectionRefusedByHub.
        """
        await self.uplink.connect()

    async def boot(self) -> str:
        """Send BootNotification once and return the hub's status word. Raises CallFailed."""
        return await self.uplink.boot()

    async def heartbeat(self) -> Payload:
        return await self.uplink.heartbeat()

    async def go_offline(self) -> None:
        """Pull the network cable. Charging goes on; what must be told is queued."""
        await self.uplink.go_offline()

    async def come_back(self) -> None:
        """Put the cable in again, connect (and boot after a power cut), and replay."""
        await self.uplink.come_back()

    async def power_cut(self) -> None:
        """Cut the power: transactions end, and nothing leaves until `come_back`."""
        await self.uplink.go_offline()
        self.charging.end_everything(StopCause.POWER_LOSS)
        self.charging.forget_waiting()
        self.configuration.reboot()
        self.uplink.forget_boot("PowerUp")

    async def settled(self) -> None:
        """Wait until all that could be told has been answered."""
        await self.uplink.settled()

    async def run(self) -> None:
        """Run by itself until cancelled: connect, boot, reconnect, beat, sample."""
        self.uplink.unattended = True
        self._arm()
        await self.uplink.run()

    async def close(self) -> None:
        """Leave for good; nothing is ended or told."""
        self._disarm()
        self.charging.rearm = None
        await self.uplink.close()

    def answer(self, action: str, payload: Payload) -> Reply:
        if action in {"ReserveNow", "CancelReservation"}:
            for quirk, code in NO_RESERVING.items():
                if quirk in self.quirks:
                    raise Refusal(code, f"{action} is not for this station")
        return self.dialect.answer(action, payload)

    # Cars and drivers.

    async def plug_in(self, evse_no: int, car: Car) -> None:
        gun = self.gun(evse_no)
        if gun.plugged_in:
            raise ValueError(f"{self.identity} gun {evse_no} holds a car already")
        self.charging.plug_in(gun, car)
        if self.autocharge:
            await self._start_by_car(gun, car)
        await self._settled_when_stepped()

    async def _start_by_car(self, gun: Gun, car: Car) -> None:
        token = self.dialect.car_token(car)
        if token is None or gun.transaction is not None:
            return
        verdict = await self._authorize(token)
        still_there = gun.outlet.car is car and gun.transaction is None
        if verdict.accepted and still_there and self.charging.admits(gun, token, verdict.group):
            self.charging.start_or_wait(gun, token, verdict.group)

    async def present_token(self, evse_no: int, token: str) -> bool:
        """Hold a token to the reader: start, or stop what it may stop. False if refused."""
        gun = self.gun(evse_no)
        verdict = await self._authorize(token)
        transaction = gun.transaction
        if not verdict.accepted:
            return False
        if transaction is not None:
            if not _may_stop(transaction, token, verdict.group):
                return False
            self.charging.end(gun, StopCause.LOCAL, token)
        elif self.charging.admits(gun, token, verdict.group):
            self.charging.start_or_wait(gun, token, verdict.group)
        else:
            return False
        await self._settled_when_stepped()
        return True

    async def stop(
        self, evse_no: int, *, token: str | None = None, cause: StopCause = StopCause.LOCAL
    ) -> None:
        """End the gun's transaction at the station itself, by its own token unless told."""
        gun = self.gun(evse_no)
        if gun.transaction is not None:
            own = gun.transaction.token if cause is StopCause.LOCAL else None
            self.charging.end(gun, cause, token or own)
        await self._settled_when_stepped()

    async def unplug(self, evse_no: int) -> Car | None:
        car = self.charging.unplug(self.gun(evse_no))
        await self._settled_when_stepped()
        return car

    async def set_fault(self, evse_no: int, error_code: str | None) -> None:
        """Break a gun (`GroundFailure` ..), or mend it with None."""
        self.charging.set_fault(self.gun(evse_no), error_code)
        await self._settled_when_stepped()

    def start_remotely(
        self, gun: Gun, token: str, remote_start_id: int | None, group: str | None = None
    ) -> None:
        if self.configuration.flag("AuthorizeRemoteTxRequests"):
            work = self._start_once_authorized(gun, token, remote_start_id)
            self.uplink.flows.start(work)
        else:
            self.charging.start_or_wait(gun, token, group, remote_start_id, remote=True)

    async def _start_once_authorized(
        self, gun: Gun, token: str, remote_start_id: int | None
    ) -> None:
        verdict = await self._authorize(token)
        if verdict.accepted and gun.transaction is None:
            self.charging.start_or_wait(gun, token, verdict.group, remote_start_id, remote=True)

    async def _authorize(self, token: str) -> Verdict:
        if Misbehaviour.SKIP_AUTHORIZE in self.quirks:
            return Verdict(accepted=True)
        try:
            answer = await self.uplink.outbox.ask(self.dialect.authorize(token))
        except CallFailed:
            offline = self.configuration.flag("AllowOfflineTxForUnknownId")
            return Verdict(accepted=offline and not self.online)
        return self.dialect.verdict(answer)

    async def _settled_when_stepped(self) -> None:
        if not self.uplink.unattended:
            await self.settled()

    # Time.

    async def tick(self) -> None:
        """Do all that is due by now and wait until it is told."""
        self.charging.step()
        await self.settled()

    async def advance(self, seconds: float) -> None:
        """Move a manual clock on, from one due thing to the next."""
        if not isinstance(self.clock, ManualClock):
            raise TypeError("only a manual clock can be moved")
        end = self.clock.now() + seconds
        while True:
            due = self.charging.next_due()
            if due is None or due >= end:
                break
            self.clock.set(max(due, self.clock.now()))
            await self.tick()
        self.clock.set(end)
        await self.tick()

    def _arm(self) -> None:
        if not self.uplink.unattended:
            return
        self._disarm()
        due = self.charging.next_due()
        if due is not None:
            delay_s = self.clock.wall_delay(due)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self.charging.step()
        self._arm()


def _may_stop(transaction: Transaction, token: str, group: str | None) -> bool:
    if token.lower() == transaction.token.lower():
        return True
    # 16 3.10: any token of the group may stop.
    return group is not None and group == transaction.group
