"""Bad input gets a clear 4xx problem, never a 500, and leaves the server as it was."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from chargehub.kit.paging import encode_cursor
from tests.integration.api.conftest import (
    MAX_BODY_BYTES,
    RunningApi,
    make_location,
    make_station,
    problem_of,
    running,
)

JSON = {"Content-Type": "application/json"}
BEYOND_INT64 = str(2**63)
HUGE = "9" * 400


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str) -> AsyncIterator[RunningApi]:
    async with running(module_database_url) as api:
        await make_location(api, "north")
        await make_station(api, "cs", "north")
        api.link.online.add(await api.station_id("cs"))
        yield api


def refused(response: httpx.Response) -> None:
    assert 400 <= response.status_code < 500, (response.status_code, response.text)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code


@pytest.mark.parametrize(
    "url",
    [
        "/locations/%00",
        "/locations/%ED%A0%80",
        "/locations/" + "x" * 5_000,
        "/locations/%00/guns",
        "/locations/nearby?latitude=1e400&longitude=0",
        f"/locations/nearby?latitude={HUGE}&longitude=0",
        "/locations/nearby?latitude=0&longitude=0&standard=%ED%A0%80",
        "/charging-stations/%00",
        "/charging-stations/a%2Fb",
        "/charging-stations/" + "x" * 49,
        "/charging-stations?q=%00",
        "/charging-stations?status=Sleeping",
        "/charging-stations?limit=0",
        "/charging-stations?limit=501",
        f"/charging-stations?limit={HUGE}",
        "/charging-stations?limit=ten",
        "/charging-stations?location=%00",
        "/charging-stations?locaton=north",
        "/charging-stations?online=perhaps",
        "/charging-stations/cs/evses/-1/samples",
        f"/charging-stations/cs/evses/{HUGE}/samples",
        "/charging-stations/cs/commands?outcome=lost",
        "/evses?location=a%00b",
        "/transactions/0",
        "/transactions/-1",
        "/transactions/1.5",
        f"/transactions/{BEYOND_INT64}",
        f"/transactions/{HUGE}",
        f"/transactions/{HUGE}/samples",
        f"/transactions?evse_no={BEYOND_INT64}",
        "/transactions?id_token=%00",
        "/transactions?station=%00",
        "/transactions?from=2026-11-23T00:00:00",
        "/transactions?from=1969-12-31T23:59:59Z",
        "/transactions?to=0001-01-01T00:00:00%2B14:00",
        "/transactions?to=9999-12-31T23:59:59-14:00",
        "/transactions?from=yesterday",
        "/transactions?from=0",
        "/transactions?from=1795406400.5",
        f"/transactions?from={HUGE}",
        "/transactions?state=Lost",
        "/audit?actor=%00",
        "/audit?subject=%00",
        "/operators/not-a-uuid/password",
        "/id-tokens/%00",
        "/id-tokens/" + "x" * 256,
        "/id-tokens?group=%00",
        "/nothing/of/the/kind",
    ],
)
async def test_bad_urls(hub: RunningApi, url: str) -> None:
    refused(await hub.admin.get(url))


CURSORS = [
    "x",
    "%00",
    "!!!!",
    "A" * 501,
    encode_cursor("stations"),
    encode_cursor("stations", "cs"),
    encode_cursor("stations", "cs", "1"),
    encode_cursor("stations", "cs", 2**63),
    encode_cursor("stations", "a\x00b", 1),
    encode_cursor("operators", "cs", 1),
    encode_cursor("transactions", "yesterday", 1),
    encode_cursor("transactions", "2026-11-23T00:00:00", 1),
    encode_cursor("commands", "2026-11-23T00:00:00Z", "not a uuid"),
]


@pytest.mark.parametrize("cursor", CURSORS)
async def test_bad_cursors(hub: RunningApi, cursor: str) -> None:
    for path in (
        "/charging-stations",
        "/evses",
        "/locations",
        "/transactions",
        "/charging-stations/cs/commands",
        "/operators",
        "/audit",
        "/id-tokens",
    ):
        response = await hub.admin.get(path, params={"cursor": cursor})
        refused(response)
        assert response.status_code == 422


NUL, SURROGATE = "a\\u0000b", "\\ud800"


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", "/login", f'{{"login": "{NUL}", "password": "x"}}'),
        ("POST", "/login", f'{{"login": "{SURROGATE}", "password": "x"}}'),
        ("POST", "/login", f'{{"login": "x", "password": "{NUL}"}}'),
        ("POST", "/login", '{"login": "x"}'),
        ("POST", "/login", '{"login": 1, "password": []}'),
        ("POST", "/login", '{"login": "x", "password": "x", "more": 1}'),
        ("POST", "/login", f'{{"login": "x", "password": "x", "{SURROGATE}": 1}}'),
        ("POST", "/login", "[" * 100_000),
        ("POST", "/login", '{"login": '),
        ("POST", "/login", "nonsense"),
        ("POST", "/login", ""),
        ("POST", "/operators", f'{{"login": "{NUL}", "role": "admin", "password": "x"}}'),
        ("POST", "/operators", '{"login": "ok", "role": "root", "password": "long enough it is"}'),
        ("PUT", "/id-tokens/x", f'{{"holder": "{NUL}"}}'),
        ("PUT", "/id-tokens/x", f'{{"holder": "{SURROGATE}"}}'),
        ("PUT", "/id-tokens/x", '{"expires_at": "2027-01-01T00:00:00"}'),
        ("PUT", "/id-tokens/x", '{"expires_at": "1970-01-01T00:00:00+14:00"}'),
        ("PUT", "/id-tokens/x", '{"kind": "Guess"}'),
        ("PUT", "/id-tokens/x", '{"max_power_w": true}'),
        ("PUT", "/id-tokens/x", "[]"),
        ("PATCH", "/locations/north", '{"latitude": NaN}'),
        ("PATCH", "/locations/north", '{"latitude": 91}'),
        ("PATCH", "/locations/north", f'{{"name": "{NUL}"}}'),
        ("PATCH", "/locations/north", f'{{"name": "{"x" * 201}"}}'),
        ("PATCH", "/charging-stations/cs", f'{{"max_power_w": {BEYOND_INT64}}}'),
        ("PATCH", "/charging-stations/cs", '{"max_power_w": 0}'),
        ("PATCH", "/charging-stations/cs", '{"max_power_w": "120000"}'),
        ("PATCH", "/charging-stations/cs", '{"security_profile": true}'),
        ("PATCH", "/charging-stations/cs", '{"max_power_w": 1e400}'),
        ("PATCH", "/charging-stations/cs", '{"registration": "Perhaps"}'),
        ("POST", "/charging-stations/cs/reset", '{"kind": "Hard"}'),
        ("POST", "/charging-stations/cs/unlock", '{"evse_no": 0}'),
        ("POST", "/charging-stations/cs/unlock", f'{{"evse_no": {BEYOND_INT64}}}'),
        ("POST", "/charging-stations/cs/unlock", '{"evse_no": 1, "connector_no": true}'),
        ("POST", "/charging-stations/cs/availability", "{}"),
        ("POST", "/charging-stations/cs/availability", '{"operative": "no"}'),
        ("POST", "/charging-stations/cs/availability", '{"operative": 0}'),
        ("POST", "/charging-stations/cs/availability", '{"operative": true, "evse_no": "1"}'),
        ("POST", "/charging-stations/cs/availability", '{"operative": true, "evse_no": true}'),
        ("POST", "/charging-stations/cs/availability", '{"operative": true, "evse_no": 33}'),
        ("POST", "/charging-stations/cs/commands/Reset", "[]"),
        ("POST", "/charging-stations/cs/commands/Reset", "null"),
        ("POST", "/charging-stations/cs/commands/Reset", f'{{"a": "{NUL}"}}'),
        ("POST", "/charging-stations/cs/commands/Reset", f'{{"{NUL}": 1}}'),
        ("POST", "/charging-stations/cs/commands/Reset", f'{{"a": ["{SURROGATE}"]}}'),
        ("POST", "/charging-stations/cs/commands/Reset", '{"a": NaN}'),
        ("POST", "/charging-stations/cs/commands/Reset", '{"a": -Infinity}'),
        ("POST", "/charging-stations/cs/commands/Reset", '{"a":' * 40 + "1" + "}" * 40),
        ("POST", "/charging-stations/cs/commands/Reset", f'{{"a": {"9" * 5_000}}}'),
        ("POST", "/charging-stations/cs/commands/%00", "{}"),
        ("POST", "/charging-stations/cs/commands/Re%20set", "{}"),
        ("POST", "/transactions/start", f'{{"station": "cs", "id_token": "{NUL}"}}'),
        ("POST", "/transactions/start", '{"station": "cs", "id_token": ""}'),
        ("POST", f"/transactions/{BEYOND_INT64}/stop", ""),
    ],
)
async def test_bad_bodies(hub: RunningApi, method: str, url: str, body: str) -> None:
    sent = len(hub.link.sent)
    refused(await hub.admin.request(method, url, content=body, headers=JSON))
    assert len(hub.link.sent) == sent


async def test_integers_beyond_64_bits_in_a_payload_are_refused(hub: RunningApi) -> None:
    response = await hub.operator.post(
        "/charging-stations/cs/commands/Reset", content='{"a": 1' + "0" * 30 + "}", headers=JSON
    )
    problem_of(response, 422, "invalid-input")


@pytest.mark.parametrize(
    ("path", "body", "field", "said"),
    [
        ("/charging-stations", {"identity": "A:B"}, "identity", "1 to 48 printable characters"),
        ("/charging-stations", {"credential": "short"}, "credential", "16 to 64 letters"),
        ("/operators", {"login": "w w"}, "login", "2 to 64 letters"),
    ],
)
async def test_what_a_field_needs_is_said_in_a_sentence(
    hub: RunningApi, path: str, body: dict[str, str], field: str, said: str
) -> None:
    errors = (await hub.admin.post(path, json=body)).json()["errors"]
    (message,) = (error["message"] for error in errors if error["where"] == f"body.{field}")
    assert message.startswith(said)
    assert len(message) < 100


@pytest.mark.parametrize(
    ("url", "body", "media_type", "where", "said"),
    [
        ("/login", "x", "application/json", "body.0", "It is no JSON from this character on."),
        (
            *("/login", '{"login": "x"}', "application/x-www-form-urlencoded", "body"),
            "A JSON object is needed (Content-Type: application/json).",
        ),
        (
            *("/login", '{"login": "x", "password": "y", "more": 1}', "application/json"),
            *("body.more", "There is no such field here."),
        ),
        (
            *("/driver-logins/wechat", '{"code": "\\u0000"}', "application/json", "body.code"),
            "NUL is not allowed in text",
        ),
    ],
)
async def test_a_bad_body_is_explained(
    hub: RunningApi, url: str, body: str, media_type: str, where: str, said: str
) -> None:
    response = await hub.anonymous.post(url, content=body, headers={"Content-Type": media_type})
    problem = problem_of(response, 422, "invalid-input")
    assert problem["errors"] == [{"where": where, "message": said}]


async def test_an_unknown_path_is_said_to_be_one(hub: RunningApi) -> None:
    problem = problem_of(await hub.anonymous.get("/nothing"), 404, "not-found")
    assert problem["detail"] == "There is nothing at this path."


async def test_no_error_is_a_regular_expression(hub: RunningApi) -> None:
    errors = (await hub.admin.get("/charging-stations/a%00b")).json()["errors"]
    assert errors == [
        {
            "where": "path.identity",
            "message": "Has characters that are not allowed here, or lacks some.",
        }
    ]


async def test_refused_input_is_not_echoed(hub: RunningApi) -> None:
    body = {"login": "x", "password": {"my secret": "swordfish"}}
    response = await hub.anonymous.post("/login", json=body)
    assert "swordfish" not in response.text
    problem_of(response, 422, "invalid-input")


@pytest.mark.parametrize("declared", [True, False])
async def test_oversized_body_is_refused(hub: RunningApi, declared: bool) -> None:
    size = MAX_BODY_BYTES + 1

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(0, size, 65_536):
            yield b"x" * 65_536

    content: Any = b"x" * size if declared else chunks()
    response = await hub.admin.post(
        "/charging-stations/import", content=content, headers={"Content-Type": "text/csv"}
    )
    problem_of(response, 413, "payload-too-large")
    assert (await hub.viewer.get("/me")).status_code == 200


async def test_wrong_method_and_wrong_media_type(hub: RunningApi) -> None:
    refusal = await hub.admin.delete("/locations")
    problem_of(refusal, 405, "method-not-allowed")
    assert refusal.headers["allow"] == "GET, POST"
    form = await hub.anonymous.post("/login", data={"login": "admin", "password": "x"})
    problem_of(form, 422, "invalid-input")


async def test_a_body_that_is_no_text_is_refused(hub: RunningApi) -> None:
    answer = await hub.admin.post("/locations", content=b"\xff{}", headers=JSON)
    assert problem_of(answer, 422, "invalid-input")["errors"][0]["where"] == "body"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "gb18030", "latin-1", "none"])
async def test_a_body_that_is_not_said_to_be_utf8_is_refused(
    hub: RunningApi, encoding: str
) -> None:
    headers = {"Content-Type": f'application/json; Charset="{encoding.upper()}"'}
    text = '{"holder": "é"}'
    body = text.encode("utf-8" if encoding == "none" else encoding)
    response = await hub.admin.put("/id-tokens/odd-charset", content=body, headers=headers)
    assert "UTF-8" in problem_of(response, 415, "unsupported-media-type")["detail"]
    csv = {"Content-Type": f"text/csv; charset={encoding}"}
    imported = await hub.admin.post("/charging-stations/import", content=body, headers=csv)
    problem_of(imported, 415, "unsupported-media-type")
    assert (await hub.admin.get("/id-tokens/odd-charset")).status_code == 404


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"Utf-8"'])
async def test_a_body_in_utf8_is_read(hub: RunningApi, charset: str) -> None:
    headers = {"Content-Type": f"application/json;charset={charset}"}
    body = '{"holder": "衢州"}'.encode()
    response = await hub.admin.put("/id-tokens/named-charset", content=body, headers=headers)
    assert response.json()["holder"] == "衢州"


@pytest.mark.parametrize("token", ["", " x", " %00", " é", " " + "x" * 5_000])
async def test_odd_tokens_are_unauthenticated(hub: RunningApi, token: str) -> None:
    header = (b"Authorization", f"Bearer{token}".encode("latin-1"))
    response = await hub.anonymous.get("/me", headers=[header])
    problem_of(response, 401, "unauthenticated")
    header = (b"Cookie", f"chargehub_session={token.strip()}".encode("latin-1"))
    problem_of(await hub.anonymous.get("/me", headers=[header]), 401, "unauthenticated")


async def test_request_id_is_kept_when_it_is_harmless(hub: RunningApi) -> None:
    for sent, kept in (("abc-1", True), ("a b", False), ("x" * 65, False), ("", False)):
        response = await hub.viewer.get("/me", headers={"X-Request-Id": sent})
        assert (response.headers["x-request-id"] == sent) is kept
        assert response.headers["x-request-id"]


async def test_unknown_errors_are_500_without_text(hub: RunningApi) -> None:
    class Unforeseen(Exception):
        pass

    hub.link.script(await hub.station_id("cs"), Unforeseen("a secret inside"))
    with capture_logs() as lines:
        response = await hub.operator.post("/charging-stations/cs/reset", json={})
    document = problem_of(response, 500, "internal-error")
    assert "secret" not in json.dumps(document)
    assert [line["event"] for line in lines if line.get("exc_info")] == ["http_request_failed"]
    history = (await hub.viewer.get("/charging-stations/cs/commands")).json()
    assert history["items"][0]["outcome"] == "failed"
