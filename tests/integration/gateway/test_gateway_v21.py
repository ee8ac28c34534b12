"""What 2.1 adds on the wire: one-way messages, refused results, long idTokens, fuller events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chargehub.kit.errors import ChargeHubError
from chargehub.stations.commands import (
    ClearCache,
    Command,
    InvalidCommand,
    RawCommand,
    RequestStartTransaction,
    ReserveNow,
    UnsupportedByStation,
)
from tests.hub_fixtures import TOKEN, V21, Payload, RunningHub, Station, at

STREAM: Payload = {
    "id": 7,
    "pending": 0,
    "basetime": "2026-11-23T08:00:00Z",
    "data": [{"t": 0, "v": "230.4"}, {"t": 5.5, "v": "230.2"}],
}
LONG = "T" * 255
TOMORROW = datetime(2026, 11, 24, tzinfo=UTC)
COUNT = "SELECT count(*) FROM station_notices WHERE station_id = :station AND kind = :kind"
NOTICES = """
    SELECT kind, payload, at, flagged FROM station_notices
    WHERE station_id = :station AND kind = :kind
"""


async def one_notice(hub: RunningHub, station: Station, kind: str) -> Any:
    number = hub.station_ids[station.identity]
    await hub.until(COUNT, 1, station=number, kind=kind)
    (row,) = await hub.rows(NOTICES, station=number, kind=kind)
    return row


# Types 5 and 6 ----------------------------------------------------------------------------------


async def test_statement_30_n15_fr_02_a_stream_is_kept_and_never_answered(hub: RunningHub) -> None:
    async with hub.station(V21) as station:
        await station.send([6, "s-1", "NotifyPeriodicEventStream", STREAM])
        # The first frame that comes is the answer to what was said after it.
        assert "currentTime" in await station.call("Heartbeat", {})
        row = await one_notice(hub, station, "NotifyPeriodicEventStream")
        assert (row.payload, row.flagged) == (STREAM, False)
        assert row.at.isoformat() == "2026-11-23T08:00:00+00:00"


async def test_statement_30_a_stream_that_fails_its_schema_is_kept_flagged(hub: RunningHub) -> None:
    async with hub.station(V21) as station:
        await station.send([6, "s-1", "NotifyPeriodicEventStream", {"id": -1, "basetime": []}])
        await station.call("Heartbeat", {})
        row = await one_notice(hub, station, "NotifyPeriodicEventStream")
        assert (row.payload, row.flagged) == ({"id": -1, "basetime": []}, True)


async def test_statement_19_a_stream_passes_while_a_call_of_ours_is_open(hub: RunningHub) -> None:
    async with hub.station(V21) as station:
        sent = hub.send(station.identity, ClearCache())
        asked = await station.asked()
        await station.send([6, "s-1", "NotifyPeriodicEventStream", STREAM])
        await one_notice(hub, station, "NotifyPeriodicEventStream")
        await station.reply(asked, {"status": "Accepted"})
        assert (await sent).status == "Accepted"


async def test_statement_32_an_unaccepted_station_streams_in_vain(hub: RunningHub) -> None:
    identity = await hub.new_station(registration="Pending")
    station = await hub.connect(identity, V21)
    await station.send([6, "s-1", "NotifyPeriodicEventStream", STREAM])
    assert (await station.ask("Heartbeat", {}))[2] == "SecurityError"
    assert await hub.count("station_notices", identity) == 0
    await station.leave()


async def test_statement_30_fr_06_a_station_hears_that_its_result_was_no_good(
    hub: RunningHub,
) -> None:
    async with hub.station(V21) as station:
        sent = hub.send(station.identity, ClearCache())
        asked = await station.asked()
        await station.reply(asked, {"status": "Accepted", "listVersion": 3})
        refusal = await station.frame()
        assert refusal[:3] == [5, asked[1], "FormatViolation"]
        assert refusal[4:] == [{}]
        # What could be read of it counts, as in the older versions.
        assert (await sent).status == "Accepted"


async def test_statement_30_our_refused_answer_is_kept_for_people(hub: RunningHub) -> None:
    async with hub.station(V21) as station:
        answer = await station.ask("Authorize", {"idToken": {"idToken": TOKEN, "type": "Any"}})
        assert answer[0] == 3
        await station.send([5, answer[1], "FormationViolation", "no tariff?", {"why": "x\0y"}])
        row = await one_notice(hub, station, "AnswerRefused")
        assert row.flagged
        assert row.payload == {
            "action": "Authorize",
            "code": "FormatViolation",
            "description": "no tariff?",
            "details": {"why": "xy"},
        }
        # Nothing answers it, nor one that refers to nothing.
        await station.send([5, answer[1], "GenericError", "", {}])
        assert "currentTime" in await station.call("Heartbeat", {})
        assert await hub.count("station_notices", station.identity, kind="AnswerRefused") == 1


# TransactionEvent -------------------------------------------------------------------------------


def event(kind: str, seq_no: int, **more: Any) -> Payload:
    info = {"transactionId": "tx-21", **more.pop("info", {})}
    return {
        "eventType": kind,
        "timestamp": at(60 - seq_no),
        "triggerReason": "RunningCost",
        "seqNo": seq_no,
        "evse": {"id": 1, "connectorId": 1},
        "transactionInfo": info,
        "meterValue": [
            {
                "timestamp": at(60 - seq_no),
                "sampledValue": [
                    {"value": 5_000 + 100 * seq_no, "measurand": "Energy.Active.Import.Register"},
                    {
                        "value": 60,
                        "measurand": "Power.Import.Offered",
                        "unitOfMeasure": {"unit": "kW"},
                    },
                    {"value": 55, "measurand": "Display.PresentSOC", "location": "Upstream"},
                ],
            }
        ],
        **more,
    }


COST = {
    "totalCost": {"currency": "CNY", "typeOfCost": "NormalCost", "total": {"exclTax": 4.56}},
    "totalUsage": {"energy": 200.0, "chargingTime": 20, "idleTime": 0},
}


async def test_what_only_2_1_tells_is_kept_with_its_event(hub: RunningHub) -> None:
    """I12, E16, Q: the station's own cost, tariff, limit and mode; nothing is decided by them."""
    token = {"idToken": TOKEN, "type": "DirectPayment"}
    begun = event("Started", 0, idToken=token, info={"tariffId": "T1"})
    plain = event("Updated", 1)
    mode = {"transactionLimit": {"maxCost": 50.5}, "operationMode": "ChargingOnly"}
    ended = event(
        "Ended",
        2,
        info=mode,
        costDetails=COST,
        preconditioningStatus="NotReady",
    )
    async with hub.station(V21) as station:
        assert await station.call("TransactionEvent", begun) == {
            "idTokenInfo": {"status": "Accepted"}
        }
        assert await station.call("TransactionEvent", plain) == {}
        assert await station.call("TransactionEvent", ended) == {}
        assert await station.call("TransactionEvent", ended) == {}  # A replay.
        rows = await hub.rows(
            "SELECT e.seq_no, e.raw, e.flags FROM transaction_events e"
            " JOIN transactions t ON t.id = e.transaction_id"
            " WHERE t.station_id = :station ORDER BY e.seq_no",
            station=hub.station_ids[station.identity],
        )
        assert [(row.seq_no, row.raw, row.flags) for row in rows] == [
            (0, {"transactionInfo": {"tariffId": "T1"}}, 0),
            (1, None, 0),
            (
                2,
                {"transactionInfo": mode, "costDetails": COST, "preconditioningStatus": "NotReady"},
                0,
            ),
        ]
        (row,) = await hub.rows(
            "SELECT state, energy_wh, id_token_kind FROM transactions WHERE station_id = :station",
            station=hub.station_ids[station.identity],
        )
        assert (row.state, row.energy_wh, row.id_token_kind) == ("Ended", 200, "DirectPayment")
        (sample, *_) = await hub.rows(
            "SELECT offered_power_w, soc_percent, extras FROM samples WHERE station_id = :station",
            station=hub.station_ids[station.identity],
        )
        assert (sample.offered_power_w, sample.soc_percent) == (60_000, None)
        assert sample.extras == {"Display.PresentSOC/Upstream": 55.0}


async def test_statement_10_a_signed_value_of_32768_characters_is_one_like_any_other(
    hub: RunningHub,
) -> None:
    told = event("Started", 0)
    told["meterValue"][0]["sampledValue"][0]["signedMeterValue"] = {
        "signedMeterData": "A" * 32_768,
        "encodingMethod": "OCMF",
    }
    async with hub.station(V21) as station:
        assert await station.call("TransactionEvent", told) == {}
        station_id = hub.station_ids[station.identity]
        (row,) = await hub.rows(
            "SELECT e.flags, s.register_wh, s.raw FROM transaction_events e"
            " JOIN transactions t ON t.id = e.transaction_id"
            " JOIN samples s ON s.transaction_id = t.id WHERE t.station_id = :station",
            station=station_id,
        )
        assert (row.flags, row.register_wh) == (0, 5_000)
        assert row.raw == told["meterValue"][0]  # The signature is kept, opaque.


# Long idTokens ----------------------------------------------------------------------------------


async def test_statement_42_an_id_token_of_255_characters_is_known_whatever_its_case(
    hub: RunningHub,
) -> None:
    await hub.new_token(LONG, group_token="g" * 200)
    async with hub.station(V21) as station:
        asked = {"idToken": {"idToken": LONG.lower(), "type": "any text of 20 chars"}}
        info = (await station.call("Authorize", asked))["idTokenInfo"]
        assert info["status"] == "Accepted"
        # Statement 59: the group's type is Central.
        assert info["groupIdToken"] == {"idToken": "g" * 200, "type": "Central"}
        too_long = {"idToken": {"idToken": LONG + "T", "type": "x"}}
        assert (await station.ask("Authorize", too_long))[2] == "PropertyConstraintViolation"


SENT: list[tuple[Command, str, Payload]] = [
    (
        RequestStartTransaction(LONG, "DirectPayment", 7, evse_no=2, group_id_token=LONG),
        "RequestStartTransaction",
        {
            "evseId": 2,
            "groupIdToken": {"idToken": LONG, "type": "Central"},
            "idToken": {"idToken": LONG, "type": "DirectPayment"},
            "remoteStartId": 7,
        },
    ),
    (
        RawCommand("Reset", {"type": "ImmediateAndResume"}),
        "Reset",
        {"type": "ImmediateAndResume"},
    ),
]


@pytest.mark.parametrize(("command", "action", "payload"), SENT)
async def test_a_command_of_2_1_leaves_whole(
    hub: RunningHub, command: Command, action: str, payload: Payload
) -> None:
    async with hub.station(V21) as station:
        sent = hub.send(station.identity, command)
        asked = await station.asked()
        assert asked[2:] == [action, payload]
        await station.reply(asked, {"status": "Rejected"})
        assert (await sent).status == "Rejected"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (RequestStartTransaction(LONG + "x", None, 1), InvalidCommand),
        (ReserveNow(1, TOMORROW, LONG + "x"), InvalidCommand),
        (RawCommand("NotifyPeriodicEventStream", STREAM), UnsupportedByStation),
        (RawCommand("PullDynamicScheduleUpdate", {"chargingProfileId": 1}), UnsupportedByStation),
    ],
)
async def test_what_2_1_does_not_let_us_ask_never_leaves(
    hub: RunningHub, command: Command, error: type[ChargeHubError]
) -> None:
    async with hub.station(V21) as station:
        with pytest.raises(error):
            await hub.send(station.identity, command)
        await station.call("Heartbeat", {})
        assert not station.inbox
