"""Locations by distance, and what is free there: filters, paging, live figures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event, insert, text, update

from chargehub.kit.datum import Datum, Point, convert
from chargehub.reservations.store import reservations
from chargehub.stations.store import charging_stations, connectors, locations
from chargehub.telemetry.store import samples
from chargehub.transactions.store import transactions
from tests.integration.api.conftest import RunningApi, make_station, problem_of, running

HUB = (28.970, 118.870)
PLACES = {
    "hub": HUB,
    "town": (28.9700, 118.8800),  # 973 m
    "north": (29.0700, 118.8700),  # 11.1 km
    "east": (28.9700, 119.5000),  # 61.3 km
    "fiji-west": (-17.0, 179.95),
    "fiji-east": (-17.0, -179.95),
    "pole": (89.99, 10.0),
    "other-side-of-the-pole": (89.99, -170.0),
}


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningApi]:
    async with running(module_database_url) as api:
        for name, (latitude, longitude) in PLACES.items():
            body = {"id": name, "name": name, "latitude": latitude, "longitude": longitude}
            assert (await api.admin.post("/locations", json=body)).status_code == 201
        await make_station(api, "H1", "hub", evses=[{"evse_no": 1}, {"evse_no": 2}])
        slow = {"evse_no": 1, "max_power_w": 7_000, "connectors": ["GBT_AC"]}
        await make_station(api, "H2", "hub", max_power_w=60_000, evses=[slow, {"evse_no": 2}])
        for name in PLACES.keys() - {"hub"}:
            await make_station(api, f"S-{name}", name, max_power_w=60_000)
        yield api


@pytest_asyncio.fixture(autouse=True)
async def all_is_well(hub: RunningApi) -> None:
    """Every station is here and idle; nobody ever charged."""
    async with hub.database.write() as connection:
        for table in (reservations, samples, transactions):
            await connection.execute(table.delete())
        await connection.execute(connectors.update().values(status="Available"))
        await connection.execute(charging_stations.update().values(wanted_operative=True))
        await connection.execute(update(locations).values(regular_hours=None))
        ids = (await connection.execute(text("SELECT id FROM charging_stations"))).scalars().all()
    hub.link.online.clear()
    hub.link.online.update(ids)


async def near(
    hub: RunningApi, at: tuple[float, float] = HUB, **query: Any
) -> list[dict[str, Any]]:
    values = {"latitude": at[0], "longitude": at[1], **query}
    answer = await hub.anonymous.get("/locations/nearby", params=values)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def names(hub: RunningApi, at: tuple[float, float] = HUB, **query: Any) -> list[str]:
    return [item["id"] for item in await near(hub, at, **query)]


async def the_hub(hub: RunningApi) -> dict[str, Any]:
    return (await near(hub, limit=1))[0]


async def write(hub: RunningApi, statement: Any) -> None:
    async with hub.database.write() as connection:
        await connection.execute(statement)


async def begin(hub: RunningApi, identity: str, evse_no: int, **columns: Any) -> int:
    """Store a transaction that began 20 minutes ago and still runs, unless the columns say else."""
    now = hub.clock.now()
    station_id = await hub.station_id(identity)
    async with hub.database.write() as connection:
        number: int = await connection.scalar(text("SELECT nextval('transaction_ids')")) or 0
        values = {
            "id": number,
            "ref": str(number),
            "station_id": station_id,
            "evse_no": evse_no,
            "state": "Active",
            "started_at": now - timedelta(minutes=20),
            "received_at": now,
            "max_power_w": 120_000,
            **columns,
        }
        await connection.execute(insert(transactions).values(values))
    return number


async def ended(hub: RunningApi, identity: str, *, minutes_ago: float, **columns: Any) -> None:
    now = hub.clock.now()
    at = now - timedelta(minutes=minutes_ago)
    began = at - timedelta(minutes=30)
    more: dict[str, Any] = {"state": "Ended", "started_at": began, "ended_at": at}
    await begin(hub, identity, 1, **{**more, "energy_wh": 20_000, **columns})


# Where it is -----------------------------------------------------------------------------------


async def test_the_nearest_comes_first_with_its_distance(hub: RunningApi) -> None:
    found = await near(hub)
    assert [item["id"] for item in found][:4] == ["hub", "town", "north", "east"]
    assert [item["distance_m"] for item in found][:4] == [
        pytest.approx(metres, abs=2) for metres in (0, 973, 11_119, 61_287)
    ]
    assert len(found) == len(PLACES)
    assert sorted(found, key=lambda item: item["distance_m"]) == found


async def test_the_antimeridian_and_the_pole_are_no_borders(hub: RunningApi) -> None:
    over_the_line = await near(hub, (-17.0, 179.99), radius_m=30_000)
    assert [item["id"] for item in over_the_line] == ["fiji-west", "fiji-east"]
    assert over_the_line[1]["distance_m"] == pytest.approx(6_380, abs=10)
    over_the_pole = await near(hub, (89.995, -170.0), radius_m=30_000)
    assert [item["id"] for item in over_the_pole] == ["other-side-of-the-pole", "pole"]
    assert [item["distance_m"] for item in over_the_pole] == [556, 1668]


async def test_the_radius_is_a_border(hub: RunningApi) -> None:
    assert await names(hub, radius_m=970) == ["hub"]
    assert await names(hub, radius_m=980) == ["hub", "town"]
    assert await names(hub, radius_m=20_015_000) == await names(hub)


@pytest.mark.parametrize("datum", list(Datum))
async def test_points_are_taken_and_told_in_the_datum_asked_for(
    hub: RunningApi, datum: Datum
) -> None:
    here = convert(Point(*HUB), Datum.WGS_84, datum)
    found = await near(hub, here, datum=datum.value, limit=2)
    assert [item["distance_m"] for item in found] == [0, 973]
    told = found[0]["coordinates"]
    assert told["datum"] == datum
    assert (told["latitude"], told["longitude"]) == pytest.approx(here, abs=1e-6)


async def test_a_point_taken_for_another_datum_is_578_metres_off(hub: RunningApi) -> None:
    found = await near(hub, convert(Point(*HUB), Datum.WGS_84, Datum.GCJ_02), limit=1)
    assert found[0]["distance_m"] == pytest.approx(578, abs=2)


async def test_pages_neither_skip_nor_repeat(hub: RunningApi) -> None:
    for number in range(7):
        name = f"same-place-{number}"
        body = {"id": name, "name": name, "latitude": -33.0, "longitude": 18.0}
        assert (await hub.admin.post("/locations", json=body)).status_code == 201
        await make_station(hub, name.upper(), name)
    values: dict[str, Any] = {"latitude": -33.0, "longitude": 18.0, "limit": 3}
    seen: list[str] = []
    while True:
        page = (await hub.anonymous.get("/locations/nearby", params=values)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 3
        values["cursor"] = page["next_cursor"]
    assert seen[:7] == [f"same-place-{number}" for number in range(7)]
    assert seen == await names(hub, (-33.0, 18.0), limit=100)
    assert len(set(seen)) == len(seen) == len(PLACES) + 7


async def test_a_location_without_guns_is_no_place_to_charge(hub: RunningApi) -> None:
    body = {"id": "building-site", "name": "b", "latitude": 28.97, "longitude": 118.87}
    assert (await hub.admin.post("/locations", json=body)).status_code == 201
    assert "building-site" not in await names(hub)


# What is free there ----------------------------------------------------------------------------


async def test_guns_are_counted_by_power_class(hub: RunningApi) -> None:
    found = await the_hub(hub)
    assert (found["guns_total"], found["guns_free"]) == (4, 4)
    assert found["guns"] == [
        {"power_class": "slow", "total": 1, "free": 1},
        {"power_class": "fast", "total": 1, "free": 1},
        {"power_class": "super", "total": 2, "free": 2},
    ]
    assert found["standards"] == ["GBT_AC", "GBT_DC"]
    assert found["max_power_w"] == 120_000


async def test_what_is_free_follows_the_truth(hub: RunningApi) -> None:
    h1 = await hub.station_id("H1")

    async def free() -> int:
        return int((await the_hub(hub))["guns_free"])

    gun = (connectors.c.station_id == h1, connectors.c.evse_no == 1)
    await write(hub, connectors.update().where(*gun).values(status="Occupied"))
    assert await free() == 3
    await write(hub, connectors.update().where(*gun).values(status="Available"))
    assert await free() == 4
    hub.link.online.remove(h1)
    assert await free() == 2
    hub.link.online.add(h1)
    running_at = await begin(hub, "H1", 1)
    assert await free() == 3
    await write(hub, transactions.delete().where(transactions.c.id == running_at))
    of_h1 = charging_stations.update().where(charging_stations.c.id == h1)
    await write(hub, of_h1.values(wanted_operative=False))
    assert await free() == 2


@pytest.mark.parametrize(
    ("status", "begins", "ends", "free"),
    [
        ("requested", -1, 20, 3),
        ("active", -1, 20, 3),
        ("active", 1, 20, 4),
        ("active", -20, -1, 4),
        ("cancelled", -1, 20, 4),
    ],
)
async def test_a_gun_that_is_held_now_is_not_free(
    hub: RunningApi, status: str, begins: float, ends: float, free: int
) -> None:
    driver_id, _ = await hub.new_driver()
    now = hub.clock.now()
    held_from, until = (now + timedelta(minutes=minutes) for minutes in (begins, ends))
    await write(
        hub,
        insert(reservations).values(
            driver_id=driver_id,
            id_token="app-1",
            location_id="hub",
            station_id=await hub.station_id("H1"),
            evse_no=1,
            any_evse=False,
            wanted_power_w=1,
            held_from=held_from,
            starts_at=held_from,
            hold_until=until,
            status=status,
            created_at=now,
        ),
    )
    assert (await the_hub(hub))["guns_free"] == free
    guns = (await hub.anonymous.get("/locations/hub/guns")).json()["items"]
    assert guns[0]["state"] == ("Available" if free == 4 else "Reserved")


async def test_each_filter_asks_for_a_gun_that_is_all_of_it(hub: RunningApi) -> None:
    around: dict[str, Any] = {"radius_m": 100_000}
    everywhere = ["hub", "town", "north", "east"]
    assert await names(hub, **around) == everywhere
    assert await names(hub, **around, min_power_w=60_001) == ["hub"]
    assert await names(hub, **around, min_power_w=120_001) == []
    assert await names(hub, **around, standard="GBT_AC") == ["hub"]
    assert await names(hub, **around, standard="GBT_AC", min_power_w=30_000) == []
    assert await names(hub, **around, free_now=True) == everywhere
    hub.link.online.remove(await hub.station_id("S-town"))
    hub.link.online.remove(await hub.station_id("H2"))
    assert await names(hub, **around, free_now=True) == ["hub", "north", "east"]
    assert await names(hub, **around, free_now=True, standard="GBT_AC") == []
    assert await names(hub, **around, standard="GBT_AC") == ["hub"]


async def test_opening_hours_go_by_the_clock_there(hub: RunningApi) -> None:
    assert (await the_hub(hub))["opening_changes_at"] is None
    zones = {"town": "Asia/Shanghai", "north": "Pacific/Kiritimati", "east": "America/New_York"}
    for name, zone in zones.items():
        async with hub.database.write() as connection:
            wall = await connection.scalar(text("SELECT now() AT TIME ZONE :zone"), {"zone": zone})
            assert wall is not None
            day = {"weekday": wall.isoweekday(), "period_begin": wall.strftime("%H:%M")}
            hours = [day | {"period_end": "24:00"}]
            if name == "town":
                weekday = (wall + timedelta(days=3)).isoweekday()
                hours = [{"weekday": weekday, "period_begin": "08:00", "period_end": "09:00"}]
            await connection.execute(
                locations.update()
                .where(locations.c.id == name)
                .values(time_zone=zone, regular_hours=hours)
            )
    found = {item["id"]: item for item in await near(hub, radius_m=100_000)}
    open_now = {name: item["open_now"] for name, item in found.items()}
    assert open_now == {"hub": True, "town": False, "north": True, "east": True}
    assert found["town"]["opening_changes_at"].endswith("T00:00:00Z")  # UTC+8.
    assert found["north"]["opening_changes_at"].endswith("T10:00:00Z")  # UTC+14.
    assert await names(hub, radius_m=100_000, open_now=True) == ["hub", "north", "east"]


# What can be trusted of it ---------------------------------------------------------------------


async def test_when_somebody_last_charged(hub: RunningApi) -> None:
    never = await the_hub(hub)
    assert never["last_charged_at"] is never["last_charged_minutes_ago"] is None
    await ended(hub, "H1", minutes_ago=7.5)
    await ended(hub, "H2", minutes_ago=90)
    assert (await the_hub(hub))["last_charged_minutes_ago"] == 7
    await begin(hub, "H2", 2)
    assert (await the_hub(hub))["last_charged_minutes_ago"] == 0


@pytest.mark.parametrize(
    ("reason", "days_ago", "badge"),
    [
        ("Local", 1, True),
        ("EVDisconnected", 1, True),
        ("Other", 1, True),
        ("EmergencyStop", 1, False),
        ("PowerLoss", 6.9, False),
        ("SoftReset", 1, False),
        ("PowerLoss", 7.1, True),
    ],
)
async def test_no_aborted_session_in_seven_days(
    hub: RunningApi, reason: str, days_ago: float, badge: bool
) -> None:
    assert (await the_hub(hub))["no_aborted_session_in_7_days"] is None
    await ended(hub, "H2", minutes_ago=days_ago * 1440, stopped_reason=reason)
    await ended(hub, "H1", minutes_ago=60, stopped_reason="Local")
    assert (await the_hub(hub))["no_aborted_session_in_7_days"] is badge


async def fill(hub: RunningApi) -> list[int]:
    return [await begin(hub, name, number) for name in ("H1", "H2") for number in (1, 2)]


async def test_the_wait_at_a_full_place(hub: RunningApi) -> None:
    running_now = await fill(hub)
    full = await the_hub(hub)
    assert (full["guns_free"], full["predicted_wait_minutes"]) == (0, None)
    for minutes_ago in (100, 200, 300):
        await ended(hub, "H1", minutes_ago=minutes_ago)
    assert (await the_hub(hub))["predicted_wait_minutes"] == 10  # Of 30 usual ones 20 are over.
    now = hub.clock.now()
    sample = {
        "sampled_at": now,
        "received_at": now,
        "station_id": await hub.station_id("H2"),
        "evse_no": 2,
        "transaction_id": running_now[3],
        "content_hash": 1,
        "context": "Sample.Periodic",
        "soc_percent": 94.0,
        "power_w": 20_000,
    }
    await write(hub, insert(samples).values(sample))
    assert (await the_hub(hub))["predicted_wait_minutes"] == 2
    hub.link.online.remove(await hub.station_id("H2"))
    assert (await the_hub(hub))["predicted_wait_minutes"] == 10
    await write(hub, transactions.delete().where(transactions.c.id == running_now[0]))
    free = await the_hub(hub)
    assert (free["guns_free"], free["predicted_wait_minutes"]) == (1, None)


# The guns of one place -------------------------------------------------------------------------


async def test_the_guns_of_a_location_for_its_plan(hub: RunningApi) -> None:
    await begin(hub, "H1", 2, charging_state="Charging")
    h1 = await hub.station_id("H1")
    gun = (connectors.c.station_id == h1, connectors.c.evse_no == 2)
    await write(hub, connectors.update().where(*gun).values(status="Occupied"))
    hub.link.online.remove(await hub.station_id("H2"))
    first = (await hub.anonymous.get("/locations/hub/guns", params={"limit": 3})).json()
    rest = await hub.anonymous.get(
        "/locations/hub/guns", params={"limit": 3, "cursor": first["next_cursor"]}
    )
    guns = first["items"] + rest.json()["items"]
    assert [
        (gun["station_identity"], gun["evse_no"], gun["state"], gun["free"], gun["power_class"])
        for gun in guns
    ] == [
        ("H1", 1, "Available", True, "super"),
        ("H1", 2, "Charging", False, "super"),
        ("H2", 1, "Offline", False, "slow"),
        ("H2", 2, "Offline", False, "fast"),
    ]
    assert rest.json()["next_cursor"] is None
    problem_of(await hub.anonymous.get("/locations/nowhere/guns"), 404, "not-found")


async def test_the_number_of_reads_does_not_grow_with_what_is_found(hub: RunningApi) -> None:
    engine = hub.database.engine.sync_engine
    told: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        told.append(statement)

    async def reads(**query: Any) -> int:
        told.clear()
        await near(hub, **query)
        return len(told)

    await fill(hub)  # So that there is a wait to predict.
    event.listen(engine, "before_cursor_execute", count)
    try:
        assert await reads(radius_m=1) == await reads(limit=100) <= 8
    finally:
        event.remove(engine, "before_cursor_execute", count)
