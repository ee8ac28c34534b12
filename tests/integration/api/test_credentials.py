"""Credentials of drivers over REST: entered, looked at, decided; one number one account."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from chargehub.drivers.accounts import open_account
from chargehub.drivers.credentials import service
from chargehub.drivers.credentials.rules import CredentialKind
from tests.integration.api.conftest import RunningApi, problem_of
from tests.integration.api.credential_world import (
    JPEG,
    KIND,
    MARK,
    PNG,
    approve,
    body_of,
    day,
    dump,
    enter,
    inbox_of,
    is_in,
    kinds_of,
    new_number,
    put_image,
)
from tests.pictures import jpeg, webp

TAXI = CredentialKind.TAXI_QUALIFICATION


async def audit_of(api: RunningApi, subject: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (
        await api.admin.get("/audit", params={"subject": subject})
    ).json()["items"]
    return entries[::-1]


async def test_a_credential_is_entered_approved_and_counts(api: RunningApi) -> None:
    driver_id, driver = await api.new_driver()
    number = new_number()
    entered = await enter(driver, f" {number[:6]}-{number[6:].lower()} ", issuer="衢州")
    assert (entered["status"], entered["number"]) == ("pending", f"****{number[-4:]}")
    assert await kinds_of(api, driver_id) == set()
    listed = await api.operator.get("/credential-reviews", params={"driver_id": str(driver_id)})
    assert [item["id"] for item in listed.json()["items"]] == [entered["id"]]
    approved = await approve(api, entered["id"])
    assert (approved["status"], approved["decided_by"]) == ("approved", "operator")
    assert await kinds_of(api, driver_id) == {KIND}
    assert await kinds_of(api, driver_id, day(400)) == {KIND}
    assert await kinds_of(api, driver_id, day(401)) == set()
    (told,) = await inbox_of(api, driver_id, "credential_decided")
    assert (told["status"], told["number"]) == ("approved", f"****{number[-4:]}")
    assert [entry["action"] for entry in await audit_of(api, entered["id"])] == [
        "credential.approved"
    ]


async def test_a_verified_taxi_driver_may_book_earlier(api: RunningApi) -> None:
    """What the reservation rules ask; a service card alone is none."""
    parts, at = api.credentials, api.clock.now()
    driver_id, driver = await api.new_driver()
    await approve(api, (await enter(driver, kind="service_card"))["id"])
    async with api.database.read() as connection:
        assert not await parts.is_taxi_driver(connection, driver_id, at)
    await approve(api, (await enter(driver))["id"])
    async with api.database.read() as connection:
        assert await parts.is_taxi_driver(connection, driver_id, at)
        assert not await parts.is_taxi_driver(connection, driver_id, at + timedelta(days=402))


async def test_a_refusal_has_a_reason_and_frees_the_number(api: RunningApi) -> None:
    driver_id, driver = await api.new_driver()
    number = new_number()
    entered = await enter(driver, number)
    refused = await api.operator.post(
        f"/credential-reviews/{entered['id']}/refuse", json={"reason": "照片看不清"}
    )
    assert refused.json()["status"] == "refused"
    own = await driver.get(f"/credentials/{entered['id']}")
    assert (own.json()["status"], own.json()["reason"]) == ("refused", "照片看不清")
    (told,) = await inbox_of(api, driver_id, "credential_decided")
    assert told["reason"] == "照片看不清"
    assert await kinds_of(api, driver_id) == set()
    await enter(driver, number)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"number": "330802199003077181"}, "credential-number-unusable"),
        ({"number": "12345"}, "credential-number-unusable"),
        ({"number": "<script>2026"}, "credential-number-unusable"),
        ({"number": "x" * 300}, "invalid-input"),
        ({"number": ""}, "invalid-input"),
        ({"number": "2026\x0012345"}, "invalid-input"),
        ({"kind": "pilot"}, "invalid-input"),
        ({"valid_to": "soon"}, "invalid-input"),
        ({"valid_to": "9999-12-31"}, "invalid-input"),
        ({"valid_to": day(-1)}, "credential-dates-unusable"),
        ({"valid_from": day(500)}, "credential-dates-unusable"),
        ({"issued_on": day(1)}, "credential-dates-unusable"),
        ({"status": "approved"}, "invalid-input"),
        ({"driver_id": str(uuid4())}, "invalid-input"),
    ],
)
async def test_what_cannot_be_is_refused(api: RunningApi, body: dict[str, Any], code: str) -> None:
    _, driver = await api.new_driver()
    response = await driver.post("/credentials", json=body_of(new_number()) | body)
    problem = problem_of(response, 422, code)
    if code != "invalid-input":
        assert {"rule", "passes_at"} <= problem.keys()
    assert body.get("number", "-") not in {problem["detail"], str(problem)}
    assert (await driver.get("/credentials")).json()["items"] == []


async def test_one_of_a_kind_waits_at_a_time(api: RunningApi) -> None:
    _, driver = await api.new_driver()
    first = await enter(driver)
    another = await driver.post("/credentials", json=body_of(new_number()))
    problem_of(another, 409, "credential-pending")
    await enter(driver, kind="service_card")
    assert (await driver.post(f"/credentials/{first['id']}/withdraw")).status_code == 200
    await enter(driver)


async def test_a_number_belongs_to_one_account(api: RunningApi) -> None:
    (_, first), (_, second) = await api.new_driver(), await api.new_driver()
    number = new_number()
    entered = await enter(first, number)
    for _ in "ab":
        response = await second.post("/credentials", json=body_of(number.lower()))
        problem = problem_of(response, 409, "credential-number-taken")
        assert problem["rule"] == "one_credential_one_account"
        await approve(api, entered["id"]) if _ == "a" else None
    # Of another kind it is another credential.
    await enter(second, number, kind="service_card")
    assert (await first.post(f"/credentials/{entered['id']}/withdraw")).status_code == 200
    await enter(second, number)


async def test_of_accounts_at_once_exactly_one_gets_a_number(api: RunningApi) -> None:
    drivers = [client for _, client in [await api.new_driver() for _ in range(6)]]
    for _ in range(5):
        number = new_number()
        answers = await asyncio.gather(
            *(client.post("/credentials", json=body_of(number)) for client in drivers)
        )
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
        for client, answer in zip(drivers, answers, strict=True):
            if answer.status_code == 201:
                await client.post(f"/credentials/{answer.json()['id']}/withdraw")
            else:
                problem_of(answer, 409, "credential-number-taken")


async def test_of_one_drivers_requests_at_once_one_is_entered(api: RunningApi) -> None:
    _, driver = await api.new_driver()
    number = new_number()
    answers = await asyncio.gather(
        *(driver.post("/credentials", json=body_of(number)) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_the_same_key_enters_once(api: RunningApi) -> None:
    _, driver = await api.new_driver()
    body, headers = body_of(new_number()), {"Idempotency-Key": "k-1"}
    first = await driver.post("/credentials", json=body, headers=headers)
    again = await driver.post("/credentials", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = await driver.post("/credentials", json=body_of(new_number()), headers=headers)
    problem_of(other, 422, "idempotency-key-reused")


async def test_a_driver_sees_only_their_own(api: RunningApi) -> None:
    (_, owner), (_, other) = await api.new_driver(), await api.new_driver()
    entered = await enter(owner)
    url = f"/credentials/{entered['id']}"
    problem_of(await other.get(url), 404, "not-found")
    problem_of(await other.post(f"{url}/withdraw"), 404, "not-found")
    problem_of(await other.put(f"{url}/image", content=JPEG), 404, "not-found")
    assert (await other.get("/credentials")).json()["items"] == []
    assert (await owner.get(url)).json()["status"] == "pending"


async def test_withdrawing_again_is_the_same_and_what_is_refused_stays(api: RunningApi) -> None:
    driver_id, driver = await api.new_driver()
    entered = await enter(driver)
    await put_image(driver, entered["id"])
    url = f"/credentials/{entered['id']}/withdraw"
    first, again = await driver.post(url), await driver.post(url)
    assert first.json() == again.json()
    assert (first.json()["status"], first.json()["has_image"]) == ("withdrawn", False)
    refused = await enter(driver)
    await api.operator.post(f"/credential-reviews/{refused['id']}/refuse", json={"reason": "no"})
    response = await driver.post(f"/credentials/{refused['id']}/withdraw")
    problem_of(response, 409, "credential-decided")
    assert await kinds_of(api, driver_id) == set()


async def test_own_credentials_are_paged(api: RunningApi) -> None:
    _, driver = await api.new_driver()
    made = [(await enter(driver, kind=kind))["id"] for kind in (TAXI, "service_card")]
    first = (await driver.get("/credentials", params={"limit": 1})).json()
    params = {"limit": 1, "cursor": first["next_cursor"]}
    second = (await driver.get("/credentials", params=params)).json()
    assert [page["items"][0]["id"] for page in (first, second)] == made[::-1]
    assert second["next_cursor"] is None
    problem_of(await driver.get("/credentials?cursor=x"), 422, "invalid-cursor")


async def test_the_queue_is_paged_oldest_first_and_filtered(api: RunningApi) -> None:
    made = [
        (await enter((await api.new_driver())[1], kind="ride_hailing_licence"))["id"]
        for _ in range(3)
    ]
    params: dict[str, Any] = {"limit": 2, "kind": "ride_hailing_licence"}
    found = []
    while True:
        page = (await api.operator.get("/credential-reviews", params=params)).json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert found == made
    problem_of(await api.operator.get("/credential-reviews?status=x"), 422, "invalid-input")
    problem_of(await api.operator.get("/credential-reviews?cursor=x"), 422, "invalid-cursor")


@pytest.mark.parametrize("image", [JPEG, PNG, webp(MARK)])
async def test_an_image_is_looked_at_with_an_audit_entry(api: RunningApi, image: bytes) -> None:
    _, driver = await api.new_driver()
    entered = await enter(driver)
    await put_image(driver, entered["id"], jpeg(b"an earlier one"))
    await put_image(driver, entered["id"], image)
    url = f"/credential-reviews/{entered['id']}"
    seen = await api.operator.post(f"{url}/image")
    assert seen.content == image
    assert seen.headers["content-type"].startswith("image/")
    assert seen.headers["cache-control"] == "no-store"
    assert "sandbox" in seen.headers["content-security-policy"]
    (entry,) = await audit_of(api, entered["id"])
    assert (entry["action"], entry["actor"]) == ("credential.image_viewed", "operator")
    assert entry["facts"]["reason"] == "review"
    await approve(api, entered["id"])
    problem_of(await api.operator.post(f"{url}/image"), 422, "reason-needed")
    later = await api.operator.post(f"{url}/image", json={"reason": "complaint 7"})
    assert later.content == image
    assert (await audit_of(api, entered["id"]))[-1]["facts"]["reason"] == "complaint 7"
    personal = {"reason": "complaint of 139 0000 1234 about 浙HD12388"}
    await api.operator.post(f"{url}/image", json=personal)
    kept = (await audit_of(api, entered["id"]))[-1]["facts"]["reason"]
    assert kept == "complaint of 139****1234 about 浙H·****88"


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        (b"", 415, "unsupported-media-type"),
        (b"GIF89a" + MARK, 415, "unsupported-media-type"),
        (b"%PDF-1.7", 415, "unsupported-media-type"),
        (b"<svg onload='alert(1)'/>", 415, "unsupported-media-type"),
        (b"\xff\xd8\xff<script>alert(1)</script>", 422, "credential-image-unusable"),
        (PNG + b"PK\x03\x04 a ZIP behind it", 422, "credential-image-unusable"),
        (JPEG + b"x" * 100_000, 413, "payload-too-large"),
        (JPEG + b"x" * 300_000, 413, "payload-too-large"),
    ],
)
async def test_what_is_no_image_is_refused_and_the_one_before_stays(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch, image: bytes, status: int, code: str
) -> None:
    monkeypatch.setattr(service, "MAX_IMAGE_BYTES", 100_000)
    _, driver = await api.new_driver()
    entered = await enter(driver)
    await put_image(driver, entered["id"])
    headers = {"Content-Type": "image/jpeg"}
    url = f"/credentials/{entered['id']}/image"
    problem_of(await driver.put(url, content=image, headers=headers), status, code)
    seen = await api.operator.post(f"/credential-reviews/{entered['id']}/image")
    assert seen.content == JPEG


async def test_an_image_comes_before_the_decision(api: RunningApi) -> None:
    _, driver = await api.new_driver()
    entered = await enter(driver)
    review = f"/credential-reviews/{entered['id']}"
    problem_of(await api.operator.post(f"{review}/image"), 404, "not-found")
    await approve(api, entered["id"])
    late = await driver.put(f"/credentials/{entered['id']}/image", content=JPEG)
    problem_of(late, 409, "credential-decided")


async def test_a_decision_is_made_once(api: RunningApi) -> None:
    _, driver = await api.new_driver()
    entered = await enter(driver)
    url = f"/credential-reviews/{entered['id']}"
    answers = await asyncio.gather(
        *(api.operator.post(f"{url}/approve") for _ in range(3)),
        *(api.operator.post(f"{url}/refuse", json={"reason": "no"}) for _ in range(3)),
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    assert len(await audit_of(api, entered["id"])) == 1
    for answer in answers:
        if answer.status_code != 200:
            problem_of(answer, 409, "credential-decided")


async def test_reviewers_say_what_they_read_and_why(api: RunningApi) -> None:
    driver_id, driver = await api.new_driver()
    entered = await enter(driver, valid_to=None)
    url = f"/credential-reviews/{entered['id']}"
    for read, code in (
        ({}, "credential-dates-unusable"),
        ({"valid_to": day(-1)}, "credential-dates-unusable"),
        ({"valid_to": "x"}, "invalid-input"),
        ({"approved": True}, "invalid-input"),
    ):
        problem_of(await api.operator.post(f"{url}/approve", json=read), 422, code)
    for reason in ({}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 201}):
        problem_of(await api.operator.post(f"{url}/refuse", json=reason), 422, "invalid-input")
    approved = await approve(api, entered["id"], valid_to=day(9), issuer="衢州")
    assert (approved["valid_to"], approved["issuer"]) == (day(9), "衢州")
    assert await kinds_of(api, driver_id, day(9)) == {KIND}
    missing = f"/credential-reviews/{uuid4()}"
    problem_of(await api.operator.get(missing), 404, "not-found")
    problem_of(await api.operator.post(f"{missing}/approve"), 404, "not-found")


async def test_an_approval_can_be_taken_back(api: RunningApi) -> None:
    driver_id, driver = await api.new_driver()
    entered = await enter(driver)
    url = f"/credential-reviews/{entered['id']}/revoke"
    body = {"reason": "left the company"}
    problem_of(await api.operator.post(url, json=body), 409, "credential-decided")
    await approve(api, entered["id"])
    assert (await api.operator.post(url, json=body)).json()["status"] == "withdrawn"
    assert await kinds_of(api, driver_id) == set()
    assert [entry["action"] for entry in await audit_of(api, entered["id"])] == [
        "credential.approved",
        "credential.revoked",
    ]


async def test_a_renewal_waits_beside_what_it_renews(api: RunningApi) -> None:
    (driver_id, driver), (_, other) = await api.new_driver(), await api.new_driver()
    number = new_number()
    old = await enter(driver, number, valid_to=day(20))
    await approve(api, old["id"])
    new = await enter(driver, number, valid_from=day(21), valid_to=day(900))
    assert new["renews"] == old["id"]
    assert await kinds_of(api, driver_id) == {KIND}
    taken = await other.post("/credentials", json=body_of(number))
    problem_of(taken, 409, "credential-number-taken")
    approved = await approve(api, new["id"])
    assert approved["renews"] is None
    # Without a day between them.
    for on in (day(), day(20), day(21), day(900)):
        assert await kinds_of(api, driver_id, on) == {KIND}
    own = {item["id"]: item for item in (await driver.get("/credentials")).json()["items"]}
    assert (own[old["id"]]["status"], own[old["id"]]["reason"]) == ("withdrawn", "renewed")
    taken = await other.post("/credentials", json=body_of(number))
    problem_of(taken, 409, "credential-number-taken")


async def test_a_renewal_stands_alone_when_the_old_one_goes(api: RunningApi) -> None:
    (_, driver), (_, other) = await api.new_driver(), await api.new_driver()
    number = new_number()
    old = await enter(driver, number)
    await approve(api, old["id"])
    new = await enter(driver, number)
    assert (await driver.post(f"/credentials/{old['id']}/withdraw")).status_code == 200
    assert (await driver.get(f"/credentials/{new['id']}")).json()["renews"] is None
    taken = await other.post("/credentials", json=body_of(number))
    problem_of(taken, 409, "credential-number-taken")


async def test_who_tries_numbers_has_to_wait(api: RunningApi) -> None:
    (_, owner), (_, guesser) = await api.new_driver(), await api.new_driver()
    number = new_number()
    await enter(owner, number)
    codes = [
        (await guesser.post("/credentials", json=body_of(number))).json()["code"] for _ in range(7)
    ]
    assert codes[:5] == ["credential-number-taken"] * 5
    assert codes[5:] == ["too-many-requests"] * 2


async def test_so_many_are_entered_a_day(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "SUBMISSIONS_A_DAY", 2)
    _, driver = await api.new_driver()
    for _ in range(2):
        entered = await enter(driver)
        await driver.post(f"/credentials/{entered['id']}/withdraw")
    problem = problem_of(
        await driver.post("/credentials", json=body_of(new_number())), 429, "too-many-requests"
    )
    assert problem["rule"] == "submissions_a_day"
    assert problem["passes_at"] > (api.clock.now() + timedelta(hours=23)).isoformat()


async def test_guests_have_no_credentials(api: RunningApi) -> None:
    async with api.database.write() as connection:
        until = api.clock.now() + timedelta(days=1)
        guest_id = await open_account(connection, api.clock.now(), api.seal, guest_until=until)
        assert guest_id is not None
        login = await api.driver_logins.issue(connection, guest_id, "test")
    async with api.new_client(login.token) as guest:
        problem_of(await guest.get("/credentials"), 403, "account-needed")


async def tell_everything(api: RunningApi, driver: httpx.AsyncClient, number: str) -> list[str]:
    """Do all that has to do with a number, saying it wherever one may; return the answers."""
    told = []
    entered = await enter(driver, number, issuer=f"of {number}", valid_to=day(10))
    credential_id = entered["id"]
    await put_image(driver, credential_id)
    review = f"/credential-reviews/{credential_id}"
    said = {"reason": f"{number.lower()}: cannot be read"}
    _, other = await api.new_driver()
    told += [
        await driver.get("/credentials"),
        await other.post("/credentials", json=body_of(number)),
        await driver.post("/credentials", json=body_of(number[:-1] + "*")),
        await api.operator.get("/credential-reviews"),
        await api.operator.post(f"{review}/image", json=said),
        await api.operator.post(f"{review}/approve", json={"issuer": f"No. {number}"}),
        await api.operator.post(f"{review}/revoke", json=said),
        await api.operator.get(review),
        await driver.get(f"/credentials/{credential_id}"),
        await api.admin.get("/audit", params={"subject": credential_id}),
    ]
    return [answer.text for answer in told] + [str(entered)]


@pytest.mark.parametrize("form", ["{}", "ZJ{}"])
async def test_a_number_is_nowhere_in_full(
    api: RunningApi, module_database_url: str, form: str
) -> None:
    """Neither in an answer nor in the log, the audit trail, the inbox or any other table."""
    _, driver = await api.new_driver()
    number = form.format(new_number())
    with capture_logs() as logged:
        answers = await tell_everything(api, driver, number)
    everything = {"answers": "\n".join(answers), "log": str(logged)}
    everything["database"] = dump(module_database_url)
    for place, text in everything.items():
        assert not is_in(text.lower(), number.lower()), place
    assert not is_in(everything["log"] + everything["database"], MARK)
    # What is looked for would be found: its trace is there.
    assert is_in(everything["database"], api.credentials.credentials.fingerprint(number))
    assert f"****{number[-4:]}" in everything["answers"]


async def test_an_account_takes_its_credentials_along(
    api: RunningApi, module_database_url: str
) -> None:
    driver_id, driver = await api.new_driver()
    number = new_number()
    old = await enter(driver, number)
    await approve(api, old["id"])
    entered = await enter(driver, number)
    await put_image(driver, entered["id"])
    part = api.credentials.of_account()
    async with api.database.write() as connection:
        exported = await part.export(connection, driver_id)
        assert [item["id"] for item in exported] == [entered["id"], old["id"]]
        await part.erase(connection, driver_id, api.clock.now())
    fingerprint = api.credentials.credentials.fingerprint(number)
    assert not is_in(dump(module_database_url), fingerprint)
    _, other = await api.new_driver()
    await enter(other, number)
