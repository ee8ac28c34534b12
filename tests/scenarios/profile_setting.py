"""What the scenarios of smart charging share: profiles, and how they are set, cleared and seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any
from uuid import UUID

from chargehub.smart_charging.service import ProfileSet, ProfileWanted
from chargehub.stations.commands import ClearChargingProfile, CommandAnswer
from chargehub.stations.dispatch import CommandDesk
from chargehub.stations.profiles import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)
from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from simulators.station import SimulatedStation
from tests.scenarios.speech import Message, Payload
from tests.scenarios.stage import RawStation, Stage

MAX, DEFAULT, TX = ProfilePurpose.STATION_MAX, ProfilePurpose.TX_DEFAULT, ProfilePurpose.TX
ACTOR = "a scenario"
SILENT = frozenset((Misbehaviour.SILENT_TO_CALLS,))


def a_profile(
    stage: Stage, purpose: ProfilePurpose, *limits: float, level: int = 0, **more: Any
) -> ChargingProfile:
    """Return a profile in W from now on, ten minutes for each limit."""
    schedule: dict[str, Any] = {
        "unit": more.pop("unit", RateUnit.W),
        "periods": tuple(SchedulePeriod(n * 600, limit) for n, limit in enumerate(limits)),
        "starts_at": stage.clock.date(),
        "duration_s": more.pop("duration_s", None),
    }
    profile = ChargingProfile(
        id=0,
        stack_level=level,
        purpose=purpose,
        kind=ProfileKind.ABSOLUTE,
        schedules=(ChargingSchedule(**schedule),),
    )
    return replace(profile, **more)


async def set_profile(
    stage: Stage,
    station: SimulatedStation | RawStation,
    evse_no: int,
    profile: ChargingProfile,
    **more: Any,
) -> ProfileSet:
    wanted = ProfileWanted(evse_no, profile, **more)
    return await stage.hub.smart.smart.set_profile(station.identity, wanted, actor=ACTOR)


async def clear(stage: Stage, station: SimulatedStation | RawStation, **criteria: Any) -> int:
    _, _, cleared = await stage.hub.smart.smart.clear_profiles(
        station.identity, ClearChargingProfile(**criteria), actor=ACTOR
    )
    return cleared


async def states(stage: Stage, station: SimulatedStation | RawStation) -> list[tuple[int, str]]:
    rows = await stage.rows(
        "SELECT p.profile_id, p.state FROM charging_profiles p JOIN charging_stations s"
        " ON s.id = p.station_id WHERE s.identity = :identity ORDER BY p.id",
        identity=station.identity,
    )
    return [(row.profile_id, row.state) for row in rows]


async def charging(stage: Stage, station: SimulatedStation, evse_no: int = 1) -> Any:
    """Begin to charge at a gun and return the transaction."""
    await station.plug_in(evse_no, Car(soc=0.1))
    assert await station.present_token(evse_no, await stage.new_token())
    (row,) = [
        row
        for row in await stage.transactions_of(station.identity)
        if row.evse_no == evse_no and row.state == "Active"
    ]
    return row


async def metered_w(stage: Stage, station: SimulatedStation, transaction_id: int) -> int:
    """Return the power of the newest sample after 20 seconds more."""
    await station.advance(20)
    newest = (await stage.samples_of(transaction_id))[-1]
    power_w: int = newest.power_w
    return power_w


async def a_station(stage: Stage, version: str) -> RawStation:
    """Return a station that takes every profile, and says that it will report."""
    station = await stage.raw(version)
    station.answers["SetChargingProfile"] = {"status": "Accepted"}
    station.answers["GetChargingProfiles"] = {"status": "Accepted"}
    await settled(stage)
    return station


async def settled(stage: Stage, *seconds: float) -> None:
    """Let what follows a boot or a lost answer be done."""
    for wait in seconds or (11,):
        stage.pass_time(wait)
        await stage.work()


async def known_to_be(stage: Stage, station: RawStation, *, here: bool) -> None:
    """Return when the hub knows that the station is here, or away."""
    async with asyncio.timeout(10):
        online_ids = stage.hub.connections.online_ids
        while (station.station_id in online_ids()) is not here:  # noqa: ASYNC110 - no event.
            await asyncio.sleep(0.01)


def told(station: RawStation, action: str) -> list[Payload]:
    return [payload for name, payload in station.asked if name == action]


async def ask(stage: Stage, station: RawStation, evse_no: int | None = None) -> int:
    _, _, number = await stage.hub.smart.reconciling.ask(station.identity, evse_no, actor=ACTOR)
    return number


def page(number: int, evse_no: int, *profiles: ChargingProfile, more: bool = False) -> Message:
    told: list[dict[str, Any]] = [
        {
            "id": profile.id,
            "stackLevel": profile.stack_level,
            "chargingProfilePurpose": profile.purpose.value,
            "chargingProfileKind": "Absolute",
            "chargingSchedule": [
                {
                    "id": 1,
                    "chargingRateUnit": "W",
                    "startSchedule": "2026-11-23T00:00:00Z",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10_000}],
                }
            ],
        }
        for profile in profiles
    ]
    return Message(
        "ReportChargingProfiles",
        {
            "requestId": number,
            "chargingLimitSource": "CSO",
            "evseId": evse_no,
            "chargingProfile": told,
            "tbc": more,
        },
    )


class OvertakenDesk(CommandDesk):
    """Something else happens just before a command is recorded."""

    before: Callable[[], Awaitable[Any]]

    async def send(self, *args: Any, **more: Any) -> tuple[UUID, CommandAnswer]:
        await self.before()
        return await super().send(*args, **more)


async def come_true(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - rows have no event.
            await asyncio.sleep(0.01)


async def silently(station: RawStation, asking: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Begin to ask a station that does not answer, and return when it has heard the question."""
    station.wire.quirks = SILENT
    statistics = station.wire._statistics  # noqa: SLF001 - nothing else tells.
    before = statistics.calls_received

    async def has_heard() -> bool:
        return statistics.calls_received > before

    task = asyncio.create_task(asking)
    await come_true(has_heard)
    station.wire.quirks = frozenset()
    return task
