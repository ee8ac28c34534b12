"""The TLS listener before any WebSocket: statement 11, and handshakes that never end."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from websockets.exceptions import InvalidMessage

from chargehub.demo.certificates import HOSTS
from chargehub.gateway.tls import build_context, tls_options
from chargehub.kit.clock import wall_now
from tests.hub_fixtures import DEADLINE_S, V201, VERSIONS, RunningHub, eventually, running_hub
from tests.tls_world import TlsWorld, allow_version

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
HANDSHAKE_TIMEOUT_S = 2.0
HANDSHAKES_MAX = 20
BROKEN = (ssl.SSLError, OSError, InvalidMessage, EOFError)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TlsWorld:
    return TlsWorld.create(tmp_path_factory.mktemp("tls"))


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str, world: TlsWorld) -> AsyncIterator[RunningHub]:
    async with running_hub(
        module_database_url,
        tls=world.settings(),
        handshake_timeout_s=HANDSHAKE_TIMEOUT_S,
        max_handshakes=HANDSHAKES_MAX,
    ) as running:
        yield running


async def agreed(hub: RunningHub, context: ssl.SSLContext) -> tuple[str, str]:
    """Serve a station over TLS; return protocol version and cipher suite."""
    identity = await hub.new_station()
    station = await hub.connect(identity, tls=context)
    await station.boot()
    found: ssl.SSLObject = station.socket.transport.get_extra_info("ssl_object")
    cipher = found.cipher()
    assert cipher is not None
    assert found.compression() is None
    version = str(found.version())
    await station.leave()
    told = await hub.value(
        "SELECT tls FROM station_connections WHERE station_id = :id", id=hub.station_ids[identity]
    )
    assert told == f"{version} {cipher[0]}"
    return version, cipher[0]


@pytest.mark.parametrize(
    "suite",
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
    ],
)
async def test_statement_11_every_mandatory_suite_is_served(
    hub: RunningHub, world: TlsWorld, suite: str
) -> None:
    # A00.FR.318/421; the suite chooses the kind of certificate too.
    assert await agreed(hub, world.client(ciphers=suite, version=TLS12)) == ("TLSv1.2", suite)


async def test_statement_11_tls_1_3_is_served(hub: RunningHub, world: TlsWorld) -> None:
    version, suite = await agreed(hub, world.client(version=TLS13))
    assert (version, suite[:4]) == ("TLSv1.3", "TLS_")


async def test_statement_11_forward_secrecy_wins_over_the_stations_wish(
    hub: RunningHub, world: TlsWorld
) -> None:
    wish = "AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"
    _, suite = await agreed(hub, world.client(ciphers=wish, version=TLS12))
    assert suite == "ECDHE-RSA-AES128-GCM-SHA256"


async def test_statement_11_a00_fr_321_compression_is_off(hub: RunningHub) -> None:
    # This machine's OpenSSL may not know how to compress; others do.
    door = hub.hub.listener._door  # noqa: SLF001  As below.
    assert door is not None
    assert door.context.options & ssl.OP_NO_COMPRESSION


def test_statement_11_no_compression_renegotiation_or_ticket(world: TlsWorld) -> None:
    """A00.FR.321 forbids compression; whatever this machine's OpenSSL would do by itself."""
    tls = world.settings()
    options = tls_options(tls.host, tls.port, tls.chains, tls.client_ca)
    assert options is not None
    context = build_context(options)
    for option in (ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_TICKET):
        assert context.options & option
    assert context.num_tickets == 0


@pytest.mark.parametrize("version", [TLS12, TLS13])
async def test_statement_11_nobody_gets_a_session_ticket(
    hub: RunningHub, world: TlsWorld, version: ssl.TLSVersion
) -> None:
    place = urlsplit(hub.addresses.ocpp_tls_url or "")
    assert place.hostname is not None
    assert place.port is not None
    context = world.client(version=version)

    def has_ticket() -> bool:
        with (
            socket.create_connection((place.hostname, place.port), DEADLINE_S) as tcp,
            context.wrap_socket(tcp, server_hostname="localhost") as spoken,
        ):
            spoken.sendall(PLAIN_HTTP)
            spoken.recv(1_000)  # Tickets of TLS 1.3 come with the first data.
            return spoken.session is not None and spoken.session.has_ticket

    assert not await asyncio.to_thread(has_ticket)


async def presented_key(hub: RunningHub, context: ssl.SSLContext) -> str:
    place = urlsplit(hub.addresses.ocpp_tls_url or "")
    _, writer = await asyncio.open_connection(place.hostname, place.port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    key = x509.load_der_x509_certificate(der).public_key()
    return "RSA" if isinstance(key, rsa.RSAPublicKey) else "ECDSA"


@pytest.mark.parametrize(
    ("suites", "kind"),
    [
        ("AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", "RSA"),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDSA"),
    ],
)
async def test_statement_11_each_station_gets_the_certificate_it_can_check(
    hub: RunningHub, world: TlsWorld, suites: str, kind: str
) -> None:
    assert await presented_key(hub, world.client(ciphers=suites, version=TLS12)) == kind


def old_client(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        allow_version(context, version)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_statement_11_older_versions_are_refused(
    hub: RunningHub, version: ssl.TLSVersion
) -> None:
    with capture_logs() as lines, pytest.raises(BROKEN):
        await hub.connect(await hub.new_station(), tls=old_client(version))
    await eventually(lambda: any(line["event"] == "tls_refused" for line in lines))
    [line] = [line for line in lines if line["event"] == "tls_refused"]
    assert line["why"] == "unsupported protocol"


SSL3_HELLO = (
    bytes.fromhex("160300002d" + "01000029" + "0300") + b"r" * 32 + bytes.fromhex("000002002f0100")
)


PLAIN_HTTP = b"GET /ocpp/CS-1 HTTP/1.1\r\nHost: hub\r\n\r\n"


async def raw(hub: RunningHub, data: bytes) -> bytes:
    """Send bytes to the TLS port; return all that comes back until it is closed."""
    place = urlsplit(hub.addresses.ocpp_tls_url or "")
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    async with asyncio.timeout(DEADLINE_S):
        writer.write(data)
        answer = await until_closed(reader)
        writer.close()
    return answer


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "data",
    [
        SSL3_HELLO,
        b"GET /ocpp/CS-1 HTTP/1.1\r\nHost: hub\r\n\r\n",
        b"\x00" * 100,
        b"\x16\x03\x01\xff",
    ],
    ids=["SSL 3", "plain HTTP", "zeros", "half a record"],
)
async def test_statement_11_what_is_no_tls_is_closed(
    hub: RunningHub, world: TlsWorld, data: bytes
) -> None:
    answer = await raw(hub, data)
    # At most an alert (record type 21); never a handshake, never HTTP.
    assert answer == b"" or answer[0] == 21
    assert (await agreed(hub, world.client()))[0] == "TLSv1.3"


@pytest.mark.parametrize(
    "suites",
    ["ECDHE-RSA-AES128-SHA256", "AES128-SHA", "DHE-RSA-AES128-GCM-SHA256", "NULL-SHA256"],
)
async def test_statement_11_weaker_suites_are_refused(
    hub: RunningHub, world: TlsWorld, suites: str
) -> None:
    context = world.client(ciphers=f"{suites}:@SECLEVEL=0", version=TLS12)
    with pytest.raises(BROKEN):
        await hub.connect(await hub.new_station(), tls=context)


async def test_a_station_that_does_not_trust_our_authority_stays_away(
    hub: RunningHub, world: TlsWorld
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await hub.connect(await hub.new_station(), tls=world.client(trust=world.stranger))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_over_tls_speaks_as_over_a_plain_socket(
    hub: RunningHub, world: TlsWorld, version: str
) -> None:
    async with hub.station(version, tls=world.client()) as station:
        long_text = "x" * 100_000
        for _ in range(3):
            answer = await station.call("DataTransfer", {"vendorId": "made-up", "data": long_text})
            assert answer == {"status": "UnknownVendorId"}
        assert hub.is_online(station.identity)


def handshakes(outcome: str) -> float:
    name = "chargehub_ocpp_tls_handshakes_total"
    return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0.0


async def test_a_client_that_never_speaks_tls_is_dropped_and_counted(
    hub: RunningHub, world: TlsWorld
) -> None:
    place = urlsplit(hub.addresses.ocpp_tls_url or "")
    failed, busy = handshakes("failed"), handshakes("busy")
    mute = [
        await asyncio.open_connection(place.hostname, place.port) for _ in range(HANDSHAKES_MAX)
    ]
    door = hub.hub.listener._door  # noqa: SLF001  How many wait is shown nowhere else.
    assert door is not None
    await eventually(lambda: door.knocking == HANDSHAKES_MAX)
    # The house is full: one more is turned away at once.
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    async with asyncio.timeout(HANDSHAKE_TIMEOUT_S / 2):
        assert await until_closed(reader) == b""
    writer.close()
    assert handshakes("busy") == busy + 1
    # After the time-out they are gone, and there is room again.
    async with asyncio.timeout(DEADLINE_S):
        for reader, writer in mute:
            assert await until_closed(reader) == b""
            writer.close()
    await eventually(lambda: door.knocking == 0)
    assert handshakes("failed") == failed + HANDSHAKES_MAX
    assert (await agreed(hub, world.client()))[0] == "TLSv1.3"


async def test_failing_handshakes_cost_other_stations_nothing(
    hub: RunningHub, world: TlsWorld
) -> None:
    async with hub.station(V201, tls=world.client()) as station:
        knocking = [asyncio.create_task(raw(hub, b"\x16\x03\x01\xff")) for _ in range(10)]
        knocking += [asyncio.create_task(raw(hub, b"no TLS at all")) for _ in range(10)]
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S / 2):
            for _ in range(20):
                assert "currentTime" in await station.call("Heartbeat", {})
        await asyncio.gather(*knocking)


async def test_certificates_are_read_anew_and_broken_ones_change_nothing(
    database_url: str, world: TlsWorld, tmp_path: Path
) -> None:
    shutil.copytree(world.place, tmp_path, dirs_exist_ok=True)
    own = TlsWorld(tmp_path, world.authority, world.stranger)
    async with (
        running_hub(database_url, tls=own.settings()) as hub,
        hub.station(tls=own.client()) as station,
    ):
        for name in ("rsa", "ecdsa"):
            pem = own.stranger.issue_server(HOSTS, wall_now(), use_rsa=name == "rsa")
            pem.write(tmp_path, name)
        await hub.hub.read_certificates_anew()
        # Who is in stays in; who comes sees the new ones.
        assert "currentTime" in await station.call("Heartbeat", {})
        with pytest.raises(ssl.SSLCertVerificationError):
            await hub.connect(station.identity, tls=own.client())
        (tmp_path / "rsa.pem").write_text("no certificate")
        with capture_logs() as lines:
            await hub.hub.read_certificates_anew()
        assert lines[-1]["event"] == "certificates_unusable"
        again = await hub.connect(station.identity, tls=own.client(trust=own.stranger))
        await again.leave()


def test_the_event_loop_of_production_serves_tls_alike(database_url: str, world: TlsWorld) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_many(database_url, world))


async def serve_many(database_url: str, world: TlsWorld) -> None:
    async with running_hub(
        database_url, tls=world.settings(), handshake_timeout_s=HANDSHAKE_TIMEOUT_S
    ) as hub:
        contexts = [world.client(version=version) for version in (TLS12, TLS13)]
        mute = asyncio.create_task(raw(hub, b""))
        await asyncio.gather(*(exchange(hub, contexts[number % 2]) for number in range(40)))
        for data in (SSL3_HELLO, PLAIN_HTTP, b"\x16\x03\x01\xff"):
            answer = await raw(hub, data)
            assert answer == b"" or answer[0] == 21
        assert await mute == b""
        await hub.hub.read_certificates_anew()
        await exchange(hub, contexts[0])


async def exchange(hub: RunningHub, context: ssl.SSLContext) -> None:
    async with hub.station(tls=context) as station:
        for size in (1, 1_000, 100_000):
            payload = {"vendorId": "made-up", "data": "x" * size}
            assert await station.call("DataTransfer", payload) == {"status": "UnknownVendorId"}
