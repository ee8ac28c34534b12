"""The frame log over REST: what is found, in pages, by whom, and by which index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, text

from chargehub.frame_log.queries import FrameFilter, frames_query, hub_frames_query
from chargehub.frame_log.store import DAYS, frames
from chargehub.kit.clock import wall_now
from chargehub.kit.paging import encode_cursor
from tests.integration.api.conftest import RunningApi, problem_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
Item = dict[str, Any]


def second(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def row(station_id: int, number: int, **columns: Any) -> Item:
    """Return a row of the log; in a connection's order, a second apart."""
    return {
        "at": second(number),
        "station_id": station_id,
        "epoch": 1,
        "number": number,
        "message_type": 2,
        "direction": "in",
        "protocol": "made-up",
        "message_id": f"m{number}",
        "action": "Heartbeat",
        "text": f'[2,"m{number}","Heartbeat",{{}}]',
        **columns,
    }


@pytest_asyncio.fixture(scope="module")
async def logged(api: RunningApi) -> RunningApi:
    """Two stations with frames of their own, over two days of the log."""
    place = {"id": "hub", "name": "Hub", "latitude": 28.97, "longitude": 118.87}
    await api.admin.post("/locations", json=place)
    numbers = []
    for identity in ("F-1", "F-2", "F-again", "f-AGAIN"):
        station = {"identity": identity, "location_id": "hub", "max_power_w": 60_000}
        made = await api.admin.post(
            "/charging-stations", json={**station, "evses": [{"evse_no": 1}]}
        )
        assert made.status_code == 201, made.text
        numbers.append(await api.station_id(identity))
        if identity == "F-again":
            await api.admin.post("/charging-stations/F-again/decommission")
    one, two, gone, heir = numbers
    answer = {"message_type": 3, "direction": "out"}
    rows = [
        row(one, 1, action="BootNotification"),
        row(one, 2, **answer, message_id="m1", action="BootNotification"),
        # An id that is used again, in the same connection and in the next one.
        row(one, 3, message_id="same"),
        row(one, 4, at=second(3.25), **answer, message_id="same"),
        row(one, 5, message_id="same"),
        row(one, 6, message_type=4, direction="out", message_id="same"),
        row(one, 7, epoch=2, message_id="same"),
        # Ours, answered by the station.
        row(one, 8, epoch=2, direction="out", message_id="ours", action="Reset"),
        row(one, 9, epoch=2, message_type=3, message_id="ours", action="Reset"),
        row(one, 10, epoch=2, message_type=None, message_id=None, action=None, text="hello"),
        row(one, 11, at=NOON + timedelta(days=1), cut_from=99),
        # Answered by the next connection: that is no answer.
        row(one, 12, at=NOON + timedelta(days=1, seconds=1), epoch=3, message_id="across"),
        row(
            one,
            13,
            at=NOON + timedelta(days=1, seconds=2),
            epoch=4,
            **answer,
            message_id="across",
        ),
        row(two, 1),
        row(two, 2, at=second(1.5), **answer, message_id="m1"),
        row(gone, 3, at=second(3.5), message_id="same", action="BootNotification"),
        row(heir, 4, at=second(4.5), message_id="own", action="BootNotification"),
    ]
    async with api.database.write() as connection:
        await DAYS.ensure(connection, NOON, 1)
        await connection.execute(insert(frames), [{"cut_from": None, **one} for one in rows])
    return api


async def found(api: RunningApi, **query: Any) -> list[Item]:
    response = await api.operator.get("/charging-stations/F-1/frames", params=query)
    assert response.status_code == 200, response.text
    items: list[Item] = response.json()["items"]
    return items


def numbers(items: list[Item]) -> list[int]:
    return [item["number"] for item in items]


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
    ({"action": "Reset"}, [9, 8]),
    ({"message_id": "same"}, [7, 6, 5, 4, 3]),
    ({"direction": "out"}, [13, 8, 6, 4, 2]),
    ({"direction": "in", "action": "BootNotification"}, [1]),
    ({"from": second(9).isoformat(), "to": second(11).isoformat()}, [10, 9]),
    ({"from": second(11).isoformat()}, [13, 12, 11]),
    ({"message_id": "nobody"}, []),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS, ids=str)
async def test_frames_are_found(
    logged: RunningApi, query: dict[str, Any], expected: list[int]
) -> None:
    assert numbers(await found(logged, **query)) == expected


async def test_a_call_knows_its_answer(logged: RunningApi) -> None:
    items = {item["number"]: item for item in await found(logged)}
    answers = {number: (one["answered_in_ms"], one["answer_type"]) for number, one in items.items()}
    assert answers == {
        1: (1_000.0, 3),
        2: (None, None),
        3: (250.0, 3),
        4: (None, None),
        5: (1_000.0, 4),
        6: (None, None),
        7: (None, None),
        8: (1_000.0, 3),
        9: (None, None),
        10: (None, None),
        11: (None, None),
        12: (None, None),
        13: (None, None),
    }
    assert items[3]["answered_at"].startswith("2026-11-23T12:00:03.25")
    assert (items[10]["message_type"], items[10]["text"]) == (None, "hello")
    assert (items[11]["cut_from"], items[11]["connection"]) == (99, 1)


async def test_pages_neither_skip_nor_repeat(logged: RunningApi) -> None:
    seen: list[int] = []
    cursor = None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        response = await logged.operator.get("/charging-stations/F-1/frames", params=query)
        document = response.json()
        seen += numbers(document["items"])
        cursor = document["next_cursor"]
        if cursor is None:
            break
    assert seen == list(range(13, 0, -1))


async def test_viewers_see_none(logged: RunningApi) -> None:
    response = await logged.viewer.get("/charging-stations/F-1/frames")
    assert problem_of(response, 403, "forbidden")["needed_role"] == "operator"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"direction": "sideways"}, "invalid-input"),
        ({"cursor": "WyJmcmFtZXMiXQ"}, "invalid-cursor"),
        ({"from": "yesterday"}, "invalid-input"),
        ({"station": "F-2"}, "invalid-input"),
    ],
)
async def test_bad_questions(logged: RunningApi, query: dict[str, str], code: str) -> None:
    response = await logged.operator.get("/charging-stations/F-1/frames", params=query)
    problem_of(response, 422, code)


async def test_no_such_station(logged: RunningApi) -> None:
    response = await logged.operator.get("/charging-stations/NOBODY/frames")
    problem_of(response, 404, "not-found")


# --- Over all stations ----------------------------------------------------------------------------

DAY = {"from": NOON.isoformat(), "to": second(60).isoformat()}


async def found_in_hub(api: RunningApi, **query: Any) -> list[tuple[str, int]]:
    response = await api.operator.get("/frames", params=query)
    assert response.status_code == 200, response.text
    return [(item["identity"], item["number"]) for item in response.json()["items"]]


HUB_FILTERS: list[tuple[dict[str, Any], list[tuple[str, int]]]] = [
    ({"message_id": "m1"}, [("F-1", 2), ("F-2", 2), ("F-2", 1), ("F-1", 1)]),
    (
        {"message_id": "same", "direction": "in"},
        [("F-1", 7), ("F-1", 5), ("F-again", 3), ("F-1", 3)],
    ),
    (
        {"action": "BootNotification", "direction": "in"},
        [("f-AGAIN", 4), ("F-again", 3), ("F-1", 1)],
    ),
    ({"from": second(3).isoformat(), "to": second(3.5).isoformat()}, [("F-1", 4), ("F-1", 3)]),
    ({"identity": "f-again"}, [("f-AGAIN", 4), ("F-again", 3)]),
    ({"identity": "nobody"}, []),
]


@pytest.mark.parametrize(("query", "expected"), HUB_FILTERS, ids=str)
async def test_frames_of_all_stations_are_found(
    logged: RunningApi, query: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    assert sorted(await found_in_hub(logged, **{**DAY, **query})) == sorted(expected)
    assert [number for _, number in await found_in_hub(logged, **{**DAY, **query})] == sorted(
        (number for _, number in expected), reverse=True
    )


async def test_a_decommissioned_stations_frames_are_told_from_its_heirs(
    logged: RunningApi,
) -> None:
    response = await logged.operator.get("/frames", params={**DAY, "identity": "F-AGAIN"})
    heir, gone = response.json()["items"]
    assert heir["decommissioned_at"] is None
    assert gone["decommissioned_at"] is not None
    assert heir["station_id"] != gone["station_id"]
    # The station's own list has only the heir's.
    assert numbers((await logged.operator.get("/charging-stations/f-again/frames")).json()["items"])


async def test_of_all_stations_too_a_call_knows_its_answer(logged: RunningApi) -> None:
    response = await logged.operator.get("/frames", params={**DAY, "message_id": "m1"})
    answers = {
        (item["identity"], item["number"]): (item["answered_in_ms"], item["answer_type"])
        for item in response.json()["items"]
    }
    assert answers == {
        ("F-1", 1): (1_000.0, 3),
        ("F-1", 2): (None, None),
        ("F-2", 1): (500.0, 3),
        ("F-2", 2): (None, None),
    }


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_pages_of_all_stations_neither_skip_nor_repeat(
    logged: RunningApi, limit: int
) -> None:
    whole = await found_in_hub(logged, **DAY)
    seen: list[tuple[str, int]] = []
    query: dict[str, Any] = {**DAY, "limit": limit}
    while True:
        document = (await logged.operator.get("/frames", params=query)).json()
        seen += [(item["identity"], item["number"]) for item in document["items"]]
        if document["next_cursor"] is None:
            break
        query["cursor"] = document["next_cursor"]
    assert seen == whole
    assert len(seen) == 14


async def test_without_a_time_it_is_the_last_hour_and_of_an_id_the_last_month(
    api: RunningApi, logged: RunningApi
) -> None:
    now = wall_now()
    one = await api.station_id("F-2")
    aged = [
        row(one, number, at=now - age, epoch=7, message_id="aged")
        for number, age in enumerate(
            (timedelta(minutes=5), timedelta(minutes=70), timedelta(days=32)), 70
        )
    ]
    async with logged.database.write() as connection:
        await connection.execute(insert(frames), [{"cut_from": None, **one} for one in aged])
    recent = await found_in_hub(logged, identity="F-2")
    assert recent == [("F-2", 70)]
    assert await found_in_hub(logged, message_id="aged") == [("F-2", 70), ("F-2", 71)]
    # A later page looks back no further, and no less far, than the first one did.
    first = await logged.operator.get("/frames", params={"message_id": "aged", "limit": 1})
    cursor = first.json()["next_cursor"]
    assert await found_in_hub(logged, message_id="aged", cursor=cursor) == [("F-2", 71)]


def forged(begin: datetime) -> str:
    return encode_cursor("hub-frames", NOON, 1, 1, 1, begin)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"from": NOON.isoformat(), "to": (NOON + timedelta(days=2)).isoformat()}, "time-too-long"),
        ({"from": "2020-01-01T00:00:00Z"}, "time-too-long"),
        ({"from": "2020-01-01T00:00:00Z", "message_id": "m1"}, "time-too-long"),
        ({"cursor": forged(NOON - timedelta(days=2))}, "time-too-long"),
        ({"cursor": "WyJmcmFtZXMiXQ"}, "invalid-cursor"),
        ({"direction": "sideways"}, "invalid-input"),
        ({"limit": 501}, "invalid-input"),
    ],
)
async def test_bad_questions_about_all_stations(
    logged: RunningApi, query: dict[str, Any], code: str
) -> None:
    problem_of(await logged.operator.get("/frames", params=query), 422, code)


async def test_viewers_see_no_frames_of_all_stations(logged: RunningApi) -> None:
    problem_of(await logged.viewer.get("/frames", params=DAY), 403, "forbidden")


async def test_a_search_is_an_index_scan(logged: RunningApi) -> None:
    """By time, and by message id, of a station and of all: no day is read whole."""
    one = await logged.station_id("F-2")
    begin = NOON + timedelta(days=1)
    async with logged.database.write() as connection:
        await connection.execute(
            text(
                "INSERT INTO frames (at, station_id, epoch, number, message_type, direction,"
                " protocol, message_id, action, text)"
                " SELECT CAST(:begin AS timestamptz) + n * interval '2 seconds', :one - n % 2, 9,"
                " n, 2, 'in', 'made-up', 'id-' || n, 'Heartbeat', repeat('x', 300)"
                " FROM generate_series(1, 20000) n"
            ),
            {"begin": begin, "one": one},
        )
        await connection.execute(text("ANALYZE frames"))
        for wanted, index in (
            (FrameFilter(begin + timedelta(hours=1), begin + timedelta(hours=2)), "pkey"),
            (FrameFilter(message_id="id-7000"), "message_id_station_id_idx"),
        ):
            query = frames_query(one, wanted).order_by(frames.c.at.desc()).limit(100)
            literal = query.compile(
                logged.database.engine.sync_engine, compile_kwargs={"literal_binds": True}
            )
            plan = "\n".join(
                await connection.scalars(text("EXPLAIN " + str(literal).replace(":", "\\:")))
            )
            # Of the other days, a handful of rows each, a scan is the best plan.
            assert "Seq Scan on frames_2026_11_24" not in plan, plan
            assert f"using frames_2026_11_24_{index}" in plan.partition("Limit")[2], plan
        for wanted, index in (
            (FrameFilter(begin, begin + timedelta(days=1), message_id="id-7000"), "message_id"),
            (FrameFilter(begin + timedelta(hours=1), begin + timedelta(hours=1.2)), "pkey"),
        ):
            hub_query = hub_frames_query(wanted, identity=None, after=None, limit=100)
            literal = hub_query.compile(
                logged.database.engine.sync_engine, compile_kwargs={"literal_binds": True}
            )
            plan = "\n".join(
                await connection.scalars(text("EXPLAIN " + str(literal).replace(":", "\\:")))
            )
            assert "Seq Scan on frames_2026_11_24" not in plan, plan
            assert f"frames_2026_11_24_{index}" in plan, plan
