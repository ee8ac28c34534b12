"""How a station gets in: statements 1-5, 13 and 15, each over a real socket."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from chargehub.kit.clock import wall_now
from chargehub.stations.store import charging_stations
from tests.hub_fixtures import (
    DEADLINE_S,
    PASSWORD,
    V16,
    V21,
    V201,
    VERSIONS,
    RunningHub,
    running_hub,
)

HEX_KEY = "00fF80C3289aBc41424344454647484950515253"  # Its bytes are no UTF-8.
PROTOCOL_ERROR = 1002
CLOSED = 0  # For no answer at all.


async def status_of(hub: RunningHub, identity: str, **how: Any) -> int:
    """Try to connect and return the HTTP status of the answer."""
    try:
        station = await hub.connect(identity, **how)
    except InvalidStatus as refused:
        return refused.response.status_code
    await station.leave()
    return 101


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "path",
    [
        "CS-UNKNOWN",
        "",
        "CS-KNOWN/more",
        "CS-KNOWN%00",
        "CS-KNOWN%FF",
        "CS-KNOWN%0A",
        "x" * 49,
        "x" * 4_000,
        "..",
    ],
)
async def test_statement_1_an_unknown_identity_is_404(
    hub: RunningHub, version: str, path: str
) -> None:
    assert await status_of(hub, "CS-KNOWN", version=version, path=path) == 404


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("CS-KNOWN/more?key=secret", "'/ocpp/CS-KNOWN/more'"),
        ("x" * 4_000, repr(f"/ocpp/{'x' * 94}...")),
        ("CS-KNOWN%0Aforged", "'/ocpp/CS-KNOWN%0Aforged'"),
    ],
)
async def test_a_path_that_names_no_station_leaves_a_log_line(
    hub: RunningHub, path: str, shown: str
) -> None:
    with capture_logs() as lines:
        assert await status_of(hub, "CS-KNOWN", path=path) == 404
    assert [(line["event"], line["path"]) for line in lines] == [("station_path_refused", shown)]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"password": None}, "no password, or none that can be read"),
        ({"headers": {"Authorization": "Bearer abc"}}, "no password, or none that can be read"),
        ({"password": "a-wrong-password"}, "wrong password"),
        ({"user": PASSWORD}, "another user name than the identity"),
    ],
)
async def test_a_refused_station_leaves_a_log_line_that_says_why(
    hub: RunningHub, how: dict[str, Any], why: str
) -> None:
    identity = await hub.new_station()
    with capture_logs() as lines:
        assert await status_of(hub, identity, **how) == 401
    (line,) = [line for line in lines if line["event"] == "station_refused"]
    assert line == {
        "event": "station_refused",
        "identity": identity,
        "why": why,
        "log_level": "warning",
    }


async def test_statement_1_another_path_is_404(hub: RunningHub) -> None:
    identity = await hub.new_station()
    outside = hub.addresses.ocpp_url
    hub.addresses = type(hub.addresses)(hub.addresses.api_url, outside.removesuffix("/ocpp"))
    try:
        assert await status_of(hub, identity) == 404
    finally:
        hub.addresses = type(hub.addresses)(hub.addresses.api_url, outside)


@pytest.mark.parametrize("offers", [["ocpp1.5"], ["ocpp2.2", "ocpp2.0"], ["mqtt", "OCPP2.1"]])
async def test_statement_2_only_unsupported_versions_are_101_and_closed(
    hub: RunningHub, offers: list[str]
) -> None:
    identity = await hub.new_station()
    station = await hub.connect(identity, offers=offers)
    assert station.socket.subprotocol is None
    assert await station.closed() == PROTOCOL_ERROR
    assert not hub.is_online(identity)
    assert await hub.count("station_connections", identity) == 0


async def test_statement_2_no_version_at_all_is_400(hub: RunningHub) -> None:
    assert await status_of(hub, await hub.new_station(), offers=[]) == 400


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        ([V16, V201], V16),
        ([V201, V16], V201),
        (["ocpp2.2", "ocpp2.0", V16, V201], V16),
        ([V21], V21),
        ([V201, V21, V16], V201),
        (["ocpp2.2", V21, V201, V16], V21),
        (["ocpp1.5", V201], V201),
    ],
)
async def test_statement_3_the_stations_first_version_that_we_speak_wins(
    hub: RunningHub, offers: list[str], chosen: str
) -> None:
    station = await hub.connect(await hub.new_station(), offers=offers)
    assert station.socket.subprotocol == chosen
    assert (await station.boot())["status"] == "Accepted"
    await station.leave()


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_3_a_version_in_the_url_decides_nothing(
    hub: RunningHub, version: str
) -> None:
    identity = await hub.new_station()
    station = await hub.connect(identity, version, path=f"{identity}?version=ocpp1.6")
    assert station.socket.subprotocol == version
    assert (await station.boot())["status"] == "Accepted"
    await station.leave()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("identity", "path"),
    [
        ("RDAM 123", "RDAM%20123"),
        ("a|b", "a%7Cb"),
        ("a|c", "a|c"),
        ("a/b", "a%2Fb"),
        ("a/c", "a%2fc"),
        ("plus+minus", "plus+minus"),
        ("plus+more", "plus%2Bmore"),
        ("per%20cent", "per%2520cent"),
        ("x" * 48, "x" * 48),
        ("衢州-01", "%E8%A1%A2%E5%B7%9E-01"),
        ("MixedCase", "mIXEDcASE"),
        ("star*_-.~@", "star*_-.~@"),
    ],
)
async def test_statement_4_the_identity_is_the_decoded_path(
    hub: RunningHub, version: str, identity: str, path: str
) -> None:
    if identity not in hub.station_ids:
        await hub.new_station(identity)
    station = await hub.connect(identity, version, path=path)
    await station.boot()
    assert hub.is_online(identity)
    await station.leave()


@pytest.mark.parametrize(
    ("identity", "path"),
    [
        ("once%41", "once%41"),
        ("twice", "%2574wice"),
        ("space left", "space+left"),
        ("colon:inside", "colon%3Ainside"),
    ],
)
async def test_statement_4_decoded_once_and_plus_is_plus(
    hub: RunningHub, identity: str, path: str
) -> None:
    await hub.new_station(identity)
    assert await status_of(hub, identity, path=path) == 404


async def test_statement_4_in_any_case_it_is_one_station(hub: RunningHub) -> None:
    identity = await hub.new_station("cs-case")
    first = await hub.connect(identity)
    second = await hub.connect(identity, path="CS-CASE", user="Cs-Case")
    await second.boot()
    assert await first.closed() is not None
    await second.leave()
    assert (
        await hub.value("SELECT count(*) FROM charging_stations WHERE identity ~* '^cs-case$'") == 1
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_statement_5_deflate_is_accepted_and_not_required(
    hub: RunningHub, version: str, compression: str | None
) -> None:
    station = await hub.connect(await hub.new_station(), version, compression=compression)
    await station.boot()
    names = [extension.name for extension in station.socket.protocol.extensions]
    assert names == ([] if compression is None else ["permessage-deflate"])
    long_text = "x" * 40 + " " * 2_000
    answer = await station.call("DataTransfer", {"vendorId": "made-up", "data": long_text})
    assert answer == {"status": "UnknownVendorId"}
    await station.leave()


async def test_statement_5_an_unknown_extension_is_no_reason_to_refuse(hub: RunningHub) -> None:
    class Unknown(ClientPerMessageDeflateFactory):
        name = "permessage-imaginary"  # type: ignore[assignment]  # A name that nobody knows.

    identity = await hub.new_station()
    assert await status_of(hub, identity, compression=None, extensions=[Unknown()]) == 101


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "how",
    [
        {"password": None},
        {"password": ""},
        {"password": "another-password-of-24-letters"},
        {"password": PASSWORD + " "},
        {"password": PASSWORD.upper()},
        {"user": "CS-SOMEBODY-ELSE"},
        {"user": ""},
        {"headers": {"Authorization": "Basic ?"}},
        {"headers": {"Authorization": "Basic"}},
        {"headers": {"Authorization": "Basic bm9jb2xvbg=="}},
        {"headers": {"Authorization": f"Bearer {PASSWORD}"}},
    ],
)
async def test_statement_13_wrong_credentials_are_401(
    hub: RunningHub, version: str, how: dict[str, Any]
) -> None:
    assert await status_of(hub, await hub.new_station(), version=version, **how) == 401


async def test_statement_13_anothers_credentials_are_401(hub: RunningHub) -> None:
    one = await hub.new_station(secret="the-password-of-station-one")
    other = await hub.new_station(secret="the-password-of-the-other-")
    foreign = {"user": other, "password": "the-password-of-the-other-"}
    assert await status_of(hub, one, **foreign) == 401
    assert await status_of(hub, one, user=one, password="the-password-of-the-other-") == 401
    assert await status_of(hub, other, **foreign) == 101


async def test_statement_13_the_password_begins_after_the_first_colon(hub: RunningHub) -> None:
    secret = "colons:are:part:of:the:password"
    assert await status_of(hub, await hub.new_station(secret=secret), password=secret) == 101


async def test_statement_13_a_station_without_credential_stays_outside(hub: RunningHub) -> None:
    identity = await hub.new_station(secret=None)
    assert await status_of(hub, identity) == 401
    assert await status_of(hub, identity, password=None) == 401


async def test_statement_13_a_decommissioned_station_is_unknown(hub: RunningHub) -> None:
    identity = await hub.new_station()
    async with hub.database.write() as connection:
        await connection.execute(
            charging_stations.update()
            .where(charging_stations.c.identity == identity)
            .values(decommissioned_at=wall_now())
        )
    assert await status_of(hub, identity) == 404


@pytest.mark.parametrize(
    "sent",
    [
        HEX_KEY,
        HEX_KEY.lower(),
        HEX_KEY.upper(),
        bytes.fromhex(HEX_KEY),
    ],
)
async def test_statement_15_a_hex_key_is_taken_as_bytes_and_as_text(
    hub: RunningHub, sent: str | bytes
) -> None:
    identity = await hub.new_station(secret=HEX_KEY)
    assert await status_of(hub, identity, password=sent) == 101


@pytest.mark.parametrize(
    "sent", [HEX_KEY[:-2], HEX_KEY + "00", bytes.fromhex(HEX_KEY)[:-1], b"\xff" * 20]
)
async def test_statement_15_another_hex_key_is_401(hub: RunningHub, sent: str | bytes) -> None:
    identity = await hub.new_station(secret=HEX_KEY)
    assert await status_of(hub, identity, password=sent) == 401


async def test_in_a_demo_an_unknown_station_registers_itself_with_its_password(
    database_url: str,
) -> None:
    async with running_hub(database_url, demo=True) as own:
        # Both at once: the identity stays one station.
        sockets = await asyncio.gather(
            *(own.connect(path, path=path, user="NEWCOMER") for path in ("NEWCOMER", "newcomer"))
        )
        assert await own.value("SELECT count(*) FROM charging_stations") == 1
        # With all that a station has which an operator commissions.
        (row,) = await own.rows(
            "SELECT commissioned_at, credential_rotated_at, registration, security_profile"
            " FROM charging_stations"
        )
        assert row.commissioned_at == row.credential_rotated_at
        assert (row.registration, row.security_profile) == ("Accepted", 1)
        guns = await own.rows(
            "SELECT e.gun_code, c.connector_no, c.standard FROM evses e"
            " JOIN connectors c USING (station_id, evse_no) ORDER BY e.evse_no"
        )
        wanted = [(f"NEWCOMER-{number}", 1, "GBT_DC") for number in (1, 2)]
        told = [(gun.gun_code.upper(), gun.connector_no, gun.standard) for gun in guns]
        assert told == wanted
        for station in sockets:
            await station.leave()
        assert await status_of(own, "NEWCOMER", password="not-the-one-it-came-with") == 401
        assert await status_of(own, "NEWCOMER", password=None) == 401
        again = await own.connect("NEWCOMER")
        assert (await again.boot())["status"] == "Accepted"
        await again.leave()


async def test_in_a_demo_no_station_registers_that_the_api_could_not_address(
    database_url: str,
) -> None:
    async with running_hub(database_url, demo=True) as own:
        for path in ("a%2Fb", "%C3%A9", "a%E2%80%AEb", ".."):
            assert await status_of(own, path, path=path) == 404
        spaced = await own.connect("RDAM 123")
        await spaced.leave()
        assert await own.value("SELECT min(identity) FROM charging_stations") == "RDAM 123"


async def raw_status(hub: RunningHub, head: bytes) -> int:
    """Send bytes that no WebSocket client would and return the HTTP status of the answer."""
    place = urlsplit(hub.addresses.ocpp_url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    async with asyncio.timeout(DEADLINE_S):
        writer.write(head)
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
    return int(line.split()[1]) if line else CLOSED


def request(path: bytes, *headers: bytes) -> bytes:
    upgrade = (
        b"Host: hub",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        b"Sec-WebSocket-Protocol: ocpp1.6",
    )
    return b"\r\n".join((b"GET " + path + b" HTTP/1.1", *upgrade, *headers, b"", b""))


@pytest.mark.parametrize(
    ("head", "status"),
    [
        # What is no HTTP at all gets no HTTP answer.
        (request(b"/ocpp/\xff\xfe"), CLOSED),
        (request(b"/ocpp/%ff%fe"), 404),
        (request(b"/ocpp/%zz"), 404),
        (request(b"/ocpp/" + b"%" * 40), 404),
        (request(b"/ocpp/%ed%a0%80"), 404),  # A lone surrogate.
        (request(b"/ocpp//"), 404),
        (request(b"//ocpp/CS-RAW"), 404),
        (request(b"http://hub/ocpp/CS-RAW"), 404),
        (request(b"*"), 404),
        (request(b"/ocpp/CS-RAW"), 401),
        # As stations make it that append "/identity" to a URL with a slash at its end.
        (request(b"/ocpp//CS-RAW"), 401),
        (request(b"/ocpp/CS-RAW/"), 401),
        (request(b"/ocpp/CS-RAW/more"), 404),
        (request(b"/ocpp/CS-RAW", b"Authorization: \xff\xfe"), 401),
        (request(b"/ocpp/CS-RAW", b"Authorization: Basic \xff"), 401),
        (request(b"/ocpp/CS-RAW", b"Authorization: Basic QQ==", b"Authorization: Basic QQ=="), 401),
        (b"GET /ocpp/CS-UNKNOWN HTTP/1.1\r\nHost: hub\r\n\r\n", 404),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", CLOSED),  # TLS.
        (request(b"/ocpp/" + b"x" * 100_000), 414),
    ],
    ids=lambda value: ascii(value)[:50],
)
async def test_no_handshake_is_too_odd_for_a_clear_answer(
    hub: RunningHub, head: bytes, status: int
) -> None:
    if "CS-RAW" not in hub.station_ids:
        await hub.new_station("CS-RAW")
    assert await raw_status(hub, head) == status
