"""A taxi company's file: what becomes of each line, for accounts and for phones without one."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select
from structlog.testing import capture_logs

from chargehub.drivers.accounts import PHONE, SIGNED_UP
from chargehub.drivers.credentials.queries import read_waiting
from chargehub.kit.jobs import outbox
from chargehub.kit.worker import Worker
from tests.integration.api.conftest import PHONES, RunningApi, problem_of
from tests.integration.api.credential_world import (
    KIND,
    approve,
    body_of,
    day,
    dump,
    enter,
    hub_in,
    inbox_of,
    is_in,
    new_number,
    pass_day,
    put_image,
)

HEADER = "手机号,证件类型,证件号,有效期至,姓名"
ENDS = itertools.count(400)
CSV = {"Content-Type": "text/csv"}


def new_phone() -> str:
    return f"137{next(PHONES):08d}"


def line(
    phone: str, number: str, end: str | None = None, name: str = "欧阳明", kind: str = KIND
) -> str:
    return f"{phone},{kind},{number},{end or day(400)},{name}"


def file_of(*lines: str) -> bytes:
    return "\r\n".join([HEADER, *lines]).encode("utf-8-sig")


async def send(api: RunningApi, data: bytes) -> list[dict[str, Any]]:
    response = await api.operator.post("/credential-imports", content=data, headers=CSV)
    assert response.status_code == 200, response.text
    lines: list[dict[str, Any]] = response.json()["lines"]
    return lines


async def outcomes(api: RunningApi, *lines: str) -> list[str]:
    return [item["outcome"] for item in await send(api, file_of(*lines))]


async def credentials_of(api: RunningApi, driver_id: UUID) -> list[dict[str, Any]]:
    params = {"driver_id": str(driver_id), "status": "approved"}
    items: list[dict[str, Any]] = (
        await api.operator.get("/credential-reviews", params=params)
    ).json()["items"]
    return items


async def work(api: RunningApi) -> None:
    """Let the worker act on the events that wait."""
    worker = Worker(api.database, api.clock, {}, api.credentials.topics())
    while await worker.run_once():
        pass


async def test_what_is_known_of_a_file_is_read_in_portions(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is sent again costs no statement for each of its rows; what is new is taken."""
    monkeypatch.setattr("chargehub.drivers.credentials.imports.PORTION", 4)
    phones = [new_phone() for _ in range(10)]
    for phone in phones[:5]:
        await api.new_driver(f"+86{phone}")
    lines = [line(phone, new_number()) for phone in phones]
    assert await outcomes(api, *lines) == ["approved"] * 5 + ["waiting"] * 5
    asked: list[str] = []

    def hear(*execution: Any) -> None:
        asked.append(execution[2])

    engine = api.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        assert await outcomes(api, *lines) == ["unchanged"] * 10
    finally:
        event.remove(engine, "before_cursor_execute", hear)
    assert sum("unnest" in statement for statement in asked) == 3
    # Beside these the login, who has signed up meanwhile, and the audit.
    assert len(asked) < len(lines)
    longer = line(phones[6], new_number())
    another = line(phones[1], lines[2].split(",")[2])
    assert await outcomes(api, lines[0], another, longer) == ["unchanged", "refused", "waiting"]


async def test_an_account_is_approved_and_told_and_again_nothing_changes(api: RunningApi) -> None:
    phone, number = new_phone(), new_number()
    driver_id, driver = await api.new_driver(f"+86{phone}")
    (report,) = await send(api, file_of(line(phone, number)))
    assert report == {
        "line": 2,
        "outcome": "approved",
        "kind": KIND,
        "number": f"****{number[-4:]}",
        "faults": [],
    }
    (approved,) = await credentials_of(api, driver_id)
    assert (approved["source"], approved["holder"]) == ("import", "欧**")
    assert approved["decided_by"] == "operator"
    assert await outcomes(api, line(phone, number)) == ["unchanged"]
    assert len(await credentials_of(api, driver_id)) == 1
    assert len(await inbox_of(api, driver_id, "credential_decided")) == 1
    assert (await driver.get("/credentials")).json()["items"][0]["status"] == "approved"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
async def test_encodings_of_spreadsheets(api: RunningApi, encoding: str) -> None:
    phone = new_phone()
    driver_id, _ = await api.new_driver(f"+86{phone}")
    number = f"浙H字第2026{next(ENDS)}号"
    text = f"{HEADER}\r\n{line(phone, number, name='龘明', kind='从业资格证')}\r\n"
    (report,) = await send(api, text.encode(encoding))
    assert report["outcome"] == "approved"
    labelled = {"Content-Type": f"text/csv; charset={encoding}"}
    again = await api.operator.post(
        "/credential-imports", content=text.encode(encoding), headers=labelled
    )
    assert again.json()["counts"]["unchanged"] == 1
    assert [item["holder"] for item in await credentials_of(api, driver_id)] == ["龘**"]


async def test_bad_lines_are_named_and_hold_up_no_other(api: RunningApi) -> None:
    phone, number, taken = new_phone(), new_number(), new_number()
    driver_id, _ = await api.new_driver(f"+86{phone}")
    await enter((await api.new_driver())[1], taken)
    reports = await send(
        api,
        file_of(
            line("12345", new_number()),
            line(phone, number),
            line(phone, "330802199003077181"),
            line(phone, taken),
            line(phone, new_number(), end=day(-1)),
            line(new_phone(), taken),
            line(new_phone(), new_number()),
        ),
    )
    assert [item["outcome"] for item in reports] == [
        *("refused", "approved", "refused", "refused", "refused", "refused", "waiting")
    ]
    columns = [[fault["column"] for fault in item["faults"]] for item in reports]
    # `taken` is given to two phones.
    assert columns == [["phone"], [], ["number"], ["number"], ["valid_to"], ["number"], []]
    assert [item["line"] for item in reports] == list(range(2, 9))
    assert len(await credentials_of(api, driver_id)) == 1


async def test_a_number_of_another_account_is_named(api: RunningApi) -> None:
    taken = new_number()
    await enter((await api.new_driver())[1], taken)
    phone = new_phone()
    await api.new_driver(f"+86{phone}")
    for owner in (phone, new_phone()):
        (report,) = await send(api, file_of(line(owner, taken)))
        assert report["outcome"] == "refused"
        assert "Another account" in report["faults"][0]["message"]


async def test_a_longer_end_renews_and_a_shorter_changes_nothing(api: RunningApi) -> None:
    phone, number = new_phone(), new_number()
    driver_id, driver = await api.new_driver(f"+86{phone}")
    ends = [day(100), day(500), day(100), day(500)]
    found = [await outcomes(api, line(phone, number, end=end)) for end in ends]
    assert found == [["approved"], ["renewed"], ["unchanged"], ["unchanged"]]
    (approved,) = await credentials_of(api, driver_id)
    assert approved["valid_to"] == day(500)
    # What the driver had entered meanwhile is done with, image and all.
    renewal = await enter(driver, number, valid_to=day(600))
    await put_image(driver, renewal["id"])
    assert await outcomes(api, line(phone, number, end=day(700))) == ["renewed"]
    own = (await driver.get(f"/credentials/{renewal['id']}")).json()
    assert (own["status"], own["has_image"]) == ("withdrawn", False)


async def test_what_the_driver_entered_is_approved_by_the_company(api: RunningApi) -> None:
    phone, number = new_phone(), new_number()
    driver_id, driver = await api.new_driver(f"+86{phone}")
    entered = await enter(driver, number, valid_to=None)
    assert await outcomes(api, line(phone, number)) == ["approved"]
    (approved,) = await credentials_of(api, driver_id)
    assert (approved["id"], approved["valid_to"]) == (entered["id"], day(400))


async def test_a_phone_without_account_gets_it_when_it_signs_up(
    api: RunningApi, module_database_url: str
) -> None:
    phone, number, other = new_phone(), new_number(), new_number()
    lines = line(phone, number), line(phone, other, kind="service_card")
    assert await outcomes(api, *lines) == ["waiting", "waiting"]
    assert await outcomes(api, *lines) == ["unchanged", "unchanged"]
    assert not is_in(dump(module_database_url), phone)
    driver_id, _ = await api.new_driver(f"+86{phone}")
    await work(api)
    approved = await credentials_of(api, driver_id)
    assert {item["kind"] for item in approved} == {KIND, "service_card"}
    assert len(await inbox_of(api, driver_id, "credential_decided")) == 2
    async with api.database.read() as connection:
        fingerprint = api.seal.fingerprint(f"+86{phone}", PHONE)
        assert await read_waiting(connection, fingerprint) == []
    # The event may come again.
    await api.credentials.imports.claim(str(driver_id), {})
    assert len(await credentials_of(api, driver_id)) == 2
    assert await outcomes(api, *lines) == ["unchanged", "unchanged"]


async def test_who_signed_up_while_a_file_was_read_is_not_forgotten(api: RunningApi) -> None:
    phone = new_phone()
    assert await outcomes(api, line(phone, new_number())) == ["waiting"]
    driver_id, _ = await api.new_driver(f"+86{phone}")
    await outcomes(api, line(new_phone(), new_number()))
    assert len(await credentials_of(api, driver_id)) == 1


async def test_signing_up_is_an_event_of_its_transaction(api: RunningApi) -> None:
    assert set(api.credentials.topics()) == {SIGNED_UP}
    driver_id, _ = await api.new_driver(f"+86{new_phone()}")
    query = select(outbox.c.topic).where(outbox.c.subject == str(driver_id))
    async with api.database.read() as connection:
        assert list(await connection.scalars(query)) == [SIGNED_UP]


async def test_what_waits_follows_the_newer_file(api: RunningApi) -> None:
    first, second, number = new_phone(), new_phone(), new_number()
    assert await outcomes(api, line(first, number, end=day(5))) == ["waiting"]
    assert await outcomes(api, line(second, number, end=day(5))) == ["waiting"]
    (wrong, _), (right, _) = [await api.new_driver(f"+86{phone}") for phone in (first, second)]
    await work(api)
    assert await credentials_of(api, wrong) == []
    assert len(await credentials_of(api, right)) == 1


async def test_what_waits_ends_with_its_day(api: RunningApi, module_database_url: str) -> None:
    phone, number = new_phone(), new_number()
    assert await outcomes(api, line(phone, number, end=day(5))) == ["waiting"]
    driver_id, _ = await api.new_driver(f"+86{phone}")
    # Before the daily action has been there.
    await hub_in(api, 6).imports.claim(str(driver_id), {})
    fingerprint = api.credentials.credentials.fingerprint(number)
    assert is_in(dump(module_database_url), fingerprint)
    await pass_day(api, 6)
    assert not is_in(dump(module_database_url), fingerprint)
    await work(api)
    assert await credentials_of(api, driver_id) == []


async def test_a_number_that_waits_for_another_phone_is_shown_to_the_reviewer(
    api: RunningApi,
) -> None:
    phone, number = new_phone(), new_number()
    assert await outcomes(api, line(phone, number)) == ["waiting"]
    _, stranger = await api.new_driver()
    entered = await enter(stranger, number)
    url = f"/credential-reviews/{entered['id']}"
    assert (await api.operator.get(url)).json()["named_for_another_phone"]
    owner_id, owner = await api.new_driver(f"+86{phone}")
    await work(api)
    assert await credentials_of(api, owner_id) == []
    # It waits on; once the stranger is refused, the next day's action gives it to its owner.
    await api.operator.post(f"{url}/refuse", json={"reason": "another's"})
    await pass_day(api, 0)
    assert len(await credentials_of(api, owner_id)) == 1
    problem_of(
        await stranger.post("/credentials", json=body_of(number)), 409, "credential-number-taken"
    )
    assert (await owner.get("/credentials")).json()["items"][0]["status"] == "approved"


async def test_files_at_once_approve_once(api: RunningApi) -> None:
    phones = [new_phone() for _ in range(5)]
    made = [await api.new_driver(f"+86{phone}") for phone in phones[:3]]
    lines = [line(phone, new_number()) for phone in phones]
    files = [file_of(*lines), file_of(*reversed(lines)), file_of(*lines[2:], *lines[:2])]
    reports = await asyncio.gather(*(send(api, data) for data in files))
    told = [item["outcome"] for report in reports for item in report]
    assert told.count("approved") == 3
    assert told.count("refused") == 0
    for driver_id, _ in made:
        assert len(await credentials_of(api, driver_id)) == 1
        assert len(await inbox_of(api, driver_id, "credential_decided")) == 1


@pytest.mark.parametrize(
    ("data", "headers", "status", "code"),
    [
        (b"", CSV, 422, "import-unreadable"),
        (b"phone,kind\n1,2\n", CSV, 422, "import-unreadable"),
        (HEADER.encode("utf-16"), CSV, 422, "import-unreadable"),
        (b"{}", {"Content-Type": "application/json"}, 415, "unsupported-media-type"),
        (file_of(line("1", "2")), {"Content-Type": ""}, 415, "unsupported-media-type"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused(
    api: RunningApi, data: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    response = await api.operator.post("/credential-imports", content=data, headers=headers)
    problem_of(response, status, code)


async def test_an_import_tells_and_keeps_no_number_no_phone_and_no_name(
    api: RunningApi, module_database_url: str
) -> None:
    known, unknown = new_phone(), new_phone()
    await api.new_driver(f"+86{known}")
    numbers = [new_number() for _ in range(4)]
    name = "司马相如"
    lines = [
        line(phone, number, name=name)
        for phone, number in zip((known, unknown), numbers[:2], strict=True)
    ]
    lines += [line("123", numbers[2], name=name), line(known, numbers[3] + "9", name=name)]
    with capture_logs() as logged:
        response = await api.operator.post(
            "/credential-imports", content=file_of(*lines), headers=CSV
        )
        await work(api)
    audit = (await api.admin.get("/audit", params={"action": "credential.imported"})).json()
    assert audit["items"][0]["facts"]["waiting"] == 1
    everything = {"answer": response.text, "log": str(logged), "audit": str(audit)}
    everything["database"] = dump(module_database_url)
    for place, text in everything.items():
        for secret in (*numbers, known, unknown, name):
            assert not is_in(text, secret), (place, secret)


async def test_an_approved_number_stays_where_it_is(api: RunningApi) -> None:
    (_, first), number, phone = await api.new_driver(), new_number(), new_phone()
    entered = await enter(first, number)
    await approve(api, entered["id"])
    await api.new_driver(f"+86{phone}")
    assert await outcomes(api, line(phone, number)) == ["refused"]
