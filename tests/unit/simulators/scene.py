"""A station that misbehaves, its hub, and the scenarios in which it shows; by switch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from simulators.car import Car
from simulators.misbehaviour import Misbehaviour
from simulators.station import SimulatedStation
from tests.unit.simulators.fake_hub import FakeHub, Payload

REGISTER = 12_345_678


@dataclass
class Scene:
    hub: FakeHub
    station: SimulatedStation

    async def boot(self) -> None:
        await self.station.connect()
        await self.station.boot()

    async def charge(self, seconds: float = 50) -> None:
        await self.boot()
        await self.station.plug_in(1, Car())
        await self.station.present_token(1, "TAXI-0001")
        await self.station.advance(seconds)
        await self.station.stop(1)

    async def outage(self) -> None:
        await self.boot()
        await self.station.plug_in(1, Car())
        await self.station.present_token(1, "TAXI-0001")
        await self.station.go_offline()
        await self.station.advance(20)
        self.hub.forget()
        await self.station.come_back()

    def energies(self) -> list[Payload]:
        """The first value of each sample, in the order of sending."""
        return [
            p["meterValue"][0]["sampledValue"][0]
            for p in (*self.hub.payloads("MeterValues"), *self.events())
            if "meterValue" in p and p.get("connectorId") != 0
        ]

    def events(self) -> list[Payload]:
        return self.hub.payloads("TransactionEvent")

    def stops(self) -> list[Payload]:
        return self.hub.payloads("StopTransaction")


Case = tuple[str, Callable[[Scene], Awaitable[None]]]
CASES: dict[Misbehaviour, list[Case]] = {}


def case(quirk: Misbehaviour, *versions: str) -> Callable[[Any], Any]:
    def register(scenario: Callable[[Scene], Awaitable[None]]) -> Any:
        CASES.setdefault(quirk, []).extend((version, scenario) for version in versions)
        return scenario

    return register
