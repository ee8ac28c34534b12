"""Variables and configuration templates over REST; the station's answers are scripted."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from chargehub.devices.reports import VariablesWritten, VariableWritten, WriteEffect
from chargehub.devices.store import station_variables
from chargehub.devices.templates import APPLY
from chargehub.devices.views import MAX_ITEMS
from chargehub.kit import jobs
from chargehub.kit.jobs import due_actions
from chargehub.kit.worker import CONCURRENT, Worker
from chargehub.settings import Limits
from chargehub.stations.commands import (
    CommandAnswer,
    SetVariables,
    StationOffline,
    StationTimeout,
    VariableName,
    VariableWrite,
)
from tests.integration.api.conftest import (
    MAX_WAITING,
    RunningApi,
    make_location,
    make_station,
    problem_of,
    running,
)

NAMES = itertools.count(1)
BEAT = VariableName("OCPPCommCtrlr", "HeartbeatInterval")
FIRST, SECOND = VariableName("Own", "First"), VariableName("Own", "Second")
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningApi]:
    async with running(module_database_url) as api:
        await make_location(api, "north")
        yield api


@pytest_asyncio.fixture
async def cs(hub: RunningApi) -> str:
    """A new station that is here."""
    return await new_station(hub)


async def new_station(hub: RunningApi, *, online: bool = True) -> str:
    identity = f"V-{next(NAMES):03}"
    await make_station(hub, identity, "north")
    if online:
        hub.link.online.add(await hub.station_id(identity))
    return identity


async def known(hub: RunningApi, identity: str, name: VariableName, **facts: Any) -> None:
    values = {
        "station_id": await hub.station_id(identity),
        "key": name.key,
        "path": name.path,
        "component": name.component,
        "variable": name.variable,
        "variable_instance": name.variable_instance,
        "attribute": name.attribute,
        "read_at": NOW,
        **facts,
    }
    async with hub.database.write() as connection:
        await connection.execute(
            insert(station_variables)
            .values(values)
            .on_conflict_do_update(index_elements=["station_id", "key"], set_=facts)
        )


def told(*outcomes: tuple[VariableName, str, str, WriteEffect]) -> CommandAnswer:
    """Return an answer as the gateway reads it."""
    words = sorted({word for _, _, word, _ in outcomes})
    report = VariablesWritten(1, NOW, tuple(VariableWritten(*outcome) for outcome in outcomes))
    return CommandAnswer(", ".join(words), {}, (report,))


def item(name: VariableName, value: str) -> dict[str, Any]:
    return {"component": name.component, "variable": name.variable, "value": value}


def body(*items: tuple[VariableName, str]) -> dict[str, Any]:
    return {"writes": [item(name, value) for name, value in items]}


def path(identity: str) -> str:
    return f"/charging-stations/{identity}/variables"


async def test_a_write_is_answered_with_the_stations_word_for_each(
    hub: RunningApi, cs: str
) -> None:
    limit = VariableName("DeviceDataCtrlr", "ItemsPerMessage", variable_instance="SetVariables")
    await known(hub, cs, limit, value="2")
    hub.link.script(
        await hub.station_id(cs),
        told(
            (FIRST, "1", "Accepted", WriteEffect.APPLIED),
            (SECOND, "2", "RebootRequired", WriteEffect.AFTER_REBOOT),
        ),
        told((BEAT, "60", "Rejected", WriteEffect.REFUSED)),
    )
    answer = await hub.operator.patch(
        path(cs), json=body((FIRST, "1"), (SECOND, "2"), (BEAT, "60"))
    )
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [(one["variable"], one["effect"], one["status"]) for one in results] == [
        ("First", "applied", "Accepted"),
        ("Second", "after_reboot", "RebootRequired"),
        ("HeartbeatInterval", "refused", "Rejected"),
    ]
    assert results[0]["command_id"] == results[1]["command_id"] != results[2]["command_id"]
    sent = [command for _, command in hub.link.sent[-2:]]
    assert all(isinstance(command, SetVariables) for command in sent)


@pytest.mark.parametrize(
    ("writes", "message"),
    [
        (body((BEAT, "1")), "takes a whole number from 10"),
        (body((FIRST, "x")), "takes a whole number"),
        (body((SECOND, "1")), "is read-only"),
        (body((FIRST, "1"), (FIRST, "2")), "is named twice"),
        (body((VariableName("SecurityCtrlr", "BasicAuthPassword"), "0011")), "is a secret"),
    ],
)
async def test_a_write_that_must_not_leave_does_not(
    hub: RunningApi, cs: str, writes: dict[str, Any], message: str
) -> None:
    await known(hub, cs, FIRST, data_type="integer")
    await known(hub, cs, SECOND, mutability="ReadOnly")
    sent = len(hub.link.sent)
    answer = await hub.admin.patch(path(cs), json=writes)
    document = problem_of(answer, 422, "invalid-write")
    assert message in document["errors"][0]["message"]
    assert len(hub.link.sent) == sent


DOOR = VariableName("NetworkConfiguration", "OcppCsmsUrl", component_instance="1")


async def test_only_an_admin_writes_what_a_station_connects_to(hub: RunningApi, cs: str) -> None:
    writes = body((FIRST, "1"), (DOOR, "wss://evil.example"))
    writes["writes"][1]["component_instance"] = "1"
    sent = len(hub.link.sent)
    refused = await hub.operator.patch(path(cs), json=writes)
    assert problem_of(refused, 403, "forbidden")["needed_role"] == "admin"
    assert len(hub.link.sent) == sent
    allowed = await hub.admin.patch(path(cs), json=writes)
    assert allowed.status_code == 200, allowed.text
    assert hub.link.sent[-1][1] == SetVariables((VariableWrite(DOOR, "wss://evil.example"),))


async def test_after_a_failure_nothing_more_is_sent(hub: RunningApi, cs: str) -> None:
    hub.link.script(
        await hub.station_id(cs),
        told((FIRST, "1", "Accepted", WriteEffect.APPLIED)),
        StationTimeout(sent=True),
    )
    sent = len(hub.link.sent)
    writes = body((FIRST, "1"), (SECOND, "2"), (BEAT, "60"))
    results = (await hub.operator.patch(path(cs), json=writes)).json()["results"]
    assert [(one["effect"], one["error"]) for one in results] == [
        ("applied", None),
        ("failed", "station-timeout"),
        ("failed", "station-timeout"),
    ]
    assert len(hub.link.sent) == sent + 2


async def test_a_write_to_a_station_that_is_away(hub: RunningApi) -> None:
    identity = await new_station(hub, online=False)
    problem_of(
        await hub.operator.patch(path(identity), json=body((FIRST, "1"))), 409, "station-offline"
    )
    waits = await hub.operator.patch(
        path(identity), json=body((FIRST, "1")), params={"durable": True, "expires_in_s": 60}
    )
    assert (waits.status_code, waits.json()["results"][0]["effect"]) == (202, "waiting")


async def test_variables_are_listed_with_what_is_known_of_them(hub: RunningApi, cs: str) -> None:
    await known(hub, cs, BEAT, value="300", own_key="HeartbeatInterval", unit="s")
    await known(hub, cs, FIRST, value="x", values_list="x, y", data_type="OptionList")
    await known(hub, cs, SECOND, pending_value="2", pending_at=NOW)
    page = (await hub.viewer.get(path(cs), params={"limit": 2})).json()
    assert [one["variable"] for one in page["items"]] == ["HeartbeatInterval", "First"]
    assert page["items"][0]["own_key"] == "HeartbeatInterval"
    assert page["items"][1]["values_list"] == ["x", "y"]
    rest = await hub.viewer.get(path(cs), params={"cursor": page["next_cursor"]})
    assert [one["variable"] for one in rest.json()["items"]] == ["Second"]
    pending = (await hub.viewer.get(path(cs), params={"pending": True})).json()["items"]
    assert [(one["variable"], one["pending_value"]) for one in pending] == [("Second", "2")]
    own = (await hub.viewer.get(path(cs), params={"component": "own", "q": "FIR"})).json()
    assert [one["variable"] for one in own["items"]] == ["First"]


# --- Templates ------------------------------------------------------------------------------------


async def make_template(hub: RunningApi, *identities: str, **more: Any) -> int:
    template = {
        "name": f"template {next(NAMES)}",
        "identities": list(identities),
        "wanted": [item(FIRST, "1"), item(SECOND, "2")],
        **more,
    }
    answer = await hub.admin.post("/configuration-templates", json=template)
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["id"]
    return number


async def drift(hub: RunningApi, template_id: int) -> dict[str, dict[str, str]]:
    answer = await hub.viewer.get(f"/configuration-templates/{template_id}/drift")
    return {
        station["identity"]: {one["variable"]: one["state"] for one in station["variables"]}
        for station in answer.json()["items"]
    }


async def apply(hub: RunningApi, template_id: int, **more: Any) -> dict[str, Any]:
    answer = await hub.operator.post(
        f"/configuration-templates/{template_id}/applications", json=more
    )
    assert answer.status_code == 202, answer.text
    application: dict[str, Any] = answer.json()
    return application


async def carry_on(hub: RunningApi, application: dict[str, Any]) -> dict[str, Any]:
    await hub.devices.templates.carry_on(application["id"], {})
    await hub.queue.idle()
    answer = await hub.viewer.get(f"/template-applications/{application['id']}")
    found: dict[str, Any] = answer.json()
    return found


async def stations_of(hub: RunningApi, application: dict[str, Any]) -> dict[str, dict[str, Any]]:
    answer = await hub.viewer.get(f"/template-applications/{application['id']}/stations")
    return {one["identity"]: one for one in answer.json()["items"]}


async def test_a_template_is_for_the_stations_of_its_filter(hub: RunningApi) -> None:
    mine, other = await new_station(hub), await new_station(hub)
    async with hub.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE charging_stations SET vendor = 'Made Up', model = 'D1', firmware_version = '7'"
            " WHERE identity = %s",
            (mine,),
        )
    narrow = await make_template(
        hub, identities=None, vendor="made up", model="d1", firmware_version="7"
    )
    assert set(await drift(hub, narrow)) == {mine}
    listed = await make_template(hub, mine.lower(), other)
    assert set(await drift(hub, listed)) == {mine, other}
    both = await make_template(hub, mine, other, vendor="Made Up")
    assert set(await drift(hub, both)) == {mine}


async def test_templates_are_named_once_checked_and_changed(hub: RunningApi, cs: str) -> None:
    template_id = await make_template(hub, cs)
    at = f"/configuration-templates/{template_id}"
    template = (await hub.viewer.get(at)).json()
    taken = {"name": template["name"].upper(), "wanted": [item(FIRST, "1")]}
    problem_of(
        await hub.admin.post("/configuration-templates", json=taken), 409, "template-name-taken"
    )
    unsafe = {"name": "unsafe", "wanted": [item(BEAT, "1")]}
    problem_of(await hub.admin.post("/configuration-templates", json=unsafe), 422, "invalid-write")
    changed = await hub.admin.put(at, json={"name": "changed", "wanted": [item(FIRST, "9")]})
    assert (changed.json()["revision"], changed.json()["identities"]) == (2, None)
    assert (await hub.admin.delete(at)).status_code == 204
    problem_of(await hub.viewer.get(at), 404, "not-found")


async def test_drift_tells_each_state(hub: RunningApi, cs: str) -> None:
    template_id = await make_template(hub, cs)
    assert await drift(hub, template_id) == {cs: {"First": "unknown", "Second": "unknown"}}
    await known(hub, cs, FIRST, value="1")
    await known(hub, cs, SECOND, value="1")
    assert await drift(hub, template_id) == {cs: {"First": "in_sync", "Second": "drift"}}
    await known(hub, cs, FIRST, supported=False)
    await known(hub, cs, SECOND, pending_value="2")
    assert await drift(hub, template_id) == {
        cs: {"First": "unsupported", "Second": "pending_reboot"}
    }


async def test_applying_tells_what_each_station_answered(hub: RunningApi) -> None:
    good, bad, away, same, barred = [
        await new_station(hub, online=number != 2) for number in range(5)
    ]
    for name, value in ((FIRST, "1"), (SECOND, "2")):
        await known(hub, same, name, value=value)
        await known(hub, barred, name, value="0", mutability="ReadOnly")
    hub.link.script(
        await hub.station_id(bad),
        CommandAnswer("Accepted", {}),
        CommandAnswer("Rejected", {}),
    )
    template_id = await make_template(hub, good, bad, away, same, barred)
    application = await apply(hub, template_id)
    assert application["counts"] == {"waiting": 5}
    application = await carry_on(hub, application)
    assert application["counts"] == {
        "accepted": 1,
        "rejected": 1,
        "under_way": 1,
        "in_sync": 1,
        "refused": 1,
    }
    table = await stations_of(hub, application)
    assert table[good]["statuses"] == {"Accepted": 2}
    assert (table[bad]["commands"], table[bad]["statuses"]) == (
        {"answered": 2},
        {"Accepted": 1, "Rejected": 1},
    )
    assert table[away]["commands"] == {"queued": 2}
    assert table[barred]["refused"][0]["message"] == "is read-only"
    # The one that was away is told when it is back.
    hub.link.online.add(await hub.station_id(away))
    hub.queue.kick(await hub.station_id(away))
    application = await carry_on(hub, application)
    assert application["counts"]["accepted"] == 2


async def test_an_application_goes_on_where_it_was(hub: RunningApi) -> None:
    """As after a crash between two waves: nothing is sent twice."""
    identities = [await new_station(hub) for _ in range(5)]
    application = await apply(hub, await make_template(hub, *identities))
    templates = hub.devices.templates
    released = await templates.release(UUID(application["id"]))
    assert len(released) == templates.at_once == 2
    table = await stations_of(hub, application)
    assert sum(one["outcome"] == "waiting" for one in table.values()) == 3
    sent = len(hub.link.sent)
    for station_id in released:
        hub.queue.kick(station_id)
    application = await carry_on(hub, application)
    assert application["counts"] == {"accepted": 5}
    assert len(hub.link.sent) == sent + 2 * len(identities)
    await carry_on(hub, application)
    assert len(hub.link.sent) == sent + 2 * len(identities)
    assert await due_of(hub, APPLY, [application["id"]]) == 1


async def test_applications_at_silent_stations_hold_up_no_event(hub: RunningApi, cs: str) -> None:
    """As many as the worker acts on events at once, and one event after them."""
    silence, met = asyncio.Event(), asyncio.Event()
    station_id = await hub.station_id(cs)
    hub.link.script(station_id, silence)
    applications = [
        await apply(hub, await make_template(hub, cs), only_drift=False) for _ in range(CONCURRENT)
    ]

    async def meet(_subject: str, _payload: dict[str, Any]) -> None:
        met.set()

    topics = {**hub.devices.topics(), "test.met": meet}
    worker = Worker(hub.database, hub.clock, {}, topics, slow=hub.devices.slow())
    worker.start()
    try:
        async with asyncio.timeout(10):
            while station_id not in [number for number, _ in hub.link.sent]:  # noqa: ASYNC110  It has no event.
                await asyncio.sleep(0.01)
            async with hub.database.write() as connection:
                await jobs.post(connection, "test.met", "x", hub.clock.now())
            await met.wait()
        assert not silence.is_set()
        silence.set()
        async with asyncio.timeout(10):
            while await due_of(hub, APPLY, [one["id"] for one in applications]):  # noqa: ASYNC110  As above.
                await asyncio.sleep(0.01)
    finally:
        silence.set()
        await worker.stop()


async def due_of(hub: RunningApi, kind: str, subjects: list[str]) -> int:
    query = select(due_actions).where(
        due_actions.c.kind == kind, due_actions.c.subject.in_(subjects)
    )
    async with hub.database.read() as connection:
        return len((await connection.execute(query)).all())


async def test_only_an_admin_applies_what_a_station_connects_to(hub: RunningApi, cs: str) -> None:
    template_id = await make_template(hub, cs, wanted=[item(FIRST, "1"), item(DOOR, "elsewhere")])
    at = f"/configuration-templates/{template_id}/applications"
    problem_of(await hub.operator.post(at, json={}), 403, "forbidden")
    none = await hub.viewer.get("/template-applications", params={"template_id": template_id})
    assert none.json()["items"] == []
    assert (await hub.admin.post(at, json={})).status_code == 202


async def test_a_cancelled_application_sends_no_more(hub: RunningApi) -> None:
    away, waiting = await new_station(hub, online=False), await new_station(hub)
    template_id = await make_template(hub, away, waiting)
    first = await apply(hub, template_id, identities=[away])
    await carry_on(hub, first)
    second = await apply(hub, template_id, identities=[waiting])
    sent = len(hub.link.sent)
    for application in (first, second):
        at = f"/template-applications/{application['id']}"
        answer = await hub.operator.post(f"{at}/cancel")
        assert answer.json()["counts"] == {"cancelled": 1}
        assert answer.json()["cancelled_at"] is not None
        assert (await carry_on(hub, application))["counts"] == {"cancelled": 1}
    hub.link.online.add(await hub.station_id(away))
    await hub.queue.deliver(await hub.station_id(away))
    assert len(hub.link.sent) == sent


async def test_an_application_is_for_the_templates_own_stations(hub: RunningApi, cs: str) -> None:
    other = await new_station(hub)
    template_id = await make_template(hub, cs)
    at = f"/configuration-templates/{template_id}/applications"
    refused = await hub.operator.post(at, json={"identities": [cs, other]})
    assert problem_of(refused, 404, "not-found")["identities"] == [other]
    nobody = await make_template(hub, "there-is-none")
    at = f"/configuration-templates/{nobody}/applications"
    problem_of(await hub.operator.post(at, json={}), 404, "not-found")


TOO_MANY = ("chargehub_limits_hit_total", {"limit": "template_stations_max"})


async def test_an_application_for_too_many_stations_is_refused_and_counted(
    hub: RunningApi, cs: str
) -> None:
    template_id = await make_template(hub, cs, await new_station(hub))
    templates, before = hub.devices.templates, REGISTRY.get_sample_value(*TOO_MANY)
    assert before is not None
    usual, templates.stations_max = templates.stations_max, 1
    try:
        at = f"/configuration-templates/{template_id}/applications"
        problem_of(await hub.operator.post(at, json={}), 422, "invalid-input")
    finally:
        templates.stations_max = usual
    assert REGISTRY.get_sample_value(*TOO_MANY) == before + 1


async def test_a_lost_connection_is_unknown_in_the_table(hub: RunningApi, cs: str) -> None:
    hub.link.script(await hub.station_id(cs), StationOffline(sent=True))
    application = await apply(hub, await make_template(hub, cs), only_drift=False)
    application = await carry_on(hub, application)
    assert application["counts"] == {"unknown": 1}
    listed = await hub.viewer.get(
        "/template-applications", params={"template_id": application["template_id"]}
    )
    assert [one["id"] for one in listed.json()["items"]] == [application["id"]]


async def test_a_value_that_no_station_of_the_kind_has_is_not_in_sync(
    hub: RunningApi,
) -> None:
    none, half, sent = [await new_station(hub) for _ in range(3)]
    for identity in (none, half, sent):
        await known(hub, identity, SECOND, supported=False)
    await known(hub, none, FIRST, supported=False)
    await known(hub, half, FIRST, value="1")
    application = await apply(hub, await make_template(hub, none, half, sent))
    application = await carry_on(hub, application)
    assert application["counts"] == {"refused": 1, "partly_refused": 2}
    table = await stations_of(hub, application)
    assert {name: one["outcome"] for name, one in table.items()} == {
        none: "refused",
        half: "partly_refused",
        sent: "partly_refused",
    }
    assert table[sent]["statuses"] == {"Accepted": 1}
    assert [one["variable"] for one in table[none]["refused"]] == [FIRST.path, SECOND.path]


async def test_a_value_that_waits_for_a_boot_is_not_in_sync(hub: RunningApi, cs: str) -> None:
    await known(hub, cs, FIRST, value="0", pending_value="1", pending_at=NOW)
    await known(hub, cs, SECOND, value="2")
    hub.link.script(await hub.station_id(cs), CommandAnswer("RebootRequired", {}))
    application = await carry_on(hub, await apply(hub, await make_template(hub, cs)))
    assert application["counts"] == {"reboot_required": 1}


async def test_one_value_refused_and_one_taken_is_no_acceptance(hub: RunningApi, cs: str) -> None:
    await known(hub, cs, SECOND, value="0", mutability="ReadOnly")
    application = await carry_on(hub, await apply(hub, await make_template(hub, cs)))
    assert application["counts"] == {"partly_refused": 1}
    table = await stations_of(hub, application)
    assert (table[cs]["statuses"], len(table[cs]["refused"])) == ({"Accepted": 1}, 1)


def many(count: int) -> list[dict[str, Any]]:
    return [item(VariableName("Own", f"Many{number}"), "1") for number in range(count)]


async def test_the_largest_template_fits_a_station_that_takes_one_value_a_request(
    hub: RunningApi, cs: str
) -> None:
    assert Limits().queued_commands >= MAX_ITEMS
    template_id = await make_template(hub, cs, wanted=many(MAX_WAITING))
    application = await carry_on(hub, await apply(hub, template_id))
    assert application["counts"] == {"accepted": 1}
    assert (await stations_of(hub, application))[cs]["commands"] == {"answered": MAX_WAITING}
    too_large = {"name": "too large", "wanted": many(MAX_WAITING + 1)}
    answer = await hub.admin.post("/configuration-templates", json=too_large)
    assert str(MAX_WAITING) in problem_of(answer, 422, "invalid-input")["detail"]


async def test_applications_are_counted_as_their_tables_say(hub: RunningApi) -> None:
    """The list is summed up by the database, the table station by station."""
    identities = [await new_station(hub, online=number != 3) for number in range(5)]
    await known(hub, identities[0], FIRST, value="1")
    await known(hub, identities[1], SECOND, value="0", mutability="ReadOnly")
    hub.link.script(await hub.station_id(identities[2]), CommandAnswer("Rejected", {}))
    template_id = await make_template(hub, *identities)
    ended = await carry_on(hub, await apply(hub, template_id))
    waiting = await apply(hub, template_id)
    listed = await hub.viewer.get("/template-applications", params={"template_id": template_id})
    items = {one["id"]: one for one in listed.json()["items"]}
    assert set(items) == {ended["id"], waiting["id"]}
    assert items[ended["id"]] == ended
    assert (items[waiting["id"]]["counts"], waiting["station_count"]) == ({"waiting": 5}, 5)
    outcomes = [one["outcome"] for one in (await stations_of(hub, ended)).values()]
    assert dict(Counter(outcomes)) == ended["counts"]
    assert sorted(ended["counts"]) == ["accepted", "partly_refused", "rejected", "under_way"]
