"""By which security profile a station comes in, and never by a lower one: statements 12, 14, 18."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from chargehub.demo.certificates import HOSTS, Pem
from chargehub.kit.clock import ClockPair, HubClock, wall_now
from chargehub.kit.events import EventBus
from chargehub.settings import station_key
from chargehub.stations.commands import InvalidCommand, RawCommand
from chargehub.stations.commissioning import Commissioning
from chargehub.stations.entry import SecurityProfileLowered, SerialNumberNeeded
from chargehub.stations.fence import lock_fence
from chargehub.stations.store import charging_stations
from tests.fakes.station_link import FakeStationLink
from tests.hub_fixtures import (
    BOOTS,
    PASSWORD,
    V2X,
    V16,
    V201,
    VERSIONS,
    RunningHub,
    running_hub,
    with_2_1,
)
from tests.tls_world import TlsWorld

POLICY_VIOLATION = 1008
SERIAL = "DC120-0042"
SERVED, BROKEN = 101, 0
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TlsWorld:
    return TlsWorld.create(tmp_path_factory.mktemp("tls"))


@pytest_asyncio.fixture(scope="module")
async def hub(module_database_url: str, world: TlsWorld) -> AsyncIterator[RunningHub]:
    async with running_hub(module_database_url, tls=world.settings()) as running:
        yield running


@pytest_asyncio.fixture(autouse=True)
async def _free_serial_numbers(hub: RunningHub) -> None:
    """What the tests before bound their stations to is for this one's."""
    async with hub.database.write() as connection:
        await connection.execute(charging_stations.update().values(bound_serial_number=None))


async def outcome(hub: RunningHub, identity: str, version: str = V16, **how: Any) -> int:
    """Try to connect and to boot; return the HTTP status, or BROKEN where TLS itself failed."""
    try:
        station = await hub.connect(identity, version, **how)
    except InvalidStatus as refused:
        return refused.response.status_code
    except (OSError, InvalidMessage, ConnectionClosed, EOFError):
        return BROKEN
    await station.boot()
    await station.leave()
    return SERVED


async def profiles(hub: RunningHub, identity: str) -> tuple[int, int]:
    """Return the least profile of a station, and that of its newest connection."""
    query = (
        "SELECT s.security_profile AS least, c.security_profile AS newest FROM charging_stations s"
        " JOIN station_connections c ON c.station_id = s.id WHERE s.id = :id"
    )
    [row] = await hub.rows(query, id=hub.station_ids[identity])
    return row.least, row.newest


@pytest.mark.parametrize("use_rsa", [False, True], ids=["ECDSA", "RSA"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_statement_12_a_certificate_of_its_own_lets_a_station_in(
    hub: RunningHub, world: TlsWorld, version: ssl.TLSVersion, use_rsa: bool
) -> None:
    identity = await hub.new_station(bound_serial_number=SERIAL)
    client = world.client(world.station(SERIAL, use_rsa=use_rsa), version=version)
    station = await hub.connect(identity, password=None, tls=client)
    assert (await station.boot())["status"] == "Accepted"
    await station.leave()
    assert await profiles(hub, identity) == (3, 3)


CERTIFICATES: dict[str, tuple[Callable[[TlsWorld], Pem | None], int, str]] = {
    "none": (lambda _: None, 401, "no password, or none that can be read"),
    "another CN": (
        lambda world: world.station("DC120-0043"),
        403,
        "the certificate's CN is not the station's serial number",
    ),
    "a longer CN": (
        lambda world: world.station(SERIAL + "0"),
        403,
        "the certificate's CN is not the station's serial number",
    ),
    "another O": (
        lambda world: world.station(SERIAL, organisation="Another Operator"),
        403,
        "the certificate's O is not the operator",
    ),
    "a longer O": (
        lambda world: world.station(SERIAL, organisation="Quzhou Taxi Charging Two"),
        403,
        "the certificate's O is not the operator",
    ),
}


@pytest.mark.parametrize("case", CERTIFICATES)
async def test_statement_12_a_certificate_that_is_not_the_stations_is_refused(
    hub: RunningHub, world: TlsWorld, case: str
) -> None:
    make, status, why = CERTIFICATES[case]
    identity = await hub.new_station(bound_serial_number=SERIAL)
    with capture_logs() as lines:
        client = world.client(make(world))
        assert await outcome(hub, identity, password=None, tls=client) == status
    assert [line["why"] for line in lines if line["event"] == "station_refused"] == [why]
    assert await hub.count("station_connections", identity) == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    "make",
    [
        lambda world: world.station(SERIAL, issuer=world.stranger),
        lambda world: world.expired_station(SERIAL),
        lambda world: world.authority.issue_server(HOSTS, wall_now(), use_rsa=False),
    ],
    ids=["of an unknown CA", "expired", "a server's"],
)
async def test_statement_12_a_certificate_that_proves_nothing_ends_the_tls_handshake(
    hub: RunningHub, world: TlsWorld, make: Callable[[TlsWorld], Pem], version: ssl.TLSVersion
) -> None:
    identity = await hub.new_station(bound_serial_number=SERIAL)
    client = world.client(make(world), version=version)
    # Not even the right password helps: A00.FR.407.
    assert await outcome(hub, identity, tls=client) == BROKEN


async def test_statement_12_a_station_without_recorded_serial_number_needs_its_password(
    hub: RunningHub, world: TlsWorld
) -> None:
    identity = await hub.new_station()
    client = world.client(world.station(SERIAL))
    assert await outcome(hub, identity, password=None, tls=client) == 403
    assert await outcome(hub, identity, tls=client) == SERVED
    assert await profiles(hub, identity) == (2, 2)


async def test_statement_12_without_an_authority_no_certificate_counts(
    database_url: str, world: TlsWorld
) -> None:
    settings = world.settings().model_copy(update={"client_ca": None})
    async with running_hub(database_url, tls=settings) as own:
        identity = await own.new_station(bound_serial_number=SERIAL)
        client = world.client(world.station(SERIAL))
        assert await outcome(own, identity, password=None, tls=client) == 401


def boot_of(version: str, serial_number: str | None) -> dict[str, Any]:
    boot = dict(BOOTS[version])
    if serial_number is None:
        return boot
    if version == V16:
        return boot | {"chargePointSerialNumber": serial_number}
    return boot | {"chargingStation": boot["chargingStation"] | {"serialNumber": serial_number}}


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_12_a_boot_with_another_serial_number_closes_the_socket(
    hub: RunningHub, world: TlsWorld, version: str
) -> None:
    # B01.FR.11/12
    identity = await hub.new_station(bound_serial_number=SERIAL, has_booted=False)
    client = world.client(world.station(SERIAL))
    station = await hub.connect(identity, version, password=None, tls=client)
    await station.send([2, "boot", "BootNotification", boot_of(version, "DC120-0043")])
    assert await station.closed() == POLICY_VIOLATION
    assert not station.inbox
    [notice] = await hub.rows(
        "SELECT kind, flagged, payload FROM station_notices WHERE station_id = :id",
        id=hub.station_ids[identity],
    )
    assert (notice.kind, notice.flagged) == ("SecurityEventNotification", True)
    assert notice.payload["type"] == "InvalidChargingStationCertificate"
    # Nothing that it said is believed.
    booted = "SELECT booted_at IS NULL AND serial_number IS NULL FROM charging_stations WHERE id=:i"
    assert await hub.value(booted, i=hub.station_ids[identity])


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_18_only_an_accepted_boot_raises_the_least_profile(
    hub: RunningHub, world: TlsWorld, version: str
) -> None:
    identity = await hub.new_station(bound_serial_number=SERIAL)
    client = world.client(world.station(SERIAL))
    by_mistake = await hub.connect(identity, version, password=None, tls=client)
    assert await profiles(hub, identity) == (1, 3)
    await by_mistake.send([2, "boot", "BootNotification", boot_of(version, "DC120-0043")])
    assert await by_mistake.closed() == POLICY_VIOLATION
    # Whoever was refused has proved nothing: the station's own password still opens.
    assert await outcome(hub, identity, version) == SERVED
    assert await profiles(hub, identity) == (1, 1)
    assert await outcome(hub, identity, version, password=None, tls=client) == SERVED
    assert await profiles(hub, identity) == (3, 3)
    assert await outcome(hub, identity, version) == 403


async def test_statement_18_a_boot_that_is_put_off_raises_nothing(
    hub: RunningHub, world: TlsWorld
) -> None:
    identity = await hub.new_station(registration="Pending")
    assert await outcome(hub, identity, tls=world.client()) == SERVED
    assert await outcome(hub, identity) == SERVED
    await commissioning(hub).change(identity, {"registration": "Accepted"}, actor="test")
    assert await outcome(hub, identity, tls=world.client()) == SERVED
    assert await outcome(hub, identity) == 403


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("serial_number", [SERIAL, None], ids=["the same", "none"])
async def test_statement_12_a_boot_that_contradicts_nothing_is_answered(
    hub: RunningHub, world: TlsWorld, version: str, serial_number: str | None
) -> None:
    identity = await hub.new_station(bound_serial_number=SERIAL)
    client = world.client(world.station(SERIAL))
    station = await hub.connect(identity, version, password=None, tls=client)
    answer = await station.call("BootNotification", boot_of(version, serial_number))
    assert answer["status"] == "Accepted"
    await station.leave()


async def test_statement_12_the_serial_number_binds_certificates_only(
    hub: RunningHub, world: TlsWorld
) -> None:
    identity = await hub.new_station(bound_serial_number=SERIAL)
    station = await hub.connect(identity, tls=world.client())
    answer = await station.call("BootNotification", boot_of(V16, "another"))
    assert answer["status"] == "Accepted"
    await station.leave()


@pytest.mark.parametrize("over_tls", [False, True])
async def test_statement_13_wrong_credentials_are_401_over_tls_too(
    hub: RunningHub, world: TlsWorld, over_tls: bool
) -> None:
    identity = await hub.new_station()
    tls = world.client() if over_tls else None
    assert await outcome(hub, identity, password="another-password", tls=tls) == 401
    assert await outcome(hub, identity, password=None, tls=tls) == 401
    assert await outcome(hub, identity, user="CS-SOMEBODY-ELSE", tls=tls) == 401
    assert await outcome(hub, identity, tls=tls) == SERVED


@pytest.mark.parametrize("version", V2X)
@pytest.mark.parametrize(
    "password",
    ["x" * 16, "y" * 40, "z" * 64, "colons:in:a:password", "密码密码密码密码密码密码密码密码"],
    ids=["16", "40", "64", "colons", "beyond ASCII"],
)
async def test_statement_14_a_password_is_compared_as_bytes(
    hub: RunningHub, world: TlsWorld, version: str, password: str
) -> None:
    identity = await hub.new_station(secret=password)
    assert await outcome(hub, identity, version, password=password, tls=world.client()) == SERVED
    for wrong in (password[:-1] + "!", password + "!", password[:-1]):
        assert await outcome(hub, identity, version, password=wrong, tls=world.client()) == 401


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_18_less_than_is_set_is_refused(
    hub: RunningHub, world: TlsWorld, version: str
) -> None:
    identity = await hub.new_station(security_profile=2, bound_serial_number=SERIAL)
    with capture_logs() as lines:
        assert await outcome(hub, identity, version) == 403
    assert [line["why"] for line in lines if line["event"] == "station_refused"] == [
        "security profile 1, at least 2 needed"
    ]
    assert await outcome(hub, identity, version, tls=world.client()) == SERVED
    client = world.client(world.station(SERIAL))
    assert await outcome(hub, identity, version, password=None, tls=client) == SERVED


async def test_statement_18_once_booted_on_a_higher_profile_there_is_no_way_back(
    database_url: str, world: TlsWorld
) -> None:
    # A05.FR.07, WP A05.FR.09
    async with running_hub(database_url, tls=world.settings()) as hub:
        identity = await hub.new_station(bound_serial_number=SERIAL)
        assert await outcome(hub, identity) == SERVED
        assert await outcome(hub, identity, tls=world.client()) == SERVED
        assert await outcome(hub, identity) == 403
        client = world.client(world.station(SERIAL))
        # Its certificate goes first where it comes with both.
        assert await outcome(hub, identity, tls=client) == SERVED
        assert await outcome(hub, identity, tls=world.client()) == 403
        await hub.restart()
        assert await outcome(hub, identity) == 403
        assert await outcome(hub, identity, tls=world.client()) == 403
        assert await outcome(hub, identity, password=None, tls=client) == SERVED
        told = await hub.rows(
            "SELECT facts FROM audit_entries WHERE action = 'station.security_profile_used'"
            " AND subject = :identity ORDER BY id",
            identity=identity,
        )
        steps = [(row.facts["before"], row.facts["profile"]) for row in told]
        assert steps == [(None, 1), (1, 2), (2, 3)]


async def test_profile_0_only_where_a_station_is_allowed_it(hub: RunningHub) -> None:
    identity = await hub.new_station(security_profile=0)
    assert await outcome(hub, identity, password=None) == SERVED
    assert await profiles(hub, identity) == (0, 0)
    assert await outcome(hub, identity, password="a-wrong-password") == 401
    # Once it knows its password, it needs it.
    assert await outcome(hub, identity) == SERVED
    assert await outcome(hub, identity, password=None) == 401
    assert await profiles(hub, identity) == (1, 1)


NETWORK = {
    "ocppVersion": "OCPP20",
    "ocppTransport": "JSON",
    "ocppCsmsUrl": "wss://hub.example/",
    "messageTimeout": 30,
    "ocppInterface": "Wired0",
}


def network(profile: int) -> RawCommand:
    data = {"configurationSlot": 1, "connectionData": NETWORK | {"securityProfile": profile}}
    return RawCommand("SetNetworkProfile", data)


def variable(component: str, value: str) -> RawCommand:
    item = {
        "component": {"name": component},
        "variable": {"name": "SecurityProfile"},
        "attributeValue": value,
    }
    return RawCommand("SetVariables", {"setVariableData": [item]})


def key(value: str) -> RawCommand:
    return RawCommand("ChangeConfiguration", {"key": "SecurityProfile", "value": value})


@pytest.mark.parametrize(
    ("version", "lower", "same"),
    with_2_1(
        [
            (V16, key("1"), key("2")),
            (V16, key("0"), key("3")),
            (V201, network(1), network(2)),
            (V201, variable("SecurityCtrlr", "1"), variable("SecurityCtrlr", "2")),
            (V201, variable("NetworkConfiguration", "0"), variable("NetworkConfiguration", "3")),
        ]
    ),
)
async def test_statement_18_we_never_tell_a_station_to_go_lower(
    hub: RunningHub, world: TlsWorld, version: str, lower: RawCommand, same: RawCommand
) -> None:
    async with hub.station(version, tls=world.client()) as station:
        with pytest.raises(InvalidCommand, match="may not fall below 2"):
            await hub.send(station.identity, lower)
        sending = hub.send(station.identity, same)
        call = await station.asked()
        assert call[2:] == [same.action, same.payload]
        await station.reply(call, {"status": "Accepted"})
        await sending


@pytest.mark.parametrize(
    ("change", "bound"),
    [({"security_profile": 3}, SERIAL), ({"bound_serial_number": "another"}, SERIAL)],
    ids=["raised", "bound anew"],
)
async def test_admitted_before_and_connected_after_a_change_of_entry_is_not_served(
    hub: RunningHub, world: TlsWorld, change: dict[str, Any], bound: str
) -> None:
    identity = await hub.new_station(bound_serial_number=bound)
    by_certificate = "bound_serial_number" in change
    tls = world.client(world.station(SERIAL) if by_certificate else None)
    password = None if by_certificate else PASSWORD
    async with hub.database.write() as connection:
        await lock_fence(connection)
        arriving = asyncio.create_task(hub.connect(identity, tls=tls, password=password))
        await hub.until(WAITING, 1)
        await connection.execute(
            charging_stations.update()
            .where(charging_stations.c.identity == identity)
            .values(change)
        )
    station = await arriving
    assert await station.closed() == POLICY_VIOLATION
    assert await hub.count("station_connections", identity) == 0


def commissioning(hub: RunningHub) -> Commissioning:
    clock = HubClock(ClockPair(0, 0, 1))
    link = hub.hub.connections
    return Commissioning(hub.database, clock, station_key(hub.settings), EventBus(), link)


async def test_a_higher_profile_parts_a_station_that_is_here_by_a_lower_one(
    hub: RunningHub, world: TlsWorld
) -> None:
    identity = await hub.new_station()
    plain = await hub.connect(identity)
    await commissioning(hub).change(identity, {"security_profile": 2}, actor="test")
    assert await plain.closed() is not None
    over_tls = await hub.connect(identity, tls=world.client())
    await commissioning(hub).change(
        identity, {"security_profile": 2, "name": "A1", "bound_serial_number": SERIAL}, actor="test"
    )
    await over_tls.boot()
    await over_tls.leave()


async def test_another_serial_number_parts_a_station_that_is_here_by_certificate(
    hub: RunningHub, world: TlsWorld
) -> None:
    identity = await hub.new_station(bound_serial_number=SERIAL)
    client = world.client(world.station(SERIAL))
    station = await hub.connect(identity, password=None, tls=client)
    await commissioning(hub).change(identity, {"bound_serial_number": "X-1"}, actor="test")
    assert await station.closed() is not None
    assert await outcome(hub, identity, password=None, tls=client) == 403


async def test_statement_18_the_operator_raises_and_never_lowers(hub: RunningHub) -> None:
    identity = await hub.new_station(security_profile=2)
    clock = HubClock(ClockPair(0, 0, 1))
    desk = Commissioning(
        hub.database, clock, station_key(hub.settings), EventBus(), FakeStationLink()
    )
    with pytest.raises(SecurityProfileLowered):
        await desk.change(identity, {"security_profile": 1}, actor="test")
    with pytest.raises(SerialNumberNeeded):
        await desk.change(identity, {"security_profile": 3}, actor="test")
    both = {"security_profile": 3, "bound_serial_number": SERIAL}
    await desk.change(identity, both, actor="test")
    # The device that takes its place has no certificate yet; on purpose it may begin anew.
    await desk.replace(identity, new_identity=identity, actor="test")
    query = (
        "SELECT security_profile FROM charging_stations"
        " WHERE identity = :identity AND decommissioned_at IS NULL"
    )
    assert await hub.value(query, identity=identity) == 2
    await desk.replace(identity, new_identity=identity, actor="test", security_profile=1)
    assert await hub.value(query, identity=identity) == 1
