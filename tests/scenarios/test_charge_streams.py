"""The stream of a driver's charge: until it is over, within its limits, and for its driver."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from chargehub.access.service import digest
from chargehub.drivers.entry import Device, DriverEntry
from chargehub.drivers.logins import DriverLogins
from chargehub.drivers.ports import DevelopmentWeChat, DriverPorts
from simulators.car import Car
from tests.scenarios.drivers import Phone, new_phone
from tests.scenarios.stage import Stage
from tests.scenarios.test_charges import began, start


async def test_the_stream_tells_the_charge_until_it_is_over(stage: Stage, version: str) -> None:
    phone, station, path = await began(stage, version)
    async with asyncio.timeout(30), phone.stream(f"{path}/stream") as lines:
        first = await next_event(lines)
        assert (first["kind"], first["state"]) == ("charge", "charging")
        await station.advance(60)
        second = await next_event(lines)
        assert second["live"]["energy_wh"] > 0
        await station.stop(1)
        await station.settled()
        await stage.hub.charging.watch.idle()
        last = second
        while last["kind"] != "over":
            last = await next_event(lines)
        assert (last["state"], last["end_reason"]) == ("ended", "stopped_at_station")
    assert stage.hub.charging.streams.streams == 0


async def test_one_driver_cannot_take_all_streams(stage: Stage, version: str) -> None:
    phone, _, path = await began(stage, version)
    other, _, path_of_other = await began(stage, version)
    limit = stage.hub.charging.streams
    usual = limit.most, limit.most_of_driver
    limit.most_of_driver = 1
    try:
        async with asyncio.timeout(30), phone.stream(f"{path}/stream") as lines:
            await next_event(lines)
            answer = await phone.ask("GET", f"{path}/stream")
            assert (answer.status_code, answer.json()["code"]) == (429, "too-many-requests")
            async with other.stream(f"{path_of_other}/stream") as lines_of_other:
                assert (await next_event(lines_of_other))["state"] == "charging"
                third = await new_phone(stage)
                full = await third.ask("GET", f"{path}/stream")
                assert full.status_code == 404  # Nobody learns of another's charge by it.
                limit.most, limit.most_of_driver = 2, 2
                full = await phone.ask("GET", f"{path}/stream")
                assert (full.status_code, full.json()["code"]) == (503, "too-many-streams")
    finally:
        limit.most, limit.most_of_driver = usual


async def test_a_guests_stream_ends_when_an_account_takes_the_charge_over(
    stage: Stage, version: str
) -> None:
    guest = await new_phone(stage, guest_until=stage.clock.date().replace(year=2027))
    station = await stage.simulated(version)
    await station.plug_in(1, Car(soc=0.3))
    path = f"/charges/{(await start(guest, station))['id']}"
    parts = stage.hub.features._of_drivers()  # noqa: SLF001  Without a WeChat of its own.
    (entry,) = (part for part in parts if isinstance(part, DriverEntry))
    entry.ports = DriverPorts(wechat=DevelopmentWeChat())
    present = await DriverLogins(stage.database).principal_of(digest(guest.token))
    assert present is not None
    device = Device("phone", "127.0.0.1")
    async with asyncio.timeout(30), guest.stream(f"{path}/stream") as lines:
        await next_event(lines)
        entered = await entry.log_in_by_wechat("demo-wang", device, present)
        # Its end is the answer's own: a broken one would raise here.
        assert [line async for line in lines if line.startswith("event: over")] == []
    account = Phone(stage, guest.driver_id, entered.login.token)
    assert (await account.get(path))["state"] == "charging"


async def next_event(lines: Any) -> dict[str, Any]:
    kind = ""
    while True:
        line = await anext(lines)
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        if line.startswith("data: "):
            return {"kind": kind, **json.loads(line.removeprefix("data: "))}
