"""Variables over REST; the station's answers are scripted."""

from __future__ import annotations

from typing import Any

import pytest

from chargehub.devices.reports import WriteEffect
from chargehub.stations.commands import (
    SetVariables,
    StationTimeout,
    VariableName,
    VariableWrite,
)
from tests.integration.api.configured import (
    BEAT,
    DOOR,
    FIRST,
    NOW,
    SECOND,
    item,
    known,
    new_station,
    told,
)
from tests.integration.api.conftest import (
    RunningApi,
    problem_of,
)

pytestmark = pytest.mark.usefixtures("here")


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
        (body((VariableName("", "HeartbeatInterval"), "0")), "takes a whole number from 10"),
        (body((VariableName("", "heartbeatinterval"), "-1")), "takes a whole number from 10"),
        (body((VariableName("", "connectiontimeout"), "5")), "is read-only"),
        (body((VariableName("", "heartbeatinterval"), "60"), (BEAT, "300")), "is named twice"),
    ],
)
async def test_a_write_that_must_not_leave_does_not(
    hub: RunningApi, cs: str, writes: dict[str, Any], message: str
) -> None:
    await known(hub, cs, FIRST, data_type="integer")
    await known(hub, cs, SECOND, mutability="ReadOnly")
    await known(hub, cs, VariableName("TxCtrlr", "EVConnectionTimeOut"), mutability="ReadOnly")
    sent = len(hub.link.sent)
    answer = await hub.admin.patch(path(cs), json=writes)
    document = problem_of(answer, 422, "invalid-write")
    assert message in document["errors"][0]["message"]
    assert len(hub.link.sent) == sent


async def test_a_key_is_written_and_answered_as_the_variable_that_it_stands_for(
    hub: RunningApi, cs: str
) -> None:
    hub.link.script(await hub.station_id(cs), told((BEAT, "60", "Accepted", WriteEffect.APPLIED)))
    writes = body((VariableName("", "heartbeatinterval"), "60"))
    (result,) = (await hub.operator.patch(path(cs), json=writes)).json()["results"]
    assert (result["component"], result["variable"]) == ("OCPPCommCtrlr", "HeartbeatInterval")
    assert (result["effect"], result["status"]) == ("applied", "Accepted")
    assert hub.link.sent[-1][1] == SetVariables((VariableWrite(BEAT, "60"),))


async def test_an_admins_variable_is_one_by_any_of_its_names(hub: RunningApi, cs: str) -> None:
    sent = len(hub.link.sent)
    for name in ("CertSigningWaitMinimum", "SecurityCtrlr.OrganizationName"):
        writes = body((VariableName("", name), "60"))
        problem_of(await hub.operator.patch(path(cs), json=writes), 403, "forbidden")
    assert len(hub.link.sent) == sent


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
        ("not_sent", None),
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
