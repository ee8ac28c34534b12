"""What the adapter takes for a gateway's answer, and what for silence."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from chargehub.bays.gateway import ANSWER_BYTES, HttpGateway, new_client
from chargehub.bays.ports import DeviceRefused, GatewaySilent, LockOrder
from chargehub.bays.rules import LockState, SensorState, Why
from chargehub.bays.signing import (
    NONCE_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    check_request,
    sign_answer,
)

KEY = b"k" * 32
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORDER = LockOrder(UUID(int=7), "LOCK 1", NOON)
STATE = {"device_id": "LOCK-1", "sequence": 5, "at": NOON.isoformat()}
Answer = Callable[[httpx.Request], httpx.Response]


def signed(
    status: int, content: Any, key: bytes = KEY, nonce: str | None = None, told: int | None = None
) -> Answer:
    """Return an answer as a gateway gives it; `told`: the status that it signs."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        used = nonce or request.headers[NONCE_HEADER]
        signature = sign_answer(key, told or status, used, body)
        return httpx.Response(status, content=body, headers={SIGNATURE_HEADER: signature})

    return answer


def gateway(answer: Answer, url: str = "http://gateway/base/") -> HttpGateway:
    client = new_client(transport=httpx.MockTransport(answer))
    return HttpGateway(client, url, KEY, lambda: NOON)


async def test_an_order_is_signed_and_says_until_when_it_counts() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return signed(202, {})(request)

    adapter = gateway(answer)
    await adapter.raise_lock(ORDER)
    await adapter.lower_lock(ORDER)
    first, second = asked
    assert first.url.raw_path == b"/base/v1/devices/LOCK%201/lock"
    assert json.loads(first.content) == {
        "request_id": str(ORDER.request_id),
        "action": "raise",
        "expires_at": "2026-11-23T12:00:00Z",
    }
    assert json.loads(second.content)["action"] == "lower"
    headers = first.headers
    check_request(
        *(KEY, "POST", first.url.raw_path.decode(), headers[TIMESTAMP_HEADER]),
        *(headers[NONCE_HEADER], first.content, headers[SIGNATURE_HEADER], NOON.timestamp()),
    )


async def test_a_device_says_what_it_says() -> None:
    told = STATE | {"lock": "raised", "sensor": "free", "battery_percent": 55, "more": 1}
    report = await gateway(signed(200, told)).read("LOCK-1")
    assert (report.lock, report.sensor, report.battery_percent) == (
        *(LockState.RAISED, SensorState.FREE),
        55,
    )
    assert (report.position.at, report.position.sequence) == (NOON, 5)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (signed(409, {"reason": "obstructed"}), Why.OBSTRUCTED),
        (signed(409, {"reason": "expired"}), Why.TOO_LATE),
        (signed(409, {"reason": "on strike"}), Why.DEVICE_REFUSED),
        (signed(409, b"no"), Why.DEVICE_REFUSED),
        (signed(404, {}), Why.UNKNOWN_DEVICE),
    ],
)
async def test_what_a_gateway_refuses_has_a_reason(answer: Answer, why: Why) -> None:
    adapter = gateway(answer)
    with pytest.raises(DeviceRefused) as ordered:
        await adapter.raise_lock(ORDER)
    with pytest.raises(DeviceRefused) as read:
        await adapter.read("LOCK-1")
    assert (ordered.value.why, read.value.why) == (why, why)


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def unsigned(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=STATE)


def endless(_request: httpx.Request) -> httpx.Response:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 4_096

    return httpx.Response(200, content=parts())


FREE = STATE | {"sensor": "free"}


@pytest.mark.parametrize(
    "answer",
    [
        unreachable,
        unsigned,
        endless,
        pytest.param(signed(200, FREE, key=b"another key, and a long one too!"), id="forged"),
        pytest.param(signed(200, FREE, nonce="0123456789abcdef"), id="to another request"),
        pytest.param(signed(200, FREE, told=409), id="another status"),
        pytest.param(signed(500, FREE), id="an error"),
        pytest.param(signed(202, FREE), id="taken, not told"),
        pytest.param(signed(200, FREE | {"device_id": "LOCK-2"}), id="another device"),
        pytest.param(signed(200, b"free"), id="no JSON"),
        pytest.param(signed(200, FREE | {"sequence": -1}), id="no count"),
        pytest.param(signed(200, FREE | {"at": "2026-11-23T12:00:00"}), id="no time zone"),
        pytest.param(signed(200, FREE | {"sensor": "perhaps"}), id="no state"),
        pytest.param(signed(200, FREE | {"battery_percent": 101}), id="no battery"),
        pytest.param(signed(200, b"{}" + b" " * ANSWER_BYTES), id="too long"),
    ],
)
async def test_what_cannot_be_believed_is_silence(answer: Answer) -> None:
    with pytest.raises(GatewaySilent):
        await gateway(answer).read("LOCK-1")


@pytest.mark.parametrize("answer", [unreachable, unsigned, signed(200, {}), signed(503, {})])
async def test_an_order_that_was_not_taken_for_sure_is_sent_again(answer: Answer) -> None:
    with pytest.raises(GatewaySilent):
        await gateway(answer).lower_lock(ORDER)


async def test_a_wrong_address_is_silence_too() -> None:
    with pytest.raises(GatewaySilent):
        await gateway(unsigned, "http://gateway:port").read("LOCK-1")
