"""Commissioning through the API: create, import, rotate, replace, decommission, labels."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import func, select

from chargehub.live.store import load_hub
from chargehub.stations.commands import ChangeCredential, StationTimeout
from chargehub.stations.credentials import verify
from chargehub.stations.events import HubLayoutChanged
from chargehub.stations.store import charging_stations
from tests.integration.api.conftest import (
    PUBLIC_URL,
    STATION_KEY,
    RunningApi,
    make_location,
    make_station,
    problem_of,
)

CSV = {"Content-Type": "text/csv"}
HEADER = "identity,location,name,max_power_kw,evses,gun_codes\n"


async def opens(hub: RunningApi, identity: str, credential: str) -> bool:
    """Say whether the gateway would let the station in with this password."""
    async with hub.database.read() as connection:
        stored = await connection.scalar(
            select(charging_stations.c.credential_hash).where(
                charging_stations.c.identity == identity,
                charging_stations.c.decommissioned_at.is_(None),
            )
        )
    return stored is not None and verify(STATION_KEY, stored, credential.encode())


async def stations_in_service(hub: RunningApi) -> int:
    async with hub.database.read() as connection:
        count = await connection.scalar(
            select(func.count())
            .select_from(charging_stations)
            .where(charging_stations.c.decommissioned_at.is_(None))
        )
        return count or 0


async def audited(hub: RunningApi, subject: str) -> list[str]:
    page = (await hub.admin.get("/audit", params={"subject": subject})).json()
    assert all(entry["actor"] == "admin" for entry in page["items"])
    return [entry["action"] for entry in page["items"]]


async def test_created_station_can_log_in_and_its_credential_is_shown_once(
    hub: RunningApi,
) -> None:
    layouts: list[HubLayoutChanged] = []
    hub.bus.subscribe(HubLayoutChanged, layouts.append)
    made = await make_station(hub, "once", "north")
    assert re.fullmatch(r"[0-9a-f]{40}", made["credential"])
    assert len(set(made["gun_codes"])) == 2
    assert await opens(hub, "once", made["credential"])
    assert len(layouts) == 1
    for path in ("/charging-stations/once", "/audit", "/charging-stations"):
        assert made["credential"] not in (await hub.admin.get(path)).text
    assert await audited(hub, "once") == ["station.commissioned"]


async def test_identity_is_taken_in_any_case(hub: RunningApi) -> None:
    await make_station(hub, "cs1", "north")
    body = {
        "identity": "CS1",
        "location_id": "north",
        "max_power_w": 1,
        "evses": [{"evse_no": 1}],
    }
    taken = await hub.admin.post("/charging-stations", json=body)
    problem_of(taken, 409, "identity-taken")


@pytest.mark.parametrize("identity", ["RDAM 123", "a?b#c%20", "衢州-01", "x" * 48])
async def test_whatever_a_station_may_be_called_the_api_finds_it(
    hub: RunningApi, identity: str
) -> None:
    await make_station(hub, identity, "north")
    path = f"/charging-stations/{quote(identity, safe='')}"
    assert (await hub.viewer.get(path)).json()["identity"] == identity
    assert (await hub.admin.post(f"{path}/credential", json={})).status_code == 200
    assert (await hub.admin.post(f"{path}/decommission")).status_code in {200, 204}


@pytest.mark.parametrize(
    "identity", ["", "a:b", "a/b", "x" * 49, "a b ", "é", "..", "a\x00b", "a\ud800b", 7]
)
async def test_statement_4_unusable_identity_is_refused(hub: RunningApi, identity: object) -> None:
    before = await stations_in_service(hub)
    body = f"""{{"identity": {_json(identity)}, "location_id": "north", "max_power_w": 1,
                 "evses": [{{"evse_no": 1}}]}}"""
    response = await hub.admin.post(
        "/charging-stations", content=body, headers={"Content-Type": "application/json"}
    )
    document = problem_of(response, 422, "invalid-input")
    assert document["errors"][0]["where"] == "body.identity"
    assert await stations_in_service(hub) == before


def _json(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    return '"' + "".join(f"\\u{ord(char):04x}" for char in str(value)) + '"'


async def test_unknown_location_and_taken_gun_code(hub: RunningApi) -> None:
    body = {
        "identity": "fresh",
        "location_id": "nowhere",
        "max_power_w": 60_000,
        "evses": [{"evse_no": 1, "gun_code": "GUN-0001"}],
    }
    unknown = await hub.admin.post("/charging-stations", json=body)
    problem_of(unknown, 422, "unknown-location")
    body["location_id"] = "north"
    assert (await hub.admin.post("/charging-stations", json=body)).status_code == 201
    for code in ("GUN-0001", "gun-0001"):  # Drivers type it in any case.
        same = {"identity": "fresh2", "evses": [{"evse_no": 1, "gun_code": code}]}
        again = await hub.admin.post("/charging-stations", json={**body, **same})
        problem_of(again, 409, "gun-code-taken")
    cases: list[list[dict[str, Any]]] = [
        [{"evse_no": 1}, {"evse_no": 1}],
        [{"evse_no": 1, "gun_code": "GUN-2"}, {"evse_no": 2, "gun_code": "gun-2"}],
    ]
    for evses in cases:
        twice = {**body, "identity": "fresh3", "evses": evses}
        problem_of(await hub.admin.post("/charging-stations", json=twice), 422, "invalid-input")


async def test_rotated_credential_voids_the_old_one_and_the_connection(hub: RunningApi) -> None:
    made = await make_station(hub, "rotated", "north")
    station_id = await hub.station_id("rotated")
    response = await hub.admin.post("/charging-stations/rotated/credential")
    fresh = response.json()["credential"]
    assert fresh != made["credential"]
    assert await opens(hub, "rotated", fresh)
    assert not await opens(hub, "rotated", made["credential"])
    assert hub.link.disconnected[-1] == station_id
    chosen = "0123456789abcdef-chosen"
    response = await hub.admin.post(
        "/charging-stations/rotated/credential", json={"credential": chosen}
    )
    assert response.json()["credential"] == chosen
    assert await opens(hub, "rotated", chosen)
    for bad in ("short", "x" * 65, "with space in between", "zwölf-zeichen-und-mehr"):
        refused = await hub.admin.post(
            "/charging-stations/rotated/credential", json={"credential": bad}
        )
        assert bad not in problem_of(refused, 422, "invalid-input")["detail"]
    assert (await audited(hub, "rotated"))[:2] == ["station.credential_rotated"] * 2


async def test_replacement_takes_over_place_and_gun_codes(hub: RunningApi) -> None:
    old = await make_station(hub, "old", "north", name="Row A", max_power_w=90_000)
    old_id = await hub.station_id("old")
    response = await hub.admin.post("/charging-stations/old/replace", json={"identity": "new"})
    assert response.status_code == 201, response.text
    new = response.json()
    assert new["gun_codes"] == old["gun_codes"]
    assert hub.link.disconnected[-1] == old_id
    detail = (await hub.viewer.get("/charging-stations/new")).json()
    assert (detail["name"], detail["max_power_w"], len(detail["evses"])) == ("Row A", 90_000, 2)
    retired = (await hub.viewer.get("/charging-stations/old")).json()
    assert retired["decommissioned_at"] is not None
    assert not await opens(hub, "old", old["credential"])
    assert await opens(hub, "new", new["credential"])
    problem_of(await hub.operator.post("/charging-stations/old/reset", json={}), 404, "not-found")
    assert await audited(hub, "old") == ["station.replaced", "station.commissioned"]


async def test_on_the_board_a_replacement_stands_in_the_place_of_what_it_replaced(
    hub: RunningApi,
) -> None:
    for number in range(1, 4):
        await make_station(hub, f"row-{number}", "north")
    for old, new in (("row-2", "z-new"), ("z-new", "a-newer"), ("row-3", "row-3")):
        body = {"identity": new}
        replaced = await hub.admin.post(f"/charging-stations/{old}/replace", json=body)
        assert replaced.status_code == 201, replaced.text
    async with hub.database.read() as connection:
        stations = (await load_hub(connection, hub.clock.now())).stations
    shown = [station.identity for station in stations]
    assert len(set(shown)) == len(shown)
    begin = shown.index("row-1")
    assert shown[begin : begin + 3] == ["row-1", "a-newer", "row-3"]


async def test_replacement_under_the_same_identity(hub: RunningApi) -> None:
    old = await make_station(hub, "same", "north")
    response = await hub.admin.post("/charging-stations/same/replace", json={"identity": "same"})
    new = response.json()
    assert response.status_code == 201
    assert new["gun_codes"] == old["gun_codes"]
    assert not await opens(hub, "same", old["credential"])
    assert await opens(hub, "same", new["credential"])


async def test_decommissioned_station_frees_identity_and_gun_codes(hub: RunningApi) -> None:
    made = await make_station(hub, "gone", "north")
    assert (await hub.admin.post("/charging-stations/gone/decommission")).status_code == 204
    problem_of(await hub.admin.post("/charging-stations/gone/decommission"), 404, "not-found")
    listed = (await hub.viewer.get("/charging-stations", params={"q": "gone"})).json()
    assert listed["items"] == []
    evses = [
        {"evse_no": number, "gun_code": code}
        for number, code in enumerate(made["gun_codes"], start=1)
    ]
    again = await make_station(hub, "gone", "north", evses=evses)
    assert again["gun_codes"] == made["gun_codes"]


async def test_registration_name_and_power_are_changed(hub: RunningApi) -> None:
    await make_station(hub, "changed", "north")
    change = {"registration": "Rejected", "name": "Row Z", "max_power_w": 240_000}
    detail = (await hub.admin.patch("/charging-stations/changed", json=change)).json()
    assert {key: detail[key] for key in change} == change
    assert hub.link.disconnected[-1] == await hub.station_id("changed")
    disconnections = len(hub.link.disconnected)
    renamed = await hub.admin.patch("/charging-stations/changed", json={"name": "Row Y"})
    assert renamed.json()["name"] == "Row Y"
    assert len(hub.link.disconnected) == disconnections
    moved = await hub.admin.patch("/charging-stations/changed", json={"location_id": "nowhere"})
    problem_of(moved, 422, "unknown-location")


async def test_statement_35_a_station_may_have_a_heartbeat_interval_of_its_own(
    hub: RunningApi,
) -> None:
    await make_station(hub, "patient", "north")
    path = "/charging-stations/patient"
    assert (await hub.viewer.get(path)).json()["heartbeat_interval_s"] is None
    disconnections = len(hub.link.disconnected)
    changed = await hub.admin.patch(path, json={"heartbeat_interval_s": 900})
    assert changed.json()["heartbeat_interval_s"] == 900
    # It hears of it at its next boot, and goes on until then.
    assert len(hub.link.disconnected) == disconnections
    for flood in (0, 9, 86_401):
        refused = await hub.admin.patch(path, json={"heartbeat_interval_s": flood})
        problem_of(refused, 422, "invalid-input")


async def test_import_commissions_every_line(hub: RunningApi) -> None:
    text = (
        "\ufeff" + HEADER + 'im1,north,"Row 1, left",120.5,2,IMP1 IMP2\r\n'
        "im2,north,,60,1,\r\n\r\n"
        'im3,north,"行\n3",7,,IMP3;IMP4\r\n'
    )
    dry = await hub.admin.post(
        "/charging-stations/import", params={"dry_run": "true"}, content=text, headers=CSV
    )
    assert dry.status_code == 200
    assert dry.json() == {"count": 3, "imported": False, "stations": []}
    response = await hub.admin.post("/charging-stations/import", content=text, headers=CSV)
    assert response.status_code == 201, response.text
    stations = {item["identity"]: item for item in response.json()["stations"]}
    assert list(stations) == ["im1", "im2", "im3"]
    assert stations["im1"]["gun_codes"] == ["IMP1", "IMP2"]
    assert len(stations["im2"]["gun_codes"]) == 1
    for identity, item in stations.items():
        assert await opens(hub, identity, item["credential"])
    detail = (await hub.viewer.get("/charging-stations/im1")).json()
    assert (detail["name"], detail["max_power_w"]) == ("Row 1, left", 120_500)


async def test_import_refuses_all_and_names_every_line(hub: RunningApi) -> None:
    await make_station(hub, "there", "north")
    before = await stations_in_service(hub)
    text = HEADER + (
        "fine,north,,120,2,\n"
        "THERE,north,,120,2,\n"
        "a:b,north,,120,2,\n"
        "far,nowhere,,-1,2,\n"
        "many,north,,120,2,ONLY1\n"
        "fine,north,,120,2,\n"
        "short,north\n"
    )
    response = await hub.admin.post("/charging-stations/import", content=text, headers=CSV)
    document = problem_of(response, 422, "import-refused")
    # Both what the lines themselves say and what is there already.
    found = {(item["line"], item["column"]) for item in document["errors"]}
    assert document["detail"] == "6 errors; nothing was imported."
    assert found == {
        (3, "identity"),
        (4, "identity"),
        (5, "max_power_kw"),
        (6, "gun_codes"),
        (7, "identity"),
        (8, ""),
    }
    assert await stations_in_service(hub) == before
    text = HEADER + "fine,north,,120,2,\nTHERE,north,,120,2,\nfar,nowhere,,1,2,\n"
    response = await hub.admin.post("/charging-stations/import", content=text, headers=CSV)
    document = problem_of(response, 422, "import-refused")
    found = {(item["line"], item["column"]) for item in document["errors"]}
    assert found == {(3, "identity"), (4, "location")}
    text = HEADER + "far,nowhere,,1,2,\n"
    response = await hub.admin.post("/charging-stations/import", content=text, headers=CSV)
    assert response.json()["detail"] == "1 error; nothing was imported."
    assert await stations_in_service(hub) == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x01\x02",
        b"\xff\xfe\x00\x00",
        b"identity,location\nx,y\n",
        b"identity,location,max_power_kw,identity\n",
        b'identity,location,max_power_kw\n"never closed',
        b"identity,location,max_power_kw\nx,north,1e999\n",
        b"identity,location,max_power_kw\nx,north,NaN\n",
        b"identity,location,max_power_kw\nx,n\x00orth,1\n",
        b"identity,location,max_power_kw,name\nx,north,1,a\x00b\n",
        b"identity,location,max_power_kw,evses\nx,north,1,99999999999999999999\n",
        b"identity,location,max_power_kw,evses\nx,north,1,\xc2\xb2\n",
        b"identity,location,max_power_kw,credential\nx,north,1,short\n",
        b"identity,location,max_power_kw\n" + b"x" * 140_000 + b",north,1\n",
        b"identity,location,max_power_kw\n" + b"x,north,1\n" * 2_100,
    ],
)
async def test_import_of_garbage(hub: RunningApi, content: bytes) -> None:
    before = await stations_in_service(hub)
    response = await hub.admin.post("/charging-stations/import", content=content, headers=CSV)
    document = problem_of(response, 422, "import-refused")
    assert 1 <= len(document["errors"]) <= 100
    assert await stations_in_service(hub) == before


async def test_import_takes_csv_only(hub: RunningApi) -> None:
    response = await hub.admin.post("/charging-stations/import", json=[])
    problem_of(response, 415, "unsupported-media-type")


async def test_labels_carry_each_gun_code_once(hub: RunningApi) -> None:
    made = await make_station(hub, "labelled", "north", name='<script>"&')
    page = await hub.operator.get("/charging-stations/labelled/labels.html")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src" not in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    assert page.text.count("<svg") == 2
    for code in made["gun_codes"]:
        assert f"{PUBLIC_URL}/c/{code}" in page.text
    sheet = await hub.operator.get("/locations/north/labels.html")
    evses = (await hub.viewer.get("/locations/north")).json()["evse_count"]
    assert sheet.text.count("<svg") == evses
    problem_of(await hub.operator.get("/locations/east/labels.html"), 404, "not-found")


async def test_locations_are_created_and_changed(hub: RunningApi) -> None:
    await make_location(hub, "east")
    body = {"id": "east", "name": "again", "latitude": 0, "longitude": 0}
    problem_of(await hub.admin.post("/locations", json=body), 409, "location-taken")
    changed = await hub.admin.patch("/locations/east", json={"name": "East", "latitude": 1.5})
    assert (changed.json()["name"], changed.json()["latitude"]) == ("East", 1.5)
    zone = await hub.admin.patch("/locations/east", json={"time_zone": "Mars/Olympus"})
    problem_of(zone, 422, "unknown-time-zone")
    nowhere = await hub.admin.patch("/locations/nowhere", json={"name": "x"})
    problem_of(nowhere, 404, "not-found")


async def test_how_a_station_must_enter_is_commissioned_shown_and_only_raised(
    hub: RunningApi,
) -> None:
    await make_station(hub, "entry", "north", security_profile=2)
    path = "/charging-stations/entry"
    detail = (await hub.viewer.get(path)).json()
    assert (detail["security_profile"], detail["connection_profile"]) == (2, None)
    lowered = await hub.admin.patch(path, json={"security_profile": 1})
    problem_of(lowered, 409, "security-profile-lowered")
    unbound = await hub.admin.patch(path, json={"security_profile": 3})
    problem_of(unbound, 422, "serial-number-needed")
    problem_of(await hub.admin.patch(path, json={"security_profile": 4}), 422, "invalid-input")
    raised = {"security_profile": 3, "bound_serial_number": "DC120-0042"}
    detail = (await hub.admin.patch(path, json=raised)).json()
    assert {key: detail[key] for key in raised} == raised


async def test_a_serial_number_is_bound_to_one_station_in_service(hub: RunningApi) -> None:
    bound = {"bound_serial_number": "SN-one"}
    await make_station(hub, "bound-1", "north", security_profile=3, **bound)
    await make_station(hub, "bound-2", "north")
    path = "/charging-stations/bound-2"
    problem_of(await hub.admin.patch(path, json=bound), 409, "serial-number-taken")
    body = {"identity": "bound-3", "location_id": "north", "max_power_w": 1}
    body |= {"evses": [{"evse_no": 1}], **bound}
    again = await hub.admin.post("/charging-stations", json=body)
    problem_of(again, 409, "serial-number-taken")
    # A certificate's CN is compared letter by letter.
    other_case = {"bound_serial_number": "sn-ONE"}
    assert (await hub.admin.patch(path, json=other_case)).status_code == 200
    # The device that takes the place has no certificate yet, and the old one's is free.
    replaced = await hub.admin.post("/charging-stations/bound-1/replace", json={"identity": "b-4"})
    assert replaced.status_code == 201, replaced.text
    assert (await hub.admin.patch(path, json=bound)).status_code == 200
    problem = await hub.admin.patch("/charging-stations/b-4", json=bound)
    problem_of(problem, 409, "serial-number-taken")
    await hub.admin.post(f"{path}/decommission")
    assert (await hub.admin.patch("/charging-stations/b-4", json=bound)).status_code == 200


async def test_a_bound_serial_number_can_be_taken_away(hub: RunningApi) -> None:
    await make_station(hub, "unbound", "north", bound_serial_number="SN-gone")
    path = "/charging-stations/unbound"
    named = (await hub.admin.patch(path, json={"name": "A", "location_id": None})).json()
    assert (named["bound_serial_number"], named["location_id"]) == ("SN-gone", "north")
    freed = (await hub.admin.patch(path, json={"bound_serial_number": None})).json()
    assert freed["bound_serial_number"] is None
    raised = {"security_profile": 3, "bound_serial_number": "SN-gone"}
    assert (await hub.admin.patch(path, json=raised)).status_code == 200
    needed = await hub.admin.patch(path, json={"bound_serial_number": None})
    problem_of(needed, 422, "serial-number-needed")


async def test_import_binds_a_serial_number_once(hub: RunningApi) -> None:
    await make_station(hub, "im-0", "north", bound_serial_number="SN-im")
    header = "identity,location,max_power_kw,serial_number\n"
    for lines, wrong in (
        ("im-1,north,120,SN-im\nim-2,north,120,SN-IM\n", [2]),
        ("im-1,north,120,SN-two\nim-2,north,120,SN-two\n", [3]),
    ):
        content = (header + lines).encode()
        response = await hub.admin.post("/charging-stations/import", content=content, headers=CSV)
        errors = problem_of(response, 422, "import-refused")["errors"]
        assert [error["line"] for error in errors] == wrong
        assert {error["column"] for error in errors} == {"serial_number"}


async def test_import_says_how_stations_must_enter(hub: RunningApi) -> None:
    header = "identity,location,max_power_kw,security_profile,serial_number\n"
    lines = "in-1,north,120,,\nin-2,north,120,3,SN 2\n"
    content = (header + lines).encode()
    response = await hub.admin.post("/charging-stations/import", content=content, headers=CSV)
    assert response.status_code == 201, response.text
    for identity, profile, serial in (("in-1", 1, None), ("in-2", 3, "SN 2")):
        detail = (await hub.viewer.get(f"/charging-stations/{identity}")).json()
        assert (detail["security_profile"], detail["bound_serial_number"]) == (profile, serial)
    wrong = header + "in-3,north,120,4,\nin-4,north,120,3,\nin-5,north,120,2,é\n"
    response = await hub.admin.post(
        "/charging-stations/import", content=wrong.encode(), headers=CSV
    )
    errors = problem_of(response, 422, "import-refused")["errors"]
    assert [(error["line"], error["column"]) for error in errors] == [
        (2, "security_profile"),
        (3, "serial_number"),
        (4, "serial_number"),
    ]


async def test_credential_is_changed_over_ocpp_and_not_shown(hub: RunningApi) -> None:
    made = await make_station(hub, "over-ocpp", "north")
    path = "/charging-stations/over-ocpp/credential/change"
    problem_of(await hub.operator.post(path), 403, "forbidden")
    offline = problem_of(await hub.admin.post(path), 409, "station-offline")
    assert offline["valid_credentials"] == "old"
    station_id = await hub.station_id("over-ocpp")
    hub.link.online.add(station_id)
    response = await hub.admin.post(path)
    assert response.status_code == 200, response.text
    assert (response.json()["status"], response.json()["valid_credentials"]) == ("Accepted", "new")
    _, command = hub.link.sent[-1]
    assert isinstance(command, ChangeCredential)
    assert command.password not in response.text + repr(command)
    assert await opens(hub, "over-ocpp", command.password)
    assert not await opens(hub, "over-ocpp", made["credential"])
    hub.link.script(station_id, StationTimeout(sent=True))
    problem = problem_of(await hub.admin.post(path), 504, "station-timeout")
    assert problem["valid_credentials"] == "both"
    problem_of(await hub.admin.post(path), 409, "credential-change-pending")
    detail = (await hub.viewer.get("/charging-stations/over-ocpp")).json()
    assert detail["credential_change_requested_at"] is not None
