"""A password changed over OCPP: which of the two opens the door, and since when (statement 16)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from chargehub.kit.clock import ClockPair, HubClock
from chargehub.kit.errors import ChargeHubError
from chargehub.kit.events import EventBus
from chargehub.settings import station_key
from chargehub.stations.commands import StationAnswerError, StationLink, UnsupportedByStation
from chargehub.stations.commissioning import Commissioning
from chargehub.stations.credential_change import (
    CredentialChange,
    CredentialChanged,
    CredentialChangePending,
    ValidCredentials,
)
from chargehub.stations.credentials import hash_credential
from chargehub.stations.dispatch import CommandDesk
from tests.fakes.station_link import FakeStationLink
from tests.hub_fixtures import (
    BOOTS,
    PASSWORD,
    V2X,
    V16,
    V201,
    VERSIONS,
    Frame,
    RunningHub,
    Station,
    status,
    with_2_1,
)

NEW, OLD, BOTH, ANOTHER = ValidCredentials
POLICY_VIOLATION = 1008


DESKS: list[CommandDesk] = []


@pytest_asyncio.fixture(scope="module", autouse=True)
async def _desks_stop() -> AsyncIterator[None]:
    """What could not be stored is insisted on for as long as a desk is there."""
    yield
    for desk in DESKS:
        await desk.stop()
    DESKS.clear()


def service(hub: RunningHub, link: StationLink | None = None) -> CredentialChange:
    clock = HubClock(ClockPair(0, 0, 1))
    desk = CommandDesk(hub.database, link or hub.hub.connections, clock)
    DESKS.append(desk)
    return CredentialChange(hub.database, clock, station_key(hub.settings), EventBus(), desk)


async def begin(
    hub: RunningHub, station: Station
) -> tuple[asyncio.Task[CredentialChanged], Frame, str]:
    """Ask for a change; return it under way, the call that the station got, the new password."""
    changing = asyncio.create_task(service(hub).change(station.identity, actor="test"))
    call = await station.asked()
    if station.version == V16:
        assert call[2:] == ["ChangeConfiguration", {"key": "AuthorizationKey"} | call[3]]
        return changing, call, call[3]["value"]
    [item] = call[3]["setVariableData"]
    assert (call[2], item["component"]) == ("SetVariables", {"name": "SecurityCtrlr"})
    assert item["variable"] == {"name": "BasicAuthPassword"}
    return changing, call, item["attributeValue"]


def answer(version: str, call: Frame, word: str) -> dict[str, Any]:
    if version == V16:
        return {"status": word}
    item = dict(call[3]["setVariableData"][0])
    item.pop("attributeValue")
    return {"setVariableResult": [item | {"attributeStatus": word}]}


async def opens(hub: RunningHub, station: Station, password: str | bytes) -> bool:
    try:
        opened = await hub.connect(station.identity, station.version, password=password)
    except InvalidStatus:
        return False
    await opened.leave()
    return True


async def pending(hub: RunningHub, station: Station) -> int:
    return await hub.count("credential_changes", station.identity)


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_16_after_accepted_only_the_new_one_works(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station:
        changing, call, fresh = await begin(hub, station)
        await station.reply(call, answer(version, call, "Accepted"))
        done = await changing
        assert (done.status, done.valid) == ("Accepted", NEW)
        # The socket that brought the answer stays.
        assert await station.call("Heartbeat", {})
        assert not await opens(hub, station, PASSWORD)
        assert await opens(hub, station, fresh)
        assert await pending(hub, station) == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_15_the_new_one_fits_the_versions_rules(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station:
        changing, call, fresh = await begin(hub, station)
        await station.reply(call, answer(version, call, "Accepted"))
        await changing
        assert len(fresh) == 40
        # Set as hex, sent as bytes; or as the text that it is, which is what 2.x does.
        for spelling in (bytes.fromhex(fresh), fresh, fresh.upper()):
            assert await opens(hub, station, spelling)


REFUSED = with_2_1(
    [(V16, "Rejected"), (V16, "NotSupported"), (V201, "Rejected"), (V201, "UnknownVariable")]
)


@pytest.mark.parametrize(("version", "word"), REFUSED)
async def test_statement_16_after_rejected_only_the_old_one_works(
    hub: RunningHub, version: str, word: str
) -> None:
    async with hub.station(version) as station:
        changing, call, fresh = await begin(hub, station)
        await station.reply(call, answer(version, call, word))
        done = await changing
        assert (done.status, done.valid) == (word, OLD)
        assert not await opens(hub, station, fresh)
        assert await opens(hub, station, PASSWORD)


@pytest.mark.parametrize(
    ("code", "error", "valid"),
    [
        ("NotImplemented", UnsupportedByStation, OLD),
        ("NotSupported", UnsupportedByStation, OLD),
        # It may have come after the deed.
        ("InternalError", StationAnswerError, BOTH),
    ],
)
async def test_statement_16_an_error_says_no_or_nothing(
    hub: RunningHub, code: str, error: type[ChargeHubError], valid: ValidCredentials
) -> None:
    async with hub.station() as station:
        changing, call, fresh = await begin(hub, station)
        await station.send([4, call[1], code, "", {}])
        with pytest.raises(error) as caught:
            await changing
        assert caught.value.facts["valid_credentials"] == valid
        assert await opens(hub, station, fresh) == (valid is BOTH)


@pytest.mark.parametrize("used", ["old", "new"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("silence", ["time-out", "disconnect"])
async def test_statement_16_without_an_answer_both_work_until_one_is_used(
    hub: RunningHub, version: str, used: str, silence: str
) -> None:
    async with hub.station(version) as station:
        with hub.patience(0.2 if silence == "time-out" else 30):
            changing, _, fresh = await begin(hub, station)
            if silence == "disconnect":
                await station.vanish()
            with pytest.raises(ChargeHubError) as caught:
                await changing
        assert caught.value.facts["valid_credentials"] == BOTH
        assert await pending(hub, station) == 1
        first, other = (PASSWORD, fresh) if used == "old" else (fresh, PASSWORD)
        # A wrong one settles nothing.
        assert not await opens(hub, station, "neither-the-one-nor-the-other")
        assert await opens(hub, station, first)
        assert await pending(hub, station) == 0
        assert not await opens(hub, station, other)
        assert await opens(hub, station, first)


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_16_who_must_reboot_first_may_use_the_old_one_until_then(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station:
        changing, call, fresh = await begin(hub, station)
        await station.reply(call, answer(version, call, "RebootRequired"))
        assert (await changing).valid is BOTH
        # The line breaks before the reboot, twice.
        assert await opens(hub, station, PASSWORD)
        assert await opens(hub, station, PASSWORD)
        assert await opens(hub, station, fresh)
        assert not await opens(hub, station, PASSWORD)


async def told_to_reboot(hub: RunningHub, station: Station) -> str:
    """Change the password of a station that says RebootRequired; return the new one."""
    changing, call, fresh = await begin(hub, station)
    await station.reply(call, answer(station.version, call, "RebootRequired"))
    assert (await changing).valid is BOTH
    return fresh


@pytest.mark.parametrize("used", ["old", "new"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_16_the_boot_after_reboot_required_decides(
    hub: RunningHub, version: str, used: str
) -> None:
    async with hub.station(version) as station:
        fresh = await told_to_reboot(hub, station)
        # On the socket that brought the answer a boot is no reboot.
        await station.boot()
        assert await pending(hub, station) == 1
        first, other = (PASSWORD, fresh) if used == "old" else (fresh, PASSWORD)
        rebooted = await hub.connect(station.identity, version, password=first)
        await rebooted.boot()
        assert await pending(hub, station) == 0
        assert not await opens(hub, station, other)
        assert await opens(hub, station, first)
        await rebooted.leave()


@pytest.mark.parametrize("version", V2X)
async def test_statement_16_a_boot_that_was_asked_for_is_no_reboot(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station:
        fresh = await told_to_reboot(hub, station)
        again = await hub.connect(station.identity, version)
        await again.call("BootNotification", BOOTS[version] | {"reason": "Triggered"})
        assert await pending(hub, station) == 1
        assert await opens(hub, station, fresh)
        await again.leave()


async def test_statement_16_it_is_durable_before_it_leaves(hub: RunningHub) -> None:
    async with hub.station() as station:
        changing, _, fresh = await begin(hub, station)
        # The station has it, the hub no answer: this is where a crash would be.
        assert await pending(hub, station) == 1
        again = await hub.connect(station.identity, password=fresh)
        with pytest.raises(ChargeHubError):
            await changing
        assert not await opens(hub, station, PASSWORD)
        await again.leave()


async def test_statement_16_what_never_left_changes_nothing(hub: RunningHub) -> None:
    identity = await hub.new_station()
    with pytest.raises(ChargeHubError) as caught:
        await service(hub).change(identity, actor="test")
    assert caught.value.facts["valid_credentials"] == OLD
    assert await hub.count("credential_changes", identity) == 0


async def test_the_old_one_used_in_the_moment_of_the_answer_counts_no_more(
    hub: RunningHub,
) -> None:
    identity = await hub.new_station()
    answered = asyncio.Event()
    link = FakeStationLink()
    link.online.add(hub.station_ids[identity])
    link.script(hub.station_ids[identity], answered)
    changing = asyncio.create_task(service(hub, link).change(identity, actor="test"))
    query = "SELECT count(*) FROM credential_changes WHERE station_id = :id"
    await hub.until(query, 1, id=hub.station_ids[identity])
    station = await hub.connect(identity)
    await hub.until(query, 0, id=hub.station_ids[identity])
    answered.set()
    assert (await changing).valid is NEW
    # A01.FR.03: it said Accepted, so the old one is void, and who came by it is out.
    assert link.disconnected == [hub.station_ids[identity]]
    assert not await opens(hub, station, PASSWORD)
    await station.send([2, "late", "StatusNotification", status(V16)])
    assert await station.closed() == POLICY_VIOLATION


async def test_one_change_at_a_time_and_a_rotation_is_the_last_word(hub: RunningHub) -> None:
    async with hub.station() as station:
        with hub.patience(0.2):
            changing, _, fresh = await begin(hub, station)
            with pytest.raises(ChargeHubError):
                await changing
        with pytest.raises(CredentialChangePending):
            await service(hub).change(station.identity, actor="test")
        clock = HubClock(ClockPair(0, 0, 1))
        desk = Commissioning(
            hub.database, clock, station_key(hub.settings), EventBus(), hub.hub.connections
        )
        rotated = await desk.rotate_credential(station.identity, actor="test")
        assert not await opens(hub, station, fresh)
        assert not await opens(hub, station, PASSWORD)
        assert await opens(hub, station, rotated)


@pytest.mark.parametrize("meanwhile", ["rotated", "used the new one", "used the old one"])
async def test_the_answer_says_what_opens_the_door_whatever_came_in_between(
    hub: RunningHub, meanwhile: str
) -> None:
    async with hub.station() as station:
        changing, _, fresh = await begin(hub, station)
        if meanwhile == "rotated":
            clock = HubClock(ClockPair(0, 0, 1))
            desk = Commissioning(
                hub.database, clock, station_key(hub.settings), EventBus(), hub.hub.connections
            )
            await desk.rotate_credential(station.identity, actor="test")
            valid = ANOTHER
        else:
            new = meanwhile == "used the new one"
            assert await opens(hub, station, fresh if new else PASSWORD)
            valid = NEW if new else OLD
        with pytest.raises(ChargeHubError) as caught:
            await changing
        assert caught.value.facts["valid_credentials"] == valid
        query = (
            "SELECT facts->>'valid' FROM audit_entries"
            " WHERE action = 'station.credential_changed' AND subject = :identity"
        )
        await hub.until(query, valid, identity=station.identity)


@pytest.mark.parametrize("version", VERSIONS)
async def test_statement_17_the_password_is_in_no_row(hub: RunningHub, version: str) -> None:
    async with hub.station(version) as station:
        changing, call, fresh = await begin(hub, station)
        await station.reply(call, answer(version, call, "Accepted"))
        done = await changing
        assert fresh not in repr(done)
        [kept] = await hub.rows(
            "SELECT row_to_json(c)::text AS row FROM station_commands c WHERE id = :id",
            id=done.command_id,
        )
        assert fresh not in kept.row
        assert "(redacted)" in kept.row
        # A01.FR.08: what opens the door is kept as a hash.
        stored = await hub.value(
            "SELECT credential_hash FROM charging_stations WHERE id = :id",
            id=hub.station_ids[station.identity],
        )
        assert stored == hash_credential(station_key(hub.settings), fresh.encode())
        assert fresh.encode() not in stored
