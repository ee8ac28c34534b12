"""What a hub may ask of a station, in words of no version; the dialects word the answers.

Deciding is apart from acting: the answer leaves first, then what it promised happens.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from simulators.charging import Charging
from simulators.client import SocketWire
from simulators.clock import Clock
from simulators.configuration import Configuration, Setting
from simulators.dialect import Dialect
from simulators.gun import Gun, Reservation, StopCause, Transaction
from simulators.misbehaviour import Misbehaviour, Quirks
from simulators.profiles import Profile
from simulators.uplink import Uplink

Act = Callable[[], None]


class Asked(Protocol):
    """What of a station its requests are carried out on."""

    clock: Clock
    quirks: Quirks
    dialect: Dialect
    uplink: Uplink
    charging: Charging
    configuration: Configuration

    @property
    def guns(self) -> tuple[Gun, ...]: ...

    def gun(self, evse_no: int) -> Gun: ...

    def start_remotely(
        self, gun: Gun, token: str, remote_start_id: int | None, group: str | None
    ) -> None: ...


class Requests:
    def __init__(self, station: Asked) -> None:
        self._station = station
        self._reset_when_idle = False

    def find(self, evse_no: int) -> Gun | None:
        return next((gun for gun in self._station.guns if gun.evse_no == evse_no), None)

    def start(
        self,
        evse_no: int | None,
        token: str,
        remote_start_id: int | None = None,
        profile: Profile | None = None,
        group: str | None = None,
    ) -> Act | None:
        """Return what to do after the answer, or None to reject."""
        station = self._station
        able = [
            gun
            for gun in station.guns
            if evse_no in {None, gun.evse_no}
            and gun.transaction is None
            and gun.waiting is None
            and station.charging.admits(gun, token, group)
        ]
        if not able:
            return None
        if Misbehaviour.IGNORE_REMOTE_START in station.quirks:
            return _nothing
        # Without a gun named, one with a car is meant.
        gun = min(able, key=lambda gun: not gun.plugged_in)

        def act() -> None:
            gun.start_profile = profile
            station.start_remotely(gun, token, remote_start_id, group)

        return act

    def stop(self, transaction: Transaction) -> Act:
        gun = self._station.gun(transaction.evse_no)

        def act() -> None:
            if gun.transaction is transaction:
                self._station.charging.end(gun, StopCause.REMOTE)

        return act

    def change_availability(self, evse_no: int, operative: bool) -> tuple[str, Act | None]:
        guns = [gun for gun in self._station.guns if evse_no in {0, gun.evse_no}]
        if not guns:
            return "Rejected", None
        busy = any(gun.transaction is not None for gun in guns)
        word = "Scheduled" if busy and not operative else "Accepted"
        return word, partial(self._set_availability, guns, operative, whole=evse_no == 0)

    def _set_availability(self, guns: list[Gun], operative: bool, *, whole: bool) -> None:
        station = self._station
        if whole:
            station.charging.operative = operative
            message = station.dialect.station_status(station.clock.now())
            if message is not None:
                station.uplink.outbox.put(message)
        for gun in guns:
            if gun.transaction is not None:
                gun.operative_when_idle = operative
            else:
                station.charging.set_operative(gun, operative)

    def unlock(self, gun: Gun) -> Act:
        return partial(self._station.charging.end, gun, StopCause.UNLOCK)

    def reset(self, *, hard: bool) -> Act:
        cause = StopCause.HARD_RESET if hard else StopCause.SOFT_RESET
        return lambda: self._station.uplink.flows.start(self._reboot(cause, "RemoteReset"))

    def reset_when_idle(self) -> None:
        self._reset_when_idle = True

    def notice_idle(self) -> None:
        """Carry out a reset that waited for the last transaction's end."""
        if self._reset_when_idle and not self._station.charging.busy:
            self._reset_when_idle = False
            work = self._reboot(StopCause.SOFT_RESET, "ScheduledReset")
            self._station.uplink.flows.start(work)

    async def _reboot(self, cause: StopCause, reason: str) -> None:
        station = self._station
        station.uplink.hang_up()
        if cause is StopCause.SOFT_RESET:
            station.charging.end_everything(cause)
            await station.uplink.outbox.settled()
        else:
            # A hard reset tells of the end only after the boot.
            station.uplink.outbox.pause()
            station.charging.end_everything(cause)
        station.charging.forget_waiting()
        station.configuration.reboot()
        await station.uplink.rest_until_rebooted(reason)

    def reserve(self, evse_no: int, reservation: Reservation) -> tuple[str, Act | None]:
        """Decide on a reservation of a gun; 0 is any of them."""
        gun = self.find(evse_no)
        pooled = self._station.configuration.flag("ReserveConnectorZeroSupported")
        if gun is None and (evse_no or not pooled):
            return "Rejected", None  # 16 5.13, H01.FR.19
        reservations = self._station.charging.reservations
        refusal = reservations.why_not(gun, reservation)
        if refusal is not None:
            return refusal, None
        return "Accepted", partial(reservations.hold, gun, reservation)

    def cancel_reservation(self, reservation_id: int) -> Act | None:
        reservations = self._station.charging.reservations
        if not reservations.knows(reservation_id):
            return None  # H02.FR.01

        def act() -> None:
            reservations.cancel(reservation_id)

        return act

    def setting_changed(self, setting: Setting) -> Act:
        station = self._station

        def act() -> None:
            match setting.key:
                case "HeartbeatInterval":
                    station.uplink.stir_heart()
                case "MeterValueSampleInterval":
                    station.charging.restart_sampling()
                case "AuthorizationKey":
                    # A01.FR.03: the new password counts from the next connection, at once.
                    if isinstance(station.uplink.wire, SocketWire):
                        station.uplink.wire.account.password = setting.value
                    station.uplink.flows.start(station.uplink.reconnect())
                case _:
                    pass

        return act


def _nothing() -> None:
    pass
