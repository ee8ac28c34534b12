"""What devices tell over a real socket: signed, once, in whatever order it comes."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import func, select

from chargehub.bays.signing import (
    NONCE_HEADER,
    SIGNATURE_HEADER,
    SKEW_S,
    TIMESTAMP_HEADER,
    headers_for,
)
from chargehub.bays.store import bay_events
from chargehub.kit.db import Database
from tests.integration.bays.world import KEY, World, bay_world

PATH = "/api/v1/bay-gateways/L1/events"


@pytest_asyncio.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with bay_world(database) as opened:
        yield opened


def told(world: World, sequence: int, *, seconds: float = 0, **more: Any) -> dict[str, Any]:
    at = world.wall.at + timedelta(seconds=seconds)
    event = {"event_id": str(uuid4()), "device_id": "BAY-1", "sequence": sequence}
    return {**event, "at": at.isoformat(), **more}


def sensor(state: str) -> dict[str, Any]:
    return {"sensor": {"state": state}}


async def post(
    world: World,
    events: list[dict[str, Any]],
    *,
    key: str = KEY,
    ahead_s: float = 0.0,
    headers: dict[str, str] | None = None,
    url: str | None = None,
) -> httpx.Response:
    body = json.dumps({"events": events}).encode()
    signed_at = time.time() + ahead_s
    headers = headers or headers_for(key.encode(), "POST", PATH, body, signed_at)
    async with httpx.AsyncClient(trust_env=False) as client:
        sent = headers | {"Content-Type": "application/json"}
        return await client.post(url or world.events_url, content=body, headers=sent)


async def state(world: World) -> str:
    found: str = (await world.bay()).sensor_state
    return found


async def count(world: World) -> int:
    async with world.database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(bay_events)) or 0


async def test_a_delivery_is_stored_once_however_often_it_comes(world: World) -> None:
    events = [told(world, 100, **sensor("occupied"))]
    first = await post(world, events)
    assert (first.status_code, first.json()) == (
        200,
        {"stored": 1, "known": 0, "unknown_devices": []},
    )
    again = await post(world, events)
    assert again.json() == {"stored": 0, "known": 1, "unknown_devices": []}
    assert (await count(world), await state(world)) == (1, "occupied")


async def test_a_replayed_request_is_refused(world: World) -> None:
    events = [told(world, 100, **sensor("occupied"))]
    body = json.dumps({"events": events}).encode()
    headers = headers_for(KEY.encode(), "POST", PATH, body, time.time())
    assert (await post(world, events, headers=headers)).status_code == 200
    await post(world, [told(world, 101, seconds=1, **sensor("free"))])
    # What was used is not forgotten as long as it could be taken.
    await world.go(seconds=40)
    replayed = await post(world, events, headers=headers)
    assert (replayed.status_code, replayed.json()["code"]) == (401, "signature-used")
    assert (await count(world), await state(world)) == (2, "free")


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"key": "a key that is not the gateway's own, but long"}, "signature-invalid"),
        ({"ahead_s": -SKEW_S - 60}, "signature-too-old"),
        ({"ahead_s": SKEW_S + 600}, "signature-too-old"),
    ],
)
async def test_what_is_forged_or_old_changes_nothing(
    world: World, over: dict[str, Any], code: str
) -> None:
    refused = await post(world, [told(world, 100, **sensor("occupied"))], **over)
    assert (refused.status_code, refused.json()["code"]) == (401, code)
    assert (await count(world), await state(world)) == (0, "free")


async def test_a_changed_body_or_another_location_is_refused(world: World) -> None:
    events = [told(world, 100, **sensor("occupied"))]
    body = json.dumps({"events": [told(world, 100, **sensor("free"))]}).encode()
    headers = headers_for(KEY.encode(), "POST", PATH, body, time.time())
    assert (await post(world, events, headers=headers)).status_code == 401
    elsewhere = world.events_url.replace("/L1/", "/L2/")
    assert (await post(world, events, url=elsewhere)).json()["code"] == "signature-invalid"
    half = headers | {SIGNATURE_HEADER: "0" * 64}
    assert (await post(world, events, headers=half)).json()["code"] == "signature-invalid"
    assert {TIMESTAMP_HEADER, NONCE_HEADER} < set(headers)
    assert (await post(world, events, headers={"X": "y"})).status_code == 422
    assert await count(world) == 0


async def test_a_late_event_changes_nothing(world: World) -> None:
    early = told(world, 100, **sensor("free"))
    await post(world, [told(world, 101, seconds=0, **sensor("occupied"))])
    world.wall.go(seconds=5)
    await post(world, [early])
    assert (await count(world), await state(world)) == (2, "occupied")


async def test_events_of_one_delivery_are_taken_in_the_device_s_order(world: World) -> None:
    early, late = told(world, 100, **sensor("occupied")), told(world, 101, **sensor("free"))
    await post(world, [late, early])
    assert await state(world) == "free"
    # A device that is both tells of the one now, of the other then.
    rising = told(world, 102, lock={"state": "moving"})
    await post(world, [told(world, 103, **sensor("occupied")), rising])
    bay = await world.bay()
    assert (bay.lock_state, bay.sensor_state) == ("moving", "occupied")


async def test_what_comes_late_of_one_part_of_a_device_is_asked_about(world: World) -> None:
    world.gateway.devices["BAY-1"].lock = "raised"
    rising = told(world, 100, lock={"state": "raised"})
    await post(world, [told(world, 101, **sensor("free"))])
    await post(world, [rising])
    assert (await world.bay()).lock_state == "lowered"
    await world.settle()
    assert (await world.bay()).lock_state == "raised"


async def test_where_clock_and_count_disagree_the_device_is_asked(world: World) -> None:
    """Its count began anew: what it says counts only when it is asked."""
    await post(world, [told(world, 1_000, **sensor("free"))])
    world.device.car = True
    world.wall.go(seconds=5)
    answer = await post(world, [told(world, 0, **sensor("free"))])
    assert answer.json()["stored"] == 1
    assert await state(world) == "unknown"
    world.device.sequence = 0
    await world.settle()
    assert await state(world) == "occupied"
    # And from there on its new count holds.
    world.wall.go(seconds=5)
    world.gateway.leave("BAY-1")
    await world.settle()
    assert await state(world) == "free"


async def test_a_device_ahead_of_our_clock_is_not_believed_for_ever(world: World) -> None:
    await post(world, [told(world, 100, seconds=86_400, **sensor("occupied"))])
    assert (await world.bay()).sensor_since <= world.wall.at
    world.wall.go(seconds=5)
    await post(world, [told(world, 101, **sensor("free"))])
    assert await state(world) == "free"


async def test_for_how_long_a_car_stands_there_no_device_s_clock_counts(world: World) -> None:
    await world.go(minutes=5)
    heard_at = world.wall.at
    await post(world, [told(world, 100, seconds=-240, **sensor("occupied"))])
    world.wall.go(seconds=5)
    await post(world, [told(world, 101, **sensor("occupied"))])
    assert (await world.bay()).sensor_since == heard_at


async def test_what_is_of_no_bay_is_said_and_the_rest_is_kept(world: World) -> None:
    stranger = told(world, 1, **sensor("free")) | {"device_id": "NOBODY"}
    answer = await post(world, [stranger, told(world, 100, **sensor("occupied"))])
    assert answer.json() == {"stored": 1, "known": 0, "unknown_devices": ["NOBODY"]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"sequence": -1},
        {"sequence": "1"},
        {"at": "yesterday"},
        {"event_id": ""},
        {"sensor": {"state": "perhaps"}},
        {"lock": {"battery_percent": 101}},
        {"request_id": str(uuid4())},
        {"result": "done"},
        {"device_id": "a\x00b"},
    ],
)
async def test_what_cannot_be_read_is_refused_whole(world: World, wrong: dict[str, Any]) -> None:
    good = told(world, 100, **sensor("occupied"))
    answer = await post(world, [good, told(world, 101) | wrong])
    assert answer.status_code == 422
    assert await count(world) == 0


async def test_another_s_command_is_not_ended(world: World) -> None:
    """A result for a command of another bay, or of none, is only kept."""
    (driver,) = await world.drivers(1)
    await world.hold(driver)
    await world.go(seconds=40)
    command = await world.lower(driver)
    more: dict[str, Any] = {"request_id": str(command.id), "result": "done"}
    await post(world, [told(world, 900, **more) | {"device_id": "BAY-2"}])
    await post(world, [told(world, 900, request_id=str(uuid4()), result="done")])
    assert (await world.commands())[-1].outcome == "pending"
    # What is over stays as it ended.
    done = (await world.commands())[0]
    await post(world, [told(world, 901, request_id=str(done.id), result="fault")])
    assert (await world.commands())[0].outcome == "done"


async def test_the_path_is_signed_as_it_is_sent(world: World) -> None:
    path = PATH.replace("/L1/", "/L%31/")
    events = [told(world, 100, **sensor("occupied"))]
    body = json.dumps({"events": events}).encode()
    headers = headers_for(KEY.encode(), "POST", path, body, time.time())
    url = world.events_url.replace("/L1/", "/L%31/")
    assert (await post(world, events, headers=headers, url=url)).status_code == 200
