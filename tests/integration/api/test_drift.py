"""Drift from a template is told once, when it begins and when it ends, and is counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from chargehub.devices import drift as watch
from chargehub.devices.inbound import TEMPLATE_CHANGED
from tests.integration.api.configured import (
    FIRST,
    SECOND,
    item,
    known,
    make_template,
    new_station,
)
from tests.integration.api.conftest import RunningApi, make_location, running
from tests.integration.api.waiting_commands import due


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningApi]:
    async with running(module_database_url) as api:
        await make_location(api, "north")
        yield api


@pytest_asyncio.fixture
async def cs(hub: RunningApi) -> str:
    """A new station with a value that its templates do not want."""
    identity = await new_station(hub)
    await known(hub, identity, FIRST, value="1")
    await known(hub, identity, SECOND, value="0")
    return identity


async def told(hub: RunningApi, identity: str) -> None:
    await hub.devices.drift.station_told(str(await hub.station_id(identity)), {})


async def notices(hub: RunningApi, identity: str) -> list[tuple[bool, list[dict[str, Any]]]]:
    """Return whether each says that it differs, and in what; oldest first."""
    path = f"/charging-stations/{identity}/notices"
    answer = await hub.operator.get(path, params={"kind": "ConfigurationDrift"})
    assert answer.status_code == 200, answer.text
    items = reversed(answer.json()["items"])
    return [(found["flagged"], found["payload"]["variables"]) for found in items]


async def counted(hub: RunningApi, template_id: int) -> int:
    """Return how many stations differ, as the list says and as the template itself."""
    path = "/configuration-templates"
    listed = (await hub.viewer.get(path, params={"limit": 200})).json()["items"]
    (of_list,) = [one["drifting_stations"] for one in listed if one["id"] == template_id]
    alone = (await hub.viewer.get(f"{path}/{template_id}")).json()
    assert alone["drifting_stations"] == of_list
    number: int = of_list
    return number


DIFFERS: dict[str, Any] = {
    "variable": SECOND.path,
    "wanted": "2",
    "actual": "0",
    "pending_value": None,
}
BEGAN = (True, [DIFFERS])
ENDED: tuple[bool, list[Any]] = (False, [])


async def test_drift_is_told_when_it_begins_and_when_it_ends(hub: RunningApi, cs: str) -> None:
    template_id = await make_template(hub, cs)
    for _ in range(2):
        await told(hub, cs)
        assert await notices(hub, cs) == [BEGAN]
        assert await counted(hub, template_id) == 1
    await known(hub, cs, SECOND, value="2")
    for _ in range(2):
        await told(hub, cs)
        assert await notices(hub, cs) == [BEGAN, ENDED]
        assert await counted(hub, template_id) == 0
    await known(hub, cs, SECOND, value="0")
    await told(hub, cs)
    assert await notices(hub, cs) == [BEGAN, ENDED, BEGAN]


async def test_what_waits_for_a_boot_or_is_not_known_is_no_drift(hub: RunningApi, cs: str) -> None:
    await make_template(hub, cs)
    await known(hub, cs, SECOND, pending_value="2")
    await known(hub, cs, FIRST, supported=False)
    await told(hub, cs)
    assert await notices(hub, cs) == []


async def test_what_will_differ_after_the_boot_differs(hub: RunningApi, cs: str) -> None:
    await make_template(hub, cs)
    await known(hub, cs, SECOND, value="2", pending_value="3")
    await told(hub, cs)
    found = DIFFERS | {"actual": "2", "pending_value": "3"}
    assert await notices(hub, cs) == [(True, [found])]


async def test_other_templates_say_nothing_of_a_station(hub: RunningApi, cs: str) -> None:
    other = await new_station(hub)
    await make_template(hub, other)
    await make_template(hub, cs, vendor="somebody else")
    await told(hub, cs)
    assert await notices(hub, cs) == []


async def test_a_template_that_changes_has_its_stations_compared(
    hub: RunningApi, cs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page; a station that it is not for any more is counted no more, without a word."""
    monkeypatch.setattr(watch, "STATIONS_AT_ONCE", 2)
    others = [await new_station(hub) for _ in range(4)]
    for other in others:
        await known(hub, other, SECOND, value="0")
    template_id = await make_template(hub, cs, *others)
    assert await due(hub, TEMPLATE_CHANGED, str(template_id)) == 1
    for _ in range(2):
        await hub.devices.drift.template_changed(str(template_id), {})
    assert await counted(hub, template_id) == 5
    assert [await notices(hub, other) for other in (cs, *others)] == [[BEGAN]] * 5
    changed = {"name": f"changed {cs}", "identities": others, "wanted": [item(SECOND, "0")]}
    answer = await hub.admin.put(f"/configuration-templates/{template_id}", json=changed)
    assert answer.json()["drifting_stations"] == 5
    await hub.devices.drift.template_changed(str(template_id), {})
    assert await counted(hub, template_id) == 0
    assert await notices(hub, cs) == [BEGAN]
    assert [await notices(hub, other) for other in others] == [[BEGAN, ENDED]] * 4


async def test_what_is_gone_is_not_counted(hub: RunningApi, cs: str) -> None:
    template_id = await make_template(hub, cs)
    await told(hub, cs)
    station_id = await hub.station_id(cs)
    assert (await hub.admin.post(f"/charging-stations/{cs}/decommission")).status_code == 204
    assert await counted(hub, template_id) == 0
    await hub.devices.drift.station_told(str(station_id), {})
    assert (await hub.admin.delete(f"/configuration-templates/{template_id}")).status_code == 204
    await hub.devices.drift.template_changed(str(template_id), {})
