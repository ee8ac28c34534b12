"""What happens at a station's two guns: states, transactions, samples, expiries.

It tells the hub through the outbox; which words it uses is the dialect's matter.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

from simulators.cabinet import STEP_S, Cabinet, Outlet
from simulators.car import Car
from simulators.client import Payload
from simulators.clock import Clock
from simulators.configuration import Configuration
from simulators.dialect import Dialect
from simulators.gun import Gun, Reservation, StopCause, Transaction, Waiting
from simulators.metering import Meter, Sample
from simulators.misbehaviour import Misbehaviour, Quirks
from simulators.outbox import Message
from simulators.profiles import Profiles
from simulators.reservations import Reservations
from simulators.statistics import Statistics
from simulators.uplink import Uplink

REGISTER_EPOCH = 1_767_225_600.0
"""2026-01-01 in Unix seconds."""
REGISTER_SLOPE_W = 75_000.0
"""A new process cannot know what its meters showed before. A register that starts on a line
steeper than a gun can charge on average never goes back, whenever it is started again."""


class Charging:
    def __init__(
        self,
        clock: Clock,
        dialect: Dialect,
        uplink: Uplink,
        configuration: Configuration,
        *,
        quirks: Quirks,
        statistics: Statistics,
        seed: str,
        register_wh: float | None,
    ) -> None:
        self.guns: tuple[Gun, ...]
        self.operative = True
        self.idle: Callable[[], None] | None = None
        """Called at the end of a transaction."""
        self.waits: Callable[[Gun], None] | None = None
        """Called when a remote start waits at a gun without a car."""
        self.rearm: Callable[[], None] | None = None
        """Called when what is due next may have changed."""
        self._clock = clock
        self._dialect = dialect
        self._uplink = uplink
        self._configuration = configuration
        self._quirks = quirks
        self._statistics = statistics
        now = clock.now()
        # Cars and meters may repeat from start to start, transaction ids never (E01.FR.08): the
        # start's own time is in them.
        self._ids = random.Random(f"{seed}:{now!r}")
        if register_wh is None:
            hours = max(0.0, now - REGISTER_EPOCH) / 3600
            register_wh = round(random.Random(seed).uniform(5e6, 40e6) + hours * REGISTER_SLOPE_W)
        self._first_register_wh = register_wh
        self.profiles = Profiles(ignored=Misbehaviour.IGNORE_PROFILES in quirks)
        self.cabinet = Cabinet(now, (Outlet(register_wh), Outlet(register_wh)), limits=self._limits)
        fault = "NoError" if Misbehaviour.BOOT_FAULTED in quirks else None
        self.guns = tuple(
            Gun(number, outlet, fault=fault, changed_at=now)
            for number, outlet in enumerate(self.cabinet.outlets, start=1)
        )
        self.reservations = Reservations(self.guns, self._tell_reservation_over, self.refresh)

    @property
    def busy(self) -> bool:
        return any(gun.transaction is not None for gun in self.guns)

    @property
    def delivered_wh(self) -> float:
        """Return the energy of all transactions since the station was built."""
        return sum(o.register_wh - self._first_register_wh for o in self.cabinet.outlets)

    def admits(self, gun: Gun, token: str, group: str | None) -> bool:
        if not gun.operative or gun.fault is not None or gun.finished:
            return False
        return self.reservations.admits(gun, token, group)

    # Cars and tokens.

    def plug_in(self, gun: Gun, car: Car) -> None:
        gun.outlet.car = car
        gun.finished = False
        waiting, gun.waiting = gun.waiting, None
        self.refresh(gun)
        if waiting is not None:
            self.start_or_wait(gun, waiting.token, waiting.group, waiting.remote_start_id)

    def unplug(self, gun: Gun) -> Car | None:
        self.end(gun, StopCause.UNPLUGGED)
        car, gun.outlet.car = gun.outlet.car, None
        gun.finished = False
        self.refresh(gun)
        return car

    def set_fault(self, gun: Gun, error_code: str | None) -> None:
        gun.fault = error_code
        if error_code is not None:
            self.end(gun, StopCause.EMERGENCY)
            self.reservations.lose(gun)
        self.refresh(gun)

    def set_operative(self, gun: Gun, operative: bool) -> None:
        gun.operative = operative
        if not operative:
            self.reservations.lose(gun)
        self.refresh(gun)

    def start_or_wait(
        self,
        gun: Gun,
        token: str,
        group: str | None = None,
        remote_start_id: int | None = None,
        *,
        remote: bool = False,
    ) -> None:
        """Begin a transaction, or let the token wait until a car is there."""
        if gun.plugged_in:
            self._begin(gun, token, group, remote_start_id)
            return
        until = self._clock.now() + self._configuration.integer("ConnectionTimeOut")
        gun.waiting = Waiting(token, until, group, remote_start_id)
        self.refresh(gun)
        if remote and self.waits is not None:
            self.waits(gun)

    def forget_waiting(self) -> None:
        """Forget what a boot forgets: waiting tokens, and what was reported."""
        if Misbehaviour.FORGETS_RESERVATIONS in self._quirks:  # B01.FR.13 forbids it.
            self.reservations.forget_all()
        for gun in self.guns:
            gun.waiting = gun.start_profile = None
            gun.reported = None

    def _tell_reservation_over(self, reservation: Reservation, word: str) -> None:
        message = self._dialect.reservation_over(reservation.id, word)
        if message is not None:
            self._uplink.outbox.put(message)

    # Transactions.

    def _begin(self, gun: Gun, token: str, group: str | None, remote_start_id: int | None) -> None:
        now = self._clock.now()
        self.cabinet.advance(now)
        reservation = self.reservations.use(gun, token, group)
        transaction = Transaction(
            reference=str(uuid.UUID(int=self._ids.getrandbits(128), version=4)),
            evse_no=gun.evse_no,
            token=token,
            began_at=now,
            meter=Meter(self._quirks, gun.outlet.register_wh),
            begin_wh=gun.outlet.register_wh,
            group=group,
            remote_start_id=remote_start_id,
            reservation_id=reservation.id if reservation else None,
        )
        gun.transaction = transaction
        profile, gun.start_profile = gun.start_profile, None
        if profile is not None:
            profile.evse_no, profile.transaction = gun.evse_no, transaction
            self.profiles.install(profile)
        self._statistics.transactions_started += 1
        self.refresh(gun)
        message = self._dialect.started(transaction, self.reading(gun, now, "Transaction.Begin"))
        again = Message(message.action, message.build, durable=True)
        message.answered = lambda answer: self._start_answered(gun, transaction, answer)
        # Without an answer a station charges on its own authority.
        message.undelivered = lambda: self._energise(gun, transaction)
        self._uplink.outbox.put(message)
        if Misbehaviour.REPEAT_START in self._quirks:
            self._uplink.outbox.put(again)
        if Misbehaviour.TWO_CALLS_AT_ONCE in self._quirks:
            self._energise(gun, transaction)

    def _start_answered(self, gun: Gun, transaction: Transaction, answer: Payload) -> None:
        verdict = self._dialect.start_verdict(transaction, answer)
        if gun.transaction is not transaction:
            return
        if verdict.accepted:
            transaction.group = verdict.group or transaction.group
            self._energise(gun, transaction)
        elif self._configuration.flag("StopTransactionOnInvalidId"):
            if Misbehaviour.NEVER_STOP_REFUSED in self._quirks:
                self._close_books(gun, transaction, StopCause.REFUSED)
            else:
                self.end(gun, StopCause.REFUSED)

    def _energise(self, gun: Gun, transaction: Transaction) -> None:
        if gun.transaction is not transaction or gun.outlet.closed:
            return
        now = self._clock.now()
        self.cabinet.advance(now)
        gun.outlet.closed = True
        self.cabinet.share()
        transaction.charging = True
        gun.next_sample_at = now + self._configuration.integer("MeterValueSampleInterval")
        message = self._dialect.charging(transaction, now)
        if message is not None:
            self._uplink.outbox.put(message)
        self.refresh(gun)

    def end(self, gun: Gun, cause: StopCause, token: str | None = None) -> None:
        transaction = gun.transaction
        if transaction is None:
            return
        now = self._clock.now()
        self.cabinet.advance(now)
        sample = self.reading(gun, now, "Transaction.End", transaction.samples)
        message = self._dialect.ended(transaction, sample, cause, token)
        self._close_books(gun, transaction, cause, message)

    def end_everything(self, cause: StopCause) -> None:
        for gun in self.guns:
            self.end(gun, cause)

    def _close_books(
        self, gun: Gun, transaction: Transaction, cause: StopCause, message: Message | None = None
    ) -> None:
        gun.outlet.closed = False
        self.cabinet.share()
        gun.transaction = None
        self.profiles.forget(transaction)
        gun.finished = gun.plugged_in
        transaction.ended_by = cause
        transaction.over.set()
        self._statistics.transactions_completed += 1
        if message is not None and Misbehaviour.LOSE_ENDED not in self._quirks:
            self._tell_end(gun, transaction, message)
        if gun.operative_when_idle is not None:
            gun.operative, gun.operative_when_idle = gun.operative_when_idle, None
        self.refresh(gun)
        if self.idle is not None:
            self.idle()

    def _tell_end(self, gun: Gun, transaction: Transaction, message: Message) -> None:
        self._uplink.outbox.put(message)
        if Misbehaviour.DUPLICATE_STOP in self._quirks:
            self._uplink.outbox.put(Message(message.action, message.build, durable=True))
        if Misbehaviour.SAMPLES_AFTER_STOP in self._quirks:
            now = self._clock.now()
            late = self.reading(gun, now, "Sample.Periodic", transaction.samples)
            self._uplink.outbox.put(self._dialect.sampled(transaction, late))

    # Limits.

    def _limits(self, at: float) -> tuple[list[float | None], float | None]:
        own = [self.profiles.gun_limit_w(gun, at) for gun in self.guns]
        return own, self.profiles.station_limit_w(at)

    def limits_changed(self) -> None:
        """Obey from now on what has been set or cleared."""
        self.cabinet.advance(self._clock.now())
        self.cabinet.share()
        self._look_at_limits()
        if self.rearm is not None:
            self.rearm()

    def _look_at_limits(self) -> None:
        """Report a gun that a limit of 0 has suspended, or that it no longer does."""
        for gun in self.guns:
            suspended = gun.outlet.limit_w == 0
            if gun.outlet.closed and suspended != gun.suspended:
                gun.suspended = suspended
                self.refresh(gun)

    # Time.

    def step(self) -> None:
        """Do all that is due by now: count energy, sample, stop full cars, expire."""
        now = self._clock.now()
        self.cabinet.advance(now)
        self._look_at_limits()
        self.reservations.expire(now)
        for gun in self.guns:
            if gun.waiting is not None and gun.waiting.until <= now:
                waited, gun.waiting, gun.start_profile = gun.waiting, None, None
                if self._dialect.presenting_uses_reservation:
                    self.reservations.arrived_in_vain(gun, waited.token, waited.group)
                self.refresh(gun)
            if gun.transaction is not None and gun.outlet.closed:
                self._step_transaction(gun, gun.transaction, now)

    def next_due(self) -> float | None:
        """Return when `step` has something to do next, in hub time."""
        dues: list[float] = []
        expiry = self.reservations.next_expiry()
        if expiry is not None:
            dues.append(expiry)
        sampling = self._configuration.integer("MeterValueSampleInterval") > 0
        for gun in self.guns:
            if gun.waiting is not None:
                dues.append(gun.waiting.until)
            if gun.outlet.closed:
                dues.append(self.cabinet.at + STEP_S)
                if sampling:
                    dues.append(gun.next_sample_at)
        return min(dues, default=None)

    def restart_sampling(self) -> None:
        """Count a new sample interval from now on."""
        interval_s = self._configuration.integer("MeterValueSampleInterval")
        for gun in self.guns:
            gun.next_sample_at = self._clock.now() + interval_s
        if self.rearm is not None:
            self.rearm()

    def _step_transaction(self, gun: Gun, transaction: Transaction, now: float) -> None:
        interval_s = self._configuration.integer("MeterValueSampleInterval")
        if interval_s and gun.next_sample_at <= now:
            # A late step sends one sample and not those it missed, as real stations do.
            missed = (now - gun.next_sample_at) // interval_s
            gun.next_sample_at += (missed + 1) * interval_s
            self._sample(gun, transaction, now)
        if gun.outlet.car is not None and gun.outlet.car.satisfied:
            self.end(gun, StopCause.TARGET)

    def _sample(self, gun: Gun, transaction: Transaction, now: float) -> None:
        sample = self.reading(gun, now, "Sample.Periodic", transaction.samples)
        transaction.samples += 1
        self._uplink.outbox.put(self._dialect.sampled(transaction, sample))
        if Misbehaviour.CONNECTOR_ZERO_SAMPLES in self._quirks:
            total_wh = sum(outlet.register_wh for outlet in self.cabinet.outlets)
            bare = self._dialect.bare_samples(0, Sample(now, "Sample.Clock", total_wh))
            self._uplink.outbox.put(bare)

    # What there is to tell.

    def reading(self, gun: Gun, now: float, context: str, ordinal: int = 0) -> Sample:
        outlet = gun.outlet
        return Sample(
            now,
            context,
            outlet.register_wh,
            outlet.power_w,
            outlet.voltage_v,
            outlet.current_a,
            outlet.car.soc * 100 if outlet.car is not None else None,
            ordinal,
        )

    def look_at(self, gun: Gun, context: str, *, apart: bool = False) -> Message:
        """Return a reading of now; `apart` keeps it out of the gun's transaction."""
        now = self._clock.now()
        self.cabinet.advance(now)
        transaction = gun.transaction
        if transaction is None or apart:
            return self._dialect.bare_samples(gun.evse_no, self.reading(gun, now, context))
        reading = self.reading(gun, now, context, transaction.samples)
        return self._dialect.sampled(transaction, reading)

    def status_of(self, gun: Gun) -> Message:
        word = self._dialect.word(gun.state)
        return self._dialect.status(gun.evse_no, word, gun.changed_at, gun.fault)

    def statuses(self, booting: bool) -> list[Message]:
        messages: list[Message] = []
        if booting and Misbehaviour.NO_CONNECTOR_ZERO not in self._quirks:
            whole = self._dialect.station_status(self._clock.now())
            if whole is not None:
                messages.append(whole)
        for gun in self.guns:
            if gun.reported is None:
                gun.changed_at = self._clock.now()
            gun.reported = self._dialect.word(gun.state)
            messages.append(self.status_of(gun))
        return messages

    def refresh(self, gun: Gun) -> None:
        """Report a gun's state if its word has changed."""
        self.reservations.share()
        word = self._dialect.word(gun.state)
        if word != gun.reported:
            gun.reported = word
            gun.changed_at = self._clock.now()
            if self._uplink.online:
                self._uplink.outbox.put(self.status_of(gun))
                if Misbehaviour.UNKNOWN_ACTIONS in self._quirks:
                    self._uplink.outbox.put(Message("CustomOperation", dict))
        if self.rearm is not None:
            self.rearm()
