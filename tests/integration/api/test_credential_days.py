"""What becomes of credentials day by day on the hub's clock: notices, end, images deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from chargehub.drivers.accounts import open_account
from chargehub.drivers.credentials.daily import DAILY
from chargehub.drivers.credentials.queries import find_credential
from chargehub.drivers.credentials.rules import Validity, local_day
from chargehub.drivers.credentials.store import credential_images
from chargehub.drivers.credentials.views import credential_view
from chargehub.kit import jobs
from chargehub.kit.clock import wall_now
from chargehub.kit.jobs import due_actions
from tests.hub_fixtures import running_hub
from tests.integration.api.conftest import HUB_ZONE, RunningApi, problem_of
from tests.integration.api.credential_world import (
    KIND,
    approve,
    body_of,
    day,
    enter,
    hub_in,
    inbox_of,
    kinds_of,
    new_number,
    pass_day,
    put_image,
)


async def days_told(api: RunningApi, driver_id: UUID) -> list[int]:
    told = await inbox_of(api, driver_id, "credential_expiring")
    return [facts["days_left"] for facts in told]


async def test_a_driver_is_told_at_30_7_and_0_days_and_then_it_is_over(api: RunningApi) -> None:
    driver_id, driver = await api.new_driver()
    entered = await enter(driver, valid_to=day(40))
    url = f"/credentials/{entered['id']}"
    await approve(api, entered["id"])
    for today in range(41):
        await pass_day(api, today)
        await pass_day(api, today)
    assert await days_told(api, driver_id) == [30, 7, 0]
    assert (await driver.get(url)).json()["status"] == "approved"
    await pass_day(api, 41)
    await pass_day(api, 42)
    assert (await driver.get(url)).json()["status"] == "expired"
    decided = await inbox_of(api, driver_id, "credential_decided")
    assert [facts["status"] for facts in decided] == ["approved", "expired"]


async def test_a_hub_that_was_off_tells_once_what_it_missed(api: RunningApi) -> None:
    driver_id, driver = await api.new_driver()
    await approve(api, (await enter(driver, valid_to=day(40)))["id"])
    await pass_day(api, 36)
    await pass_day(api, 45)
    assert await days_told(api, driver_id) == [4]
    decided = await inbox_of(api, driver_id, "credential_decided")
    assert decided[-1]["status"] == "expired"


async def test_what_ends_soon_when_it_is_approved_is_told_at_once_and_once(api: RunningApi) -> None:
    """The daily look has been: what ends today would be told of by nobody."""
    phone = "13712345679"
    of_company, _ = await api.new_driver(f"+86{phone}")
    for end, told in ((0, [0]), (5, [0, 5]), (400, [0, 5])):
        kind = ("taxi_qualification", "service_card", "ride_hailing_licence")[len(told) % 3]
        data = f"phone,kind,number,valid_to\n{phone},{kind},{new_number()},{day(end)}\n"
        await api.credentials.imports.take(data.encode(), actor="operator")
        assert await days_told(api, of_company) == told
    await pass_day(api, 0)
    assert await days_told(api, of_company) == [0, 5]
    own, driver = await api.new_driver()
    await approve(api, (await enter(driver, valid_to=day(20)))["id"])
    assert await days_told(api, own) == [20]


async def test_after_a_renewal_the_notices_begin_anew(api: RunningApi) -> None:
    phone, number = "13712345678", new_number()
    driver_id, _ = await api.new_driver(f"+86{phone}")
    for end, today in ((10, 5), (60, 30), (60, 40), (60, 55)):
        data = f"phone,kind,number,valid_to\n{phone},{KIND},{number},{day(end)}\n"
        await api.credentials.imports.take(data.encode(), actor="operator")
        await pass_day(api, today)
    assert await days_told(api, driver_id) == [10, 5, 30, 5]


async def test_only_what_is_approved_is_told(api: RunningApi) -> None:
    driver_id, driver = await api.new_driver()
    entered = await enter(driver, valid_to=day(40))
    await pass_day(api, 12)
    await approve(api, entered["id"])
    await driver.post(f"/credentials/{entered['id']}/withdraw")
    await pass_day(api, 15)
    assert await days_told(api, driver_id) == []


async def test_a_renewal_that_waits_keeps_the_number_when_the_old_one_ends(
    api: RunningApi,
) -> None:
    (_, driver), (_, other) = await api.new_driver(), await api.new_driver()
    number = new_number()
    old = await enter(driver, number, valid_to=day(3))
    await approve(api, old["id"])
    new = await enter(driver, number)
    await pass_day(api, 4)
    assert (await driver.get(f"/credentials/{old['id']}")).json()["status"] == "expired"
    assert (await driver.get(f"/credentials/{new['id']}")).json()["renews"] is None
    taken = await other.post("/credentials", json=body_of(number))
    problem_of(taken, 409, "credential-number-taken")
    assert (await approve(api, new["id"]))["status"] == "approved"


async def approved_in(
    api: RunningApi, driver: httpx.AsyncClient, number: str, days: tuple[int, int]
) -> dict[str, Any]:
    begin, end = days
    entered = await enter(driver, number, valid_from=day(begin), valid_to=day(end))
    return await approve(api, entered["id"])


async def own_of(driver: httpx.AsyncClient) -> dict[str, tuple[str, str | None]]:
    items = (await driver.get("/credentials")).json()["items"]
    return {item["id"]: (item["status"], item["renews"]) for item in items}


async def test_what_is_renewed_after_a_gap_counts_to_its_end(api: RunningApi) -> None:
    (driver_id, driver), (_, other) = await api.new_driver(), await api.new_driver()
    number = new_number()
    old = (await approved_in(api, driver, number, (0, 20)))["id"]
    new = (await approved_in(api, driver, number, (22, 900)))["id"]
    counts = {20: {KIND}, 21: set(), 22: {KIND}, 900: {KIND}}
    for today, told in (
        (0, {old: ("approved", None), new: ("approved", old)}),
        (20, {old: ("approved", None), new: ("approved", old)}),
        (21, {old: ("expired", None), new: ("approved", None)}),
    ):
        await pass_day(api, today)
        assert await own_of(driver) == told
        taken = await other.post("/credentials", json=body_of(number))
        problem_of(taken, 409, "credential-number-taken")
        assert {on: await kinds_of(api, driver_id, day(on)) for on in counts} == counts
    decided = await inbox_of(api, driver_id, "credential_decided")
    assert [facts["status"] for facts in decided] == ["approved", "approved", "expired"]


async def test_renewals_follow_each_other_and_each_may_go(api: RunningApi) -> None:
    driver_id, driver = await api.new_driver()
    number = new_number()
    first = (await approved_in(api, driver, number, (0, 20)))["id"]
    second = (await approved_in(api, driver, number, (30, 60)))["id"]
    third = (await approved_in(api, driver, number, (70, 90)))["id"]
    assert (await own_of(driver))[third] == ("approved", second)
    revoked = f"/credential-reviews/{second}/revoke"
    assert (await api.operator.post(revoked, json={"reason": "left"})).status_code == 200
    assert await own_of(driver) == {
        first: ("approved", None),
        second: ("withdrawn", None),
        third: ("approved", first),
    }
    # It begins before the last and goes on beyond it: it takes that one's place.
    fourth = (await approved_in(api, driver, number, (40, 200)))["id"]
    assert (await own_of(driver))[third] == ("withdrawn", None)
    assert (await own_of(driver))[fourth] == ("approved", first)
    on = {days: await kinds_of(api, driver_id, day(days)) for days in (20, 21, 39, 40, 69, 200)}
    assert on == {20: {KIND}, 21: set(), 39: set(), 40: {KIND}, 69: {KIND}, 200: {KIND}}


async def test_a_company_that_lengthens_leaves_what_is_approved_for_longer(
    api: RunningApi,
) -> None:
    phone, number = "13712345670", new_number()
    _, driver = await api.new_driver(f"+86{phone}")
    old = (await approved_in(api, driver, number, (0, 20)))["id"]
    new = (await approved_in(api, driver, number, (100, 900)))["id"]
    for end, told in (
        (50, ("approved", old)),
        (899, ("approved", old)),
        (900, ("withdrawn", None)),
    ):
        data = f"phone,kind,number,valid_to\n{phone},{KIND},{number},{day(end)}\n"
        await api.credentials.imports.take(data.encode(), actor="operator")
        assert await own_of(driver) == {old: ("approved", None), new: told}


async def test_an_ended_number_is_free_again(api: RunningApi) -> None:
    (_, driver), (_, other) = await api.new_driver(), await api.new_driver()
    number = new_number()
    await approve(api, (await enter(driver, number, valid_to=day(1)))["id"])
    await pass_day(api, 1)
    problem_of(
        await other.post("/credentials", json=body_of(number)), 409, "credential-number-taken"
    )
    await pass_day(api, 2)
    await enter(other, number)


async def images(api: RunningApi) -> set[str]:
    async with api.database.read() as connection:
        found = await connection.scalars(select(credential_images.c.credential_id))
        return {str(credential_id) for credential_id in found}


async def test_images_are_deleted_so_many_days_after_the_decision(api: RunningApi) -> None:
    _, driver = await api.new_driver()
    kinds = ("taxi_qualification", "service_card", "ride_hailing_licence")
    approved, refused, waits = [(await enter(driver, kind=kind))["id"] for kind in kinds]
    for credential_id in (approved, refused, waits):
        await put_image(driver, credential_id)
    await approve(api, approved)
    url = f"/credential-reviews/{refused}"
    await api.operator.post(f"{url}/refuse", json={"reason": "no"})
    await pass_day(api, 29.99)
    assert {approved, refused, waits} <= await images(api)
    await pass_day(api, 30.01)
    assert waits in await images(api)
    assert not {approved, refused} & await images(api)
    own = {item["id"]: item for item in (await driver.get("/credentials")).json()["items"]}
    assert [own[item]["has_image"] for item in (approved, refused, waits)] == [False, False, True]
    gone = await api.operator.post(f"{url}/image", json={"reason": "complaint"})
    problem_of(gone, 404, "not-found")


async def test_the_days_of_an_image_run_from_the_decision(api: RunningApi) -> None:
    _, driver = await api.new_driver()
    entered = await enter(driver)
    await put_image(driver, entered["id"])
    await hub_in(api, 10).credentials.approve(
        UUID(entered["id"]), actor="operator", issuer=None, dates=Validity()
    )
    await pass_day(api, 39.99)
    assert entered["id"] in await images(api)
    await pass_day(api, 40.01)
    assert entered["id"] not in await images(api)


async def test_the_action_falls_due_again_just_after_the_hubs_midnight(api: RunningApi) -> None:
    async with api.database.write() as connection:
        await jobs.schedule_daily(connection, [DAILY], api.clock.now())
    await api.credentials.due()[DAILY](jobs.DAILY, {})
    async with api.database.read() as connection:
        due_at = await connection.scalar(
            select(due_actions.c.due_at).where(due_actions.c.kind == DAILY)
        )
    assert due_at is not None
    local = due_at.astimezone(HUB_ZONE)
    assert (local.hour, local.minute) == (0, 5)
    assert local.date() == local_day(api.clock.now(), HUB_ZONE) + timedelta(days=1)


async def test_what_ends_today_is_shown_as_ended_from_midnight_on(api: RunningApi) -> None:
    """The daily action may be late; a list is not."""
    _, driver = await api.new_driver()
    entered = await enter(driver, valid_to=day(0))
    await approve(api, entered["id"])
    async with api.database.read() as connection:
        row = await find_credential(connection, UUID(entered["id"]))
    shown = [credential_view(row, hub_in(api, ahead).credentials.today()) for ahead in (0, 1)]
    assert [view.status.value for view in shown] == ["approved", "expired"]


async def test_a_running_hub_does_it_by_itself(database_url: str) -> None:
    """The daily action is due, and who signs up gets what waits."""
    async with running_hub(database_url) as hub:
        await hub.until(
            "SELECT count(*) FROM due_actions WHERE kind = :kind AND due_at > :now",
            1,
            kind=DAILY,
            now=wall_now(),
        )
        imports = hub.hub.features.credentials.imports
        data = f"phone,kind,number,valid_to\n13700000000,service_card,{new_number()},{day(9)}\n"
        (report,) = await imports.take(data.encode(), actor="test")
        assert report.outcome == "waiting"
        async with hub.database.write() as connection:
            await open_account(
                connection, wall_now(), hub.hub.features.seal, phone="+8613700000000"
            )
        await hub.until("SELECT count(*) FROM driver_credentials WHERE status = 'approved'", 1)
