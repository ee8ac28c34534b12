"""REST of smart charging: what is set, cleared, refused by name, compared and learned."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert

from chargehub.devices.store import station_variables
from chargehub.stations.commands import (
    ClearChargingProfile,
    CommandAnswer,
    GetChargingProfiles,
    GetCompositeSchedule,
    RequestStartTransaction,
    SetChargingProfile,
    StationTimeout,
    UnsupportedByStation,
    VariableName,
)
from chargehub.stations.profiles import (
    ChargingSchedule,
    ProfilePurpose,
    RateUnit,
    ReportedSchedule,
    SchedulePeriod,
)
from tests.integration.api.conftest import (
    RunningApi,
    make_station,
    problem_of,
)

REJECTED = CommandAnswer("Rejected", {"status": "Rejected"})


@pytest_asyncio.fixture
async def cs(hub: RunningApi) -> str:
    """The path of an online station of this test's own."""
    identity = f"cs{len(hub.link.online) + 1}"
    await make_station(hub, identity, "north")
    hub.link.online.add(await hub.station_id(identity))
    return f"/charging-stations/{identity}"


PERIODS = [{"start_s": 0, "limit": 30_000}]


def body(**changes: Any) -> dict[str, Any]:
    given = {
        "evse_no": 1,
        "purpose": "TxDefaultProfile",
        "schedules": [{"unit": "W", "periods": PERIODS}],
    }
    return given | changes


async def profiles(hub: RunningApi, cs: str, **query: Any) -> list[dict[str, Any]]:
    response = await hub.viewer.get(f"{cs}/charging-profiles", params=query)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"valid_to": "2020-01-01T00:00:00Z"}, "over"),
        (
            {
                "schedules": [
                    {
                        "unit": "W",
                        "duration_s": 10,
                        "periods": [*PERIODS, {"start_s": 20, "limit": 1}],
                    }
                ]
            },
            "duration is over",
        ),
    ],
)
async def test_what_can_never_hold_is_set_with_a_warning(
    hub: RunningApi, cs: str, changes: dict[str, Any], said: str
) -> None:
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body(**changes))
    assert response.status_code == 200, response.text
    (warning,) = response.json()["warnings"]
    assert said in warning


async def test_a_profile_is_set_listed_and_cleared(hub: RunningApi, cs: str) -> None:
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body())
    assert response.status_code == 200, response.text
    result = response.json()
    assert (result["status"], result["state"], result["warnings"]) == ("Accepted", "installed", [])
    _, command = hub.link.sent[-1]
    assert isinstance(command, SetChargingProfile)
    assert command.profile.id == result["profile_id"]
    assert command.profile.schedules[0].starts_at is not None
    (shown,) = await profiles(hub, cs)
    assert shown["profile_id"] == result["profile_id"]
    assert shown["schedules"][0]["periods"] == [{"start_s": 0, "limit": 30_000, "phases": None}]
    assert (shown["set_by"], shown["source"], shown["evse_no"]) == ("operator", "CSO", 1)
    response = await hub.operator.delete(
        f"{cs}/charging-profiles", params={"purpose": "TxDefaultProfile", "evse_no": 1}
    )
    assert response.json()["cleared"] == 1
    assert hub.link.sent[-1][1] == ClearChargingProfile(None, 1, ProfilePurpose.TX_DEFAULT, None)
    assert await profiles(hub, cs) == []
    (past,) = await profiles(hub, cs, past=True)
    assert past["state"] == "cleared"


async def test_each_broken_rule_is_named_and_nothing_is_sent(hub: RunningApi, cs: str) -> None:
    sent = len(hub.link.sent)
    wrong = body(
        purpose="ChargingStationMaxProfile",
        schedules=[{"unit": "W", "periods": [{"start_s": 5, "limit": 30_000.05}]}],
    )
    response = await hub.operator.post(f"{cs}/charging-profiles", json=wrong)
    document = problem_of(response, 422, "invalid-charging-profile")
    rules = [broken["rule"] for broken in document["broken_rules"]]
    assert rules == ["16 3.13.1", "K01.FR.31", "16 7.14"]
    assert all(broken["detail"] for broken in document["broken_rules"])
    assert len(hub.link.sent) == sent
    assert await profiles(hub, cs, past=True) == []


async def test_a_clash_is_a_conflict(hub: RunningApi, cs: str) -> None:
    first = (await hub.operator.post(f"{cs}/charging-profiles", json=body())).json()
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body())
    document = problem_of(response, 409, "charging-profile-clash")
    assert document["clashes_with"] == [
        {"profile_id": first["profile_id"], "evse_no": 1, "stack_level": 0}
    ]
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body(replace=True))
    assert response.json()["profile_id"] == first["profile_id"]
    sent = len(hub.link.sent)
    other = body(replace=True, profile_id=first["profile_id"] + 1000)
    document = problem_of(
        await hub.operator.post(f"{cs}/charging-profiles", json=other),
        409,
        "charging-profile-clash",
    )
    assert document["clashes_with"][0]["profile_id"] == first["profile_id"]
    assert len(hub.link.sent) == sent
    both = await profiles(hub, cs, past=True)
    assert [profile["state"] for profile in both] == ["installed", "replaced"]


async def test_rejected_and_silent_stations(hub: RunningApi, cs: str) -> None:
    station_id = await hub.station_id(cs.rpartition("/")[2])
    hub.link.script(station_id, REJECTED, StationTimeout(sent=True))
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body())
    assert (response.status_code, response.json()["state"]) == (200, "rejected")
    assert await profiles(hub, cs) == []
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body())
    problem_of(response, 504, "station-timeout")
    (unknown,) = await profiles(hub, cs)
    assert unknown["state"] == "unknown"


async def test_a_transaction_must_be_there_and_active(hub: RunningApi, cs: str) -> None:
    given = body(purpose="TxProfile", transaction_id=4711)
    response = await hub.operator.post(f"{cs}/charging-profiles", json=given)
    problem_of(response, 409, "transaction-not-active")


async def test_what_a_model_refused_is_refused(hub: RunningApi, cs: str) -> None:
    identity = cs.rpartition("/")[2]
    station_id = await hub.station_id(identity)
    async with hub.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE charging_stations SET vendor = 'V', model = 'M', firmware_version = '1'"
            " WHERE id = %s",
            (station_id,),
        )
    hub.link.script(station_id, CommandAnswer("NotSupported", {"status": "NotSupported"}))
    await hub.operator.post(f"{cs}/charging-profiles", json=body())
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body())
    problem_of(response, 409, "charging-profile-not-obeyed")
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body(force=True))
    assert response.json()["warnings"]
    response = await hub.viewer.get("/charging-profile-observations", params={"model": "m"})
    (seen,) = response.json()["items"]
    assert (seen["model"], seen["purpose"], seen["unit"]) == ("M", "TxDefaultProfile", "W")
    assert (seen["accepted"], seen["not_supported"], seen["rejected"]) == (1, 1, 0)


async def test_observations_are_paged(hub: RunningApi, cs: str) -> None:
    for level in range(3):
        await hub.operator.post(f"{cs}/charging-profiles", json=body(stack_level=level))
    path, found, cursor = "/charging-profile-observations", [], None
    while True:
        query: dict[str, Any] = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = (await hub.viewer.get(path, params=query)).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    keys = [(seen["model"], seen["unit"], seen["stack_level"]) for seen in found]
    assert len(set(keys)) == len(keys) >= 3
    everything = (await hub.viewer.get(path)).json()["items"]
    assert everything == found


async def test_our_composite_schedule_and_the_stations(hub: RunningApi, cs: str) -> None:
    station_id = await hub.station_id(cs.rpartition("/")[2])
    done = (await hub.operator.post(f"{cs}/charging-profiles", json=body())).json()
    path = f"{cs}/composite-schedule"
    sent = len(hub.link.sent)
    response = await hub.viewer.get(path, params={"evse_no": 1, "unit": "A"})
    assert response.status_code == 200, response.text
    (period,) = response.json()["ours"]["periods"]
    assert period == {"start_s": 0, "limit": 45.4, "limited_by": [done["profile_id"]]}
    assert response.json()["station"] is None
    assert len(hub.link.sent) == sent
    ask: dict[str, Any] = {"evse_no": 1, "source": "station", "duration_s": 600}
    problem_of(await hub.viewer.get(path, params=ask), 403, "forbidden")
    told = ReportedSchedule(None, ChargingSchedule(RateUnit.W, (SchedulePeriod(0, 60_000.0),)))
    hub.link.script(station_id, CommandAnswer("Accepted", {"status": "Accepted"}, told))
    answer = (await hub.operator.get(path, params=ask)).json()
    assert hub.link.sent[-1][1] == GetCompositeSchedule(1, 600, RateUnit.W)
    assert answer["station"]["periods"][0]["limit"] == 60_000
    assert (answer["status"], answer["verdict"]) == ("Accepted", "ignored")
    # Accepted without a schedule is nothing to compare.
    answer = (await hub.operator.get(path, params=ask)).json()
    assert (answer["station"], answer["verdict"]) == (None, None)


async def test_limits_that_the_station_reported(hub: RunningApi, cs: str) -> None:
    station_id = await hub.station_id(cs.rpartition("/")[2])
    reported = {
        VariableName("SmartChargingCtrlr", "ProfileStackLevel"): "2",
        VariableName("", "ChargingScheduleAllowedChargingRateUnit"): "Current",
    }
    for name, value in reported.items():
        await report(hub, station_id, name, value)
    limits = (await hub.viewer.get(f"{cs}/charging-limits")).json()
    assert limits["takes"] == {
        "max_stack_level": 2,
        "max_periods": None,
        "max_profiles": None,
        "units": ["A"],
    }
    assert (limits["set_by_others"], limits["ev_needs"]) == ([], [])
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body(stack_level=3))
    document = problem_of(response, 422, "invalid-charging-profile")
    rules = [broken["rule"] for broken in document["broken_rules"]]
    assert rules == ["16 9.4.1", "K01.FR.26"]


async def report(
    hub: RunningApi, station_id: int, name: VariableName, value: str, **more: Any
) -> None:
    values = {"key": name.key, "path": name.path, "value": value, **asdict(name), **more}
    async with hub.database.write() as connection:
        await connection.execute(insert(station_variables).values(station_id=station_id, **values))


async def test_the_count_of_profiles_is_told_with_the_most_it_may_be(
    hub: RunningApi, cs: str
) -> None:
    """2.x: a station without profiles says 0, and takes as many as its maxLimit."""
    station_id = await hub.station_id(cs.rpartition("/")[2])
    name = VariableName("SmartChargingCtrlr", "Entries", variable_instance="ChargingProfiles")
    await report(hub, station_id, name, "0", max_limit=1.0)
    assert (await hub.viewer.get(f"{cs}/charging-limits")).json()["takes"]["max_profiles"] == 1
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body())
    assert response.status_code == 200, response.text
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body(stack_level=1))
    document = problem_of(response, 422, "invalid-charging-profile")
    assert [broken["rule"] for broken in document["broken_rules"]] == ["16 9.4.5"]


async def test_a_station_without_smart_charging_is_not_sent_profiles_unforced(
    hub: RunningApi, cs: str
) -> None:
    station_id = await hub.station_id(cs.rpartition("/")[2])
    await report(hub, station_id, VariableName("SmartChargingCtrlr", "Enabled"), "false")
    sent = len(hub.link.sent)
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body())
    problem_of(response, 409, "charging-profile-not-obeyed")
    assert len(hub.link.sent) == sent
    forced = await hub.operator.post(f"{cs}/charging-profiles", json=body(force=True))
    assert forced.status_code == 200, forced.text
    assert "switched off" in forced.json()["warnings"][0]


async def test_a_report_is_asked_for(hub: RunningApi, cs: str) -> None:
    station_id = await hub.station_id(cs.rpartition("/")[2])
    await hub.operator.post(f"{cs}/charging-profiles", json=body())
    hub.link.script(station_id, UnsupportedByStation())
    path = f"{cs}/charging-profiles/report"
    problem_of(await hub.operator.post(path, json={}), 409, "unsupported-by-station")
    response = await hub.operator.post(path, json={"evse_no": 1})
    number = response.json()["request_id"]
    assert hub.link.sent[-1][1] == GetChargingProfiles(number, 1)


async def test_a_start_under_a_profile(hub: RunningApi, cs: str) -> None:
    await hub.operator.put("/id-tokens/TAXI-77", json={})
    start = {
        "id_token": "TAXI-77",
        "evse_no": 2,
        "schedules": [{"unit": "W", "periods": [{"start_s": 0, "limit": 20_000}]}],
    }
    response = await hub.operator.post(f"{cs}/start-under-profile", json=start)
    assert response.status_code == 200, response.text
    _, command = hub.link.sent[-1]
    assert isinstance(command, RequestStartTransaction)
    assert command.charging_profile is not None
    assert command.charging_profile.purpose is ProfilePurpose.TX
    assert command.charging_profile.transaction_ref is None
    (shown,) = await profiles(hub, cs)
    assert (shown["state"], shown["transaction_id"]) == ("installed", None)
    # It limits nothing before its transaction is there.
    ours = (await hub.viewer.get(f"{cs}/composite-schedule", params={"evse_no": 2})).json()["ours"]
    assert ours["periods"][0]["limit"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"evse_no": -1},
        {"purpose": "Perhaps"},
        {"schedules": []},
        {"schedules": [{"unit": "W", "periods": []}]},
        {"schedules": [{"unit": "W", "periods": [{"start_s": 0, "limit": 1e300}]}]},
        {"unknown": 1},
        {"evse_no": True},
        {"evse_no": "1"},
        {"stack_level": False},
        {"profile_id": "17"},
        {"transaction_id": True},
        {"force": 1},
        {"replace": "no"},
        {"schedules": [{"unit": "W", "periods": [{"start_s": 0, "limit": True}]}]},
        {"schedules": [{"unit": "W", "periods": [{"start_s": 0, "limit": "5000"}]}]},
        {"schedules": [{"unit": "W", "periods": [{"start_s": False, "limit": 5_000}]}]},
        {"schedules": [{"unit": "W", "periods": [{"start_s": 0, "limit": 5_000, "phases": "3"}]}]},
        {"schedules": [{"unit": "W", "periods": PERIODS, "duration_s": "60"}]},
        {"schedules": [{"unit": "W", "periods": PERIODS, "min_charging_rate": True}]},
    ],
)
async def test_bad_input(hub: RunningApi, cs: str, change: dict[str, Any]) -> None:
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body(**change))
    problem_of(response, 422, "invalid-input")


async def test_an_unknown_evse_is_not_found(hub: RunningApi, cs: str) -> None:
    response = await hub.operator.post(f"{cs}/charging-profiles", json=body(evse_no=9))
    problem_of(response, 404, "not-found")
    response = await hub.viewer.get(f"{cs}/composite-schedule", params={"evse_no": 9})
    problem_of(response, 404, "not-found")
