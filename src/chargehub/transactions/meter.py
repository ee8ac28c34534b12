"""Meter truth: what a transaction really took, from registers that reset, slip and lie.

Pure. A `MeterTrack` is folded over the readings of one transaction in time order; every rule sets a
flag and yields a corrected energy beside the reported register, which is never altered. The same
fold runs live and when a transaction is settled from its stored readings, so both agree.

The rules, in the order they are tried:
  begin missing   the first register is the begin.
  zero begin      begin 0 while the meter was not at 0: count from the register the previous
                  transaction of this EVSE ended at when that fits, else from the first register.
                  A lifetime register is never billed (the 910 kWh case).
  unit slip       a register 1,000 times off that fits when scaled is scaled; so is one that
                  has risen 1,000 times too fast twice in a row.
  glitch          a single fall that returns to where it was is left out; so is a single peak that
                  falls back to where the register was going, unless a restart at 0 explains it.
  reset           a fall that stays: energy goes on from before the fall.
  implausible     a rise no EVSE of this power can deliver is left out; when the next reading
                  confirms it, counting goes on from there and the jump is not billed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from chargehub.telemetry.readings import Flag, Reading

POWER_MARGIN = 1.25
"""A gun may exceed its rated power by metering class, temperature and rounding."""
TOLERANCE_WH = 500
"""Registers in whole kWh move in steps; clocks are a few seconds apart."""
ROUNDING_WH = 2


class MeterTrack(NamedTuple):
    """Where the fold stands. `base_wh` is the register that counts as zero, in this stretch."""

    max_power_w: int
    previous_wh: int | None = None
    """The register at which the EVSE's previous transaction ended, when known."""
    begin_reported: bool = False
    base_wh: int | None = None
    carried_wh: int = 0
    """Energy of the stretches before the last reset."""
    last_wh: int | None = None
    last_at: datetime | None = None
    flags: Flag = Flag.NONE
    before_fall: MeterTrack | None = None
    before_last_wh: int | None = None
    """The register that was believed before the last one, in this stretch."""
    jumped_to_wh: int | None = None
    jumped_at: datetime | None = None
    scale: int = 1
    """1000 where Wh have been labelled kWh since the begin."""
    zero_begin_wh: int | None = None
    """The first register after a begin of 0, while nothing has been counted since."""

    @property
    def energy_wh(self) -> int | None:
        if self.base_wh is None or self.last_wh is None:
            return None
        return self.carried_wh + round((self.last_wh - self.base_wh) / self.scale)

    def can_rise(self, by_wh: float, at: datetime, since: datetime | None = None) -> bool:
        """Tell whether this EVSE could deliver `by_wh` between the last reading and `at`."""
        since = since or self.last_at
        seconds = 0.0 if since is None else max(0.0, (at - since).total_seconds())
        shown = by_wh / self.scale
        return shown <= self.max_power_w * POWER_MARGIN * seconds / 3600 + TOLERANCE_WH


def begin_track(
    register_wh: int | None, at: datetime, max_power_w: int, previous_wh: int | None = None
) -> MeterTrack:
    """Begin a transaction at the reported register (None where the station told none)."""
    return MeterTrack(
        max_power_w=max_power_w,
        previous_wh=previous_wh,
        begin_reported=register_wh is not None,
        base_wh=register_wh,
        last_wh=register_wh,
        last_at=at,
    )


def advance(track: MeterTrack, reading: Reading) -> tuple[MeterTrack, Flag]:
    """Fold one reading in; return the new track and this reading's own flags.

    A reading without a register, or older than the last one, leaves the track as it is.
    """
    register, at = reading.register_wh, reading.sampled_at
    if register is not None:
        steady = _advance_steadily(track, register, at)
        if steady is not None:
            return steady, Flag.NONE
    return _advance_carefully(track, register, at)


def _advance_steadily(track: MeterTrack, register: int, at: datetime) -> MeterTrack | None:
    """Fold in the common case, in one step: a register that rises as it may, of a begin above 0.

    It gives what `_advance_carefully` would give, or nothing; a property test holds the two
    together. Taken apart at once and made anew: by name it costs three times as much.
    """
    max_power_w, previous_wh, reported, base, carried, last, last_at, flags, fall, *_, scale, _ = (
        track
    )
    if not base or last is None or last_at is None or fall is not None or at < last_at:
        return None
    rise = register - last
    most = max_power_w * POWER_MARGIN * (at - last_at).total_seconds() / 3600 + TOLERANCE_WH
    if not 0 <= rise / scale <= most:
        return None
    return MeterTrack(
        max_power_w,
        previous_wh,
        reported,
        base,
        carried,
        register,
        at,
        flags,
        scale=scale,
        before_last_wh=last,
    )


def _advance_carefully(
    track: MeterTrack, register: int | None, at: datetime
) -> tuple[MeterTrack, Flag]:
    if register is None or (track.last_at is not None and at < track.last_at):
        return track, Flag.NONE
    if track.last_wh is None or track.base_wh is None:
        return _begin_late(track, register, at)
    rise = register - track.last_wh
    if -ROUNDING_WH <= rise < 0:
        return track._replace(last_at=at), Flag.NONE
    if rise >= 0:
        return _rise(track, register, at)
    return _fall(track, register, at)


def _marked(track: MeterTrack, flag: Flag) -> tuple[MeterTrack, Flag]:
    return track._replace(flags=track.flags | flag), flag


def _begin_late(track: MeterTrack, register: int, at: datetime) -> tuple[MeterTrack, Flag]:
    begun = track._replace(base_wh=register, last_wh=register, last_at=at)
    return _marked(begun, Flag.BEGIN_MISSING)


def _accepted(track: MeterTrack, register: int, at: datetime) -> MeterTrack:
    return MeterTrack(
        track.max_power_w,
        track.previous_wh,
        track.begin_reported,
        track.base_wh,
        track.carried_wh,
        register,
        at,
        track.flags,
        scale=track.scale,
        before_last_wh=track.last_wh,
    )


def _rise(track: MeterTrack, register: int, at: datetime) -> tuple[MeterTrack, Flag]:
    assert track.last_wh is not None
    returned = _returned_from_fall(track, register, at)
    if returned is not None:
        return returned, Flag.NONE
    if _is_zero_begin(track, register):
        return _correct_zero_begin(track, register, at)
    if track.can_rise(register - track.last_wh, at):
        return _accepted(track, register, at), Flag.NONE
    if track.begin_reported and track.base_wh == 0 and track.last_wh == 0:
        # Nothing was counted yet: what rose is the meter's life, not this transaction.
        begun = _accepted(track, register, at)._replace(base_wh=register, zero_begin_wh=register)
        return _marked(begun, Flag.ZERO_BEGIN)
    slipped = _slip(track, register, at) or _slipped_since_begin(track, register, at)
    return slipped or _jump(track, register, at)


def _slip(track: MeterTrack, register: int, at: datetime) -> tuple[MeterTrack, Flag] | None:
    """Read a register that is 1,000 times too large, or return None where that explains nothing."""
    assert track.last_wh is not None
    scaled = round(register / 1000)
    if track.zero_begin_wh is not None:
        # It looked like a zero begin, but goes on like Wh labelled kWh since a true begin of 0.
        began = round(track.zero_begin_wh / 1000)
        if scaled >= began and track.can_rise(scaled - began, at):
            slipped = _accepted(track, scaled, at)._replace(base_wh=0)
            slipped = slipped._replace(flags=slipped.flags & ~Flag.ZERO_BEGIN)
            return _marked(slipped, Flag.UNIT_SUSPECT)
    if scaled >= track.last_wh and track.can_rise(scaled - track.last_wh, at):
        return _marked(_accepted(track, scaled, at), Flag.UNIT_SUSPECT)
    return None


def _slipped_since_begin(
    track: MeterTrack, register: int, at: datetime
) -> tuple[MeterTrack, Flag] | None:
    """Read a register that rises 1,000 times too fast twice in a row as Wh labelled kWh.

    Begin and samples are all mislabelled then: only the rises tell.
    """
    if track.jumped_to_wh is None or track.jumped_at is None or track.scale != 1:
        return None
    assert track.last_wh is not None
    first, second = track.jumped_to_wh - track.last_wh, register - track.jumped_to_wh
    as_told = track.can_rise(second, at, track.jumped_at)
    scaled = track._replace(scale=1000)
    if as_told or not scaled.can_rise(first, track.jumped_at):
        return None
    if not scaled.can_rise(second, at, track.jumped_at):
        return None
    energy = track.energy_wh
    assert energy is not None
    scaled = _accepted(scaled, register, at)._replace(carried_wh=energy, base_wh=track.last_wh)
    return _marked(scaled._replace(flags=scaled.flags & ~Flag.IMPLAUSIBLE), Flag.UNIT_SUSPECT)


def _is_zero_begin(track: MeterTrack, register: int) -> bool:
    """Tell whether begin 0 is a lie: the meter is where, or beyond where, it was before."""
    if not (track.begin_reported and track.base_wh == 0 and track.last_wh == 0):
        return False
    return track.previous_wh is not None and 0 < track.previous_wh <= register


def _correct_zero_begin(track: MeterTrack, register: int, at: datetime) -> tuple[MeterTrack, Flag]:
    assert track.previous_wh is not None
    fits = track.can_rise(register - track.previous_wh, at)
    base = track.previous_wh if fits else register
    return _marked(_accepted(track, register, at)._replace(base_wh=base), Flag.ZERO_BEGIN)


def _jump(track: MeterTrack, register: int, at: datetime) -> tuple[MeterTrack, Flag]:
    energy = track.energy_wh
    assert energy is not None
    confirmed = track.jumped_to_wh is not None and 0 <= register - track.jumped_to_wh <= (
        TOLERANCE_WH + track.max_power_w
    )
    if confirmed:
        assert track.jumped_to_wh is not None
        moved = _accepted(track, register, at)._replace(
            base_wh=track.jumped_to_wh, carried_wh=energy
        )
        return _marked(moved, Flag.IMPLAUSIBLE)
    return _marked(track._replace(jumped_to_wh=register, jumped_at=at), Flag.IMPLAUSIBLE)


def _fall(track: MeterTrack, register: int, at: datetime) -> tuple[MeterTrack, Flag]:
    assert track.last_wh is not None
    scaled = register * 1000
    if scaled >= track.last_wh > 0 and register > 0:
        step = scaled - track.last_wh
        # A register in whole kWh can lag by just under one kWh.
        if track.can_rise(step, at):
            return _marked(_accepted(track, scaled, at), Flag.UNIT_SUSPECT)
    energy = track.energy_wh
    assert energy is not None
    # A meter that restarted at 0 delivered what it shows; one that shows more than was possible
    # restarted from somewhere unknown, or its last reading was one bad peak.
    from_zero = track.can_rise(register, at)
    before_fall = track._replace(before_fall=None)
    if not from_zero and _was_a_peak(track, register):
        levelled = _accepted(track, register, at)
        levelled = levelled._replace(before_fall=before_fall, before_last_wh=None)
        return _marked(levelled, Flag.REGISTER_RESET)
    fallen = track._replace(
        base_wh=0 if from_zero else register,
        carried_wh=energy,
        last_wh=register,
        last_at=at,
        jumped_to_wh=None,
        jumped_at=None,
        scale=1,
        before_fall=before_fall,
        before_last_wh=None,
    )
    return _marked(fallen, Flag.REGISTER_RESET)


def _was_a_peak(track: MeterTrack, register: int) -> bool:
    """Tell whether the register fell to where it would be had the last reading not been."""
    if track.before_last_wh is None or track.base_wh is None:
        return False
    return register >= max(track.before_last_wh, track.base_wh)


def _returned_from_fall(track: MeterTrack, register: int, at: datetime) -> MeterTrack | None:
    """Undo a fall that was one bad reading: the register is back where it would have been."""
    before = track.before_fall
    if before is None or before.last_wh is None or track.last_wh is None:
        return None
    if track.can_rise(register - track.last_wh, at):
        return None
    rise = register - before.last_wh
    if rise < 0 or not before.can_rise(rise, at):
        return None
    restored = _accepted(before, register, at)
    return restored._replace(flags=track.flags)


@dataclass(frozen=True, slots=True)
class MeterTruth:
    """A transaction's corrected figures, recomputable from its stored readings at any time."""

    energy_wh: int | None
    flags: Flag
    reading_energy_wh: tuple[int | None, ...]
    """The corrected energy at each of the given readings, in the order given."""
    track: MeterTrack
    """Where the fold ended, to go on from."""


def moment(reading: Reading) -> tuple[datetime, int]:
    """Order readings by time; of one moment's the smaller register came first."""
    return reading.sampled_at, -1 if reading.register_wh is None else reading.register_wh


def advance_to_end(track: MeterTrack, end: Reading) -> MeterTrack:
    """Fold the end register in: it is the last word, whatever the station's clock says."""
    if track.last_at is not None and end.sampled_at < track.last_at:
        end = end._replace(sampled_at=track.last_at)
    return advance(track, end)[0]


def find_truth(
    begin: MeterTrack, readings: Iterable[Reading], end: Reading | None = None
) -> MeterTruth:
    """Fold all readings (any order) and the end register over a fresh track."""
    indexed = list(enumerate(readings))
    energies: list[int | None] = [None] * len(indexed)
    track = begin
    for index, reading in sorted(indexed, key=lambda pair: moment(pair[1])):
        track, own = advance(track, reading)
        usable = reading.register_wh is not None and not own & Flag.IMPLAUSIBLE
        energies[index] = track.energy_wh if usable else None
    if end is not None:
        end_register = end.register_wh
        fell = (
            end_register is not None
            and begin.base_wh is not None
            and end_register < begin.base_wh
            and not track.flags & (Flag.REGISTER_RESET | Flag.ZERO_BEGIN)
        )
        track = advance_to_end(track, end)
        if fell:
            track, _ = _marked(track, Flag.END_BEFORE_BEGIN)
    return MeterTruth(track.energy_wh, track.flags, tuple(energies), track)
