"""Configuration templates over REST, drift and applications; the stations' answers are scripted."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select

from chargehub.devices.templates import APPLY
from chargehub.devices.views import MAX_ITEMS
from chargehub.kit import jobs
from chargehub.kit.jobs import due_actions
from chargehub.kit.worker import CONCURRENT, Worker
from chargehub.limits import Limits
from chargehub.stations.commands import (
    CommandAnswer,
    SetVariables,
    StationOffline,
    VariableName,
    VariableWrite,
)
from chargehub.stations.store import charging_stations, station_commands
from tests.integration.api.configured import (
    BEAT,
    DOOR,
    FIRST,
    NOW,
    SECOND,
    apply,
    carry_on,
    drift,
    item,
    known,
    make_template,
    new_station,
    stations_of,
)
from tests.integration.api.conftest import (
    MAX_WAITING,
    RunningApi,
    problem_of,
)
from tests.integration.api.waiting_commands import somebody_waits_for_a_lock

pytestmark = pytest.mark.usefixtures("here")


async def test_a_template_wants_the_variable_that_a_key_stands_for(
    hub: RunningApi, cs: str
) -> None:
    key = VariableName("", "heartbeatinterval")
    await known(hub, cs, BEAT, value="300", data_type="integer")
    template = await make_template(hub, cs, wanted=[item(key, "300")])
    assert await drift(hub, template) == {cs: {"HeartbeatInterval": "in_sync"}}
    # As a template of before has it.
    async with hub.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE configuration_templates SET wanted ="
            """ '[{"component": "", "variable": "HEARTBEATINTERVAL", "value": "60"}]'"""
            " WHERE id = %s",
            (template,),
        )
    assert await drift(hub, template) == {cs: {"HeartbeatInterval": "drift"}}
    await carry_on(hub, await apply(hub, template))
    assert hub.link.sent[-1][1] == SetVariables((VariableWrite(BEAT, "60"),))


async def test_a_template_wants_nothing_unsafe_or_twice_by_another_name(hub: RunningApi) -> None:
    key = VariableName("", "heartbeatinterval")
    for wanted, message in (
        ([item(key, "0")], "takes a whole number from 10"),
        ([item(key, "60"), item(BEAT, "300")], "is named twice"),
    ):
        template = {"name": f"bad: {message}", "wanted": wanted}
        answer = await hub.admin.post("/configuration-templates", json=template)
        assert message in problem_of(answer, 422, "invalid-write")["errors"][0]["message"]


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


async def test_a_silent_station_holds_up_no_later_wave(
    hub: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, *others = [await new_station(hub) for _ in range(4)]
    silence, station_id = asyncio.Event(), await hub.station_id(silent)
    hub.link.script(station_id, silence)
    monkeypatch.setattr(hub.queue, "limits", replace(hub.queue.limits, answer_within_s=0.1))
    application = await apply(hub, await make_template(hub, silent, *others))
    async with asyncio.timeout(10):
        await hub.devices.templates.carry_on(application["id"], {})
    table = await stations_of(hub, application)
    assert [table[one]["outcome"] for one in (silent, *others)] == ["under_way"] + ["accepted"] * 3
    silence.set()
    await hub.queue.idle()
    assert (await stations_of(hub, application))[silent]["outcome"] == "accepted"


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


async def test_what_is_decommissioned_before_its_wave_is_cancelled(hub: RunningApi) -> None:
    """As what was queued for it is; the others' wave goes on."""
    gone, there = await new_station(hub), await new_station(hub)
    application = await apply(hub, await make_template(hub, gone, there))
    retired = await hub.admin.post(f"/charging-stations/{gone}/decommission")
    assert retired.status_code < 300, retired.text
    assert (await carry_on(hub, application))["counts"] == {"cancelled": 1, "accepted": 1}
    assert await commands_of(hub, application) == {there: 2}


async def commands_of(hub: RunningApi, application: dict[str, Any]) -> dict[str, int]:
    """Return how many commands each station was given."""
    query = (
        select(charging_stations.c.identity)
        .join(station_commands, station_commands.c.station_id == charging_stations.c.id)
        .where(station_commands.c.order_id == UUID(application["id"]))
    )
    async with hub.database.read() as connection:
        return dict(Counter(await connection.scalars(query)))


async def test_a_wave_is_released_once(hub: RunningApi, cs: str) -> None:
    """Whoever else is at it waits, and finds nothing left to do."""
    application = await apply(hub, await make_template(hub, cs))
    number = UUID(application["id"])
    async with hub.database.write() as connection:
        # As `release` does, before its COMMIT.
        await connection.exec_driver_sql(
            "UPDATE template_application_stations SET state = 'released' WHERE application_id = %s",
            (number,),
        )
        releasing = asyncio.create_task(hub.devices.templates.release(number))
        async with asyncio.timeout(10):
            while not await somebody_waits_for_a_lock(hub):
                assert not releasing.done()
                await asyncio.sleep(0.01)
    assert await releasing == []
    assert await commands_of(hub, application) == {}


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


async def test_what_another_value_waits_for_a_boot_at_is_written(hub: RunningApi, cs: str) -> None:
    await known(hub, cs, FIRST, value="1", pending_value="9", pending_at=NOW)
    await known(hub, cs, SECOND, value="2")
    template_id = await make_template(hub, cs)
    assert await drift(hub, template_id) == {cs: {"First": "drift", "Second": "in_sync"}}
    application = await carry_on(hub, await apply(hub, template_id))
    assert application["counts"] == {"accepted": 1}
    assert hub.link.sent[-1][1] == SetVariables((VariableWrite(FIRST, "1"),))


async def test_a_value_that_an_earlier_write_will_change_is_written(
    hub: RunningApi,
) -> None:
    """One operator wants 2, then another 1, which is what the stations told last."""
    away, asked, by_hand, told_other = [await new_station(hub, online=False) for _ in range(4)]
    all_of_them = (away, asked, by_hand, told_other)
    for identity in all_of_them:
        await known(hub, identity, FIRST, value="1")
    two = await make_template(hub, away, wanted=[item(FIRST, "2")])
    await carry_on(hub, await apply(hub, two))
    patch = {"writes": [item(FIRST, "2")]}
    waits = {"durable": "true"}
    sent = await hub.operator.patch(
        f"/charging-stations/{asked}/variables", params=waits, json=patch
    )
    assert sent.status_code == 202
    for identity, key in ((by_hand, "First"), (told_other, "Other")):
        sent = await hub.operator.post(
            f"/charging-stations/{identity}/commands/ChangeConfiguration",
            params=waits,
            json={"key": key, "value": "2"},
        )
        assert sent.status_code == 202
    other = {"writes": [item(SECOND, "2")]}
    unrelated = await new_station(hub, online=False)
    await known(hub, unrelated, FIRST, value="1")
    await hub.operator.patch(f"/charging-stations/{unrelated}/variables", params=waits, json=other)
    one = await make_template(hub, *all_of_them, unrelated, wanted=[item(FIRST, "1")])
    application = await carry_on(hub, await apply(hub, one))
    table = await stations_of(hub, application)
    found = {identity: row["outcome"] for identity, row in table.items()}
    assert found == dict.fromkeys(all_of_them, "under_way") | {unrelated: "in_sync"}
    for identity in (away, asked):
        sent_to = await hub.station_id(identity)
        hub.link.online.add(sent_to)
        await hub.queue.deliver(sent_to)
        writes = [command for number, command in hub.link.sent if number == sent_to]
        assert writes == [SetVariables((VariableWrite(FIRST, "1"),))]


async def test_a_value_that_a_write_under_way_will_change_is_written(
    hub: RunningApi, cs: str
) -> None:
    silence, station_id = asyncio.Event(), await hub.station_id(cs)
    await known(hub, cs, FIRST, value="1")
    hub.link.script(station_id, silence)
    patch = hub.operator.patch(
        f"/charging-stations/{cs}/variables", json={"writes": [item(FIRST, "2")]}
    )
    writing = asyncio.create_task(patch)
    async with asyncio.timeout(10):
        while station_id not in [number for number, _ in hub.link.sent]:  # noqa: ASYNC110  It has no event.
            await asyncio.sleep(0.01)
    application = await apply(hub, await make_template(hub, cs, wanted=[item(FIRST, "1")]))
    await hub.devices.templates.release(UUID(application["id"]))
    silence.set()
    await writing
    assert (await stations_of(hub, application))[cs]["outcome"] == "under_way"


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
