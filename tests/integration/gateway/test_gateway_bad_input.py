"""Bad input from stations: answered or logged, nothing acknowledged lost, nobody else affected.

After every case the same station and another one are served normally, and what was acknowledged is
in the database.
"""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Row

from chargehub.kit.clock import wall_now
from chargehub.telemetry.readings import Flag
from tests.hub_fixtures import TOKEN, V2X, V16, V201, VERSIONS, RunningHub, Station, at, status

BEYOND = 2**63
HUGE = 10**30


def started(version: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Return the start of a transaction with fields put in or replaced."""
    if version == V16:
        start = {"connectorId": 1, "idTag": TOKEN, "meterStart": 1_000, "timestamp": at(60)}
        return "StartTransaction", {**start, **fields}
    return "TransactionEvent", {
        "eventType": "Started",
        "timestamp": at(60),
        "triggerReason": "Authorized",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "tx-1"},
        "evse": {"id": 1, "connectorId": 1},
        "idToken": {"idToken": TOKEN, "type": "ISO14443"},
        **fields,
    }


def meter_values(version: str, value: Any, when: Any = None, **sampled: Any) -> dict[str, Any]:
    place = "connectorId" if version == V16 else "evseId"
    sample = {"value": value, "measurand": "Energy.Active.Import.Register", **sampled}
    stamp = at(30) if when is None else when
    return {place: 1, "meterValue": [{"timestamp": stamp, "sampledValue": [sample]}]}


def number(version: str, value: int) -> Any:
    """Return a measured value as the version writes it."""
    return str(value) if version == V16 else value


async def serves_everyone(hub: RunningHub, station: Station) -> None:
    """The station and another one go on as if nothing had happened."""
    assert await station.call("StatusNotification", status(station.version, "Faulted")) == {}
    assert await hub.count("connectors", station.identity, evse_no=1, status="Faulted") == 1
    async with hub.station(station.version) as other:
        assert await other.call("StatusNotification", status(other.version, "Faulted")) == {}
        assert await hub.count("connectors", other.identity, evse_no=1, status="Faulted") == 1


async def only(hub: RunningHub, station: Station, columns: str, table: str) -> Row[Any]:
    query = f"SELECT {columns} FROM {table} WHERE station_id = :station"  # noqa: S608  Names of tests.
    (row,) = await hub.rows(query, station=hub.station_ids[station.identity])
    return row


NASTY_TEXTS = [
    "NUL \x00 inside",
    "\x00",
    "lone \ud800 surrogate",
    "\udfff\udfff",
    "control \x01\x1f\x7f",
    "quotes ' \" \\ {} ; DROP TABLE samples; --",
    '{null,"}',
    "emoji 🔌 衢州 \u202e back",
    "x" * 20_000,
]


def readable(text: str) -> str:
    """Return what a database can keep of it."""
    return "".join(
        "\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text if char != "\0"
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("text", NASTY_TEXTS, ids=ascii)
async def test_nasty_text_is_kept_fit_to_be_read(hub: RunningHub, version: str, text: str) -> None:
    async with hub.station(version) as station:
        payload = {"vendorId": "made-up", "messageId": "m", "data": text}
        assert await station.call("DataTransfer", payload) == {"status": "UnknownVendorId"}
        # In a billing message too, where the schema refuses the length of some.
        action, start = started(version, idTag=text)
        if version != V16:
            start["idToken"] = {"idToken": text, "type": "ISO14443"}
            del start["idTag"]
        answer = await station.call(action, start)
        info = answer["idTagInfo" if version == V16 else "idTokenInfo"]
        assert info["status"] == "Invalid"
        clean = readable(text)
        kept = await only(hub, station, "id_token", "transactions")
        assert kept.id_token == clean.lower()[:255]
        notice = await hub.value(
            "SELECT payload->>'data' FROM station_notices"
            " WHERE station_id = :station AND kind = 'DataTransfer'",
            station=hub.station_ids[station.identity],
        )
        assert notice == clean
        await serves_everyone(hub, station)


# A meterStart, the register that is booked of it (None: none), and the flag that says why.
REGISTERS: list[tuple[Any, int | None, Flag]] = [
    (2**63 - 1, None, Flag.IMPLAUSIBLE),
    (BEYOND, None, Flag.IMPLAUSIBLE),
    (-BEYOND - 1, None, Flag.NEGATIVE),
    (HUGE, None, Flag.IMPLAUSIBLE),
    (1e300, None, Flag.IMPLAUSIBLE),
    (-1, None, Flag.NEGATIVE),
    ("-1", None, Flag.NEGATIVE),
    (1.5, 2, Flag.INVALID_PAYLOAD),
    ("1000", 1_000, Flag.INVALID_PAYLOAD),
    ("1000.0", 1_000, Flag.INVALID_PAYLOAD),
    (1_000.0, 1_000, Flag.INVALID_PAYLOAD),
    ("１０００", 1_000, Flag.INVALID_PAYLOAD),
    (math.nan, None, Flag.UNREADABLE),
    (-math.inf, None, Flag.UNREADABLE),
    (10**400, None, Flag.IMPLAUSIBLE),
    ("NaN", None, Flag.UNREADABLE),
    ("Infinity", None, Flag.UNREADABLE),
    (True, None, Flag.UNREADABLE),
    (None, None, Flag.UNREADABLE),
    ([1_000], None, Flag.UNREADABLE),
    ({"value": 1_000}, None, Flag.UNREADABLE),
    ("", None, Flag.UNREADABLE),
]


@pytest.mark.parametrize(("value", "register", "flag"), REGISTERS)
async def test_a_wrong_register_is_answered_flagged_and_never_booked(
    hub: RunningHub, value: Any, register: int | None, flag: Flag
) -> None:
    async with hub.station(V16) as station:
        action, start = started(V16, meterStart=value)
        answer = await station.call(action, start)
        assert answer["transactionId"] > 0
        row = await only(hub, station, "begin_register_wh, flags", "transactions")
        assert row.begin_register_wh == register
        assert row.flags & flag
        await serves_everyone(hub, station)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "place", ["connectorId", "evseId", "reservationId", "transactionId", "seqNo", "remoteStartId"]
)
@pytest.mark.parametrize("value", [BEYOND, -BEYOND - 1, HUGE, 2**31, -5])
async def test_numbers_beyond_their_columns_stop_no_billing(
    hub: RunningHub, version: str, place: str, value: int
) -> None:
    async with hub.station(version) as station:
        action, start = started(version)
        if place == "evseId":
            start["evse"] = {"id": value, "connectorId": value}
        elif place == "remoteStartId":
            start["transactionInfo"] = {"transactionId": "tx-1", "remoteStartId": value}
        else:
            start[place] = value
        answer = await station.ask(action, start)
        assert answer[0] == 3
        assert await hub.count("transactions", station.identity) == 1
        await serves_everyone(hub, station)


TIMES: list[Any] = [
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59+23:59",
    "2019-02-30T08:00:00Z",
    "2099-01-01T00:00:00Z",
    "yesterday",
    "",
    1_767_225_600,
    None,
    {},
    "2026-07-01T08:00:00.123456789123Z",
    "2026-07-01 08:00:00",
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("stamp", TIMES, ids=ascii)
async def test_wrong_times_lose_no_sample_and_hide_no_status(
    hub: RunningHub, version: str, stamp: Any
) -> None:
    async with hub.station(version) as station:
        await station.call(*started(version))
        values = meter_values(version, number(version, 2_000), when=stamp)
        if stamp is None:
            del values["meterValue"][0]["timestamp"]
        assert await station.call("MeterValues", values) == {}
        (row,) = await hub.rows(
            "SELECT sampled_at, register_wh FROM samples WHERE station_id = :station"
            " AND context = 'Sample.Periodic'",
            station=hub.station_ids[station.identity],
        )
        assert row.register_wh == 2_000
        # Whatever it says, it lies where a partition and a bill can find it.
        assert datetime(2015, 1, 1, tzinfo=UTC) < row.sampled_at < wall_now() + timedelta(days=1)
        timed = status(version, "Unavailable")
        timed["timestamp"] = stamp
        assert await station.call("StatusNotification", timed) == {}
        await serves_everyone(hub, station)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("value", [-1, -1_000_000, -BEYOND, 10**15])
async def test_impossible_registers_are_kept_raw_and_not_billed(
    hub: RunningHub, version: str, value: int
) -> None:
    async with hub.station(version) as station:
        begun = await station.call(*started(version))
        good = meter_values(version, number(version, 2_500), when=at(40))
        assert await station.call("MeterValues", good) == {}
        bad = meter_values(version, number(version, value), when=at(30))
        assert await station.call("MeterValues", bad) == {}
        rows = await hub.rows(
            "SELECT register_wh, flags, raw FROM samples WHERE station_id = :station"
            " AND context = 'Sample.Periodic' ORDER BY sampled_at",
            station=hub.station_ids[station.identity],
        )
        assert len(rows) == 2
        assert rows[1].flags
        assert rows[1].raw is not None
        await end(station, begun, 4_000 if version == V16 else None)
        row = await only(hub, station, "energy_wh", "transactions")
        assert row.energy_wh == (3_000 if version == V16 else 0)
        await serves_everyone(hub, station)


async def end(station: Station, begun: dict[str, Any], register: int | None) -> None:
    if station.version == V16:
        number = begun["transactionId"]
        stop = {"transactionId": number, "meterStop": register, "timestamp": at()}
        assert await station.call("StopTransaction", stop) == {}
        return
    _, event = started(V201, eventType="Ended", timestamp=at(), seqNo=1)
    del event["idToken"]
    assert await station.call("TransactionEvent", event) == {}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_message_of_many_faults_at_once(hub: RunningHub, version: str) -> None:
    async with hub.station(version) as station:
        text = (
            '[2,"bad","MeterValues",{"connectorId":1e400,"evseId":1,"meterValue":'
            '[{"timestamp":"1970","sampledValue":[{"value":"\\u0000\\ud800"},null,7,[],'
            '{"value":18446744073709551616},{"value":"NaN"}]},"x",{}]}]'
        )
        await station.send(text)
        assert await station.answer_to("bad") == [3, "bad", {}]
        assert await hub.count("station_notices", station.identity, flagged=True) == 1
        await serves_everyone(hub, station)


@pytest.mark.parametrize("version", V2X)
async def test_statement_29_readings_of_one_message_are_stored_with_their_flags(
    hub: RunningHub, version: str
) -> None:
    """The first of them has to stand for the begin that nobody told; the others are good."""
    async with hub.station(version) as station:
        await station.call(*started(version))
        elements = [
            {"timestamp": at(seconds), "sampledValue": [{"value": value}]}
            for seconds, value in ((50, 1_100), (40, 1_150), (30, 1_200))
        ]
        ended = {
            "eventType": "Ended",
            "timestamp": at(20),
            "triggerReason": "EVDeparted",
            "seqNo": 1,
            "transactionInfo": {"transactionId": "tx-1"},
            "meterValue": elements,
        }
        await station.call("TransactionEvent", ended)
        rows = await hub.rows(
            "SELECT register_wh, flags FROM samples WHERE station_id = :id ORDER BY sampled_at",
            id=hub.station_ids[station.identity],
        )
        assert [row.register_wh for row in rows] == [1_100, 1_150, 1_200]
        begins = [bool(row.flags & Flag.BEGIN_MISSING) for row in rows]
        assert begins == [True, False, False]


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_the_socket_itself_cannot_be_ends_it_alone(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as other:
        station = await hub.connect(await hub.new_station(), version)
        # A text frame that is no UTF-8.
        station.socket.transport.write(b"\x81\x82\x00\x00\x00\x00\xff\xfe")
        assert await station.closed() == 1007
        station = await hub.connect(station.identity, version)
        # A frame with a reserved opcode.
        station.socket.transport.write(b"\x83\x80\x00\x00\x00\x00")
        assert await station.closed() == 1002
        again = await hub.connect(station.identity, version)
        await serves_everyone(hub, again)
        await again.leave()
        assert await other.call("Heartbeat", {})


REFUSING_TRIGGER = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION ''a row that the database will not take''; END';
    CREATE TRIGGER refuse BEFORE INSERT ON station_notices FOR EACH ROW
        WHEN (NEW.payload->>'vendorId' = 'unstorable') EXECUTE FUNCTION refuse();
"""


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_the_database_refuses_costs_one_error_and_may_be_said_again(
    hub: RunningHub, version: str
) -> None:
    async with hub.station(version) as station, hub.station(version) as other:
        async with hub.database.write() as connection:
            await connection.exec_driver_sql(REFUSING_TRIGGER)
        frame = [2, "again", "DataTransfer", {"vendorId": "unstorable"}]
        try:
            # In one batch with another station's message, if the moment is right.
            await station.send(frame)
            told = other.call("StatusNotification", status(version, "Faulted"))
            refused, served = await asyncio.gather(station.answer_to("again"), told)
        finally:
            async with hub.database.write() as connection:
                await connection.exec_driver_sql("DROP FUNCTION refuse CASCADE")
        assert refused == [4, "again", "InternalError", "", {}]
        assert served == {}
        assert await hub.count("station_notices", station.identity) == 0
        await station.send(frame)
        assert (await station.answer_to("again"))[0] == 3
        assert await hub.count("station_notices", station.identity) == 1
        assert await hub.count("connectors", other.identity, status="Faulted") == 1
        await serves_everyone(hub, station)
