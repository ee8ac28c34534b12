"""What a station does when its hub asks for something."""

from __future__ import annotations

import pytest

from simulators.car import Car
from tests.unit.simulators.conftest import MakeStation, booted
from tests.unit.simulators.fake_hub import V2X, V16, VERSIONS, FakeHub, HubCallRefused, Payload

EVERY = pytest.mark.parametrize("version", VERSIONS)
TAXI = {"idToken": "TAXI-0001", "type": "Central"}


def start_call(version: str, evse_no: int | None = 1) -> tuple[str, Payload]:
    if version == V16:
        named: Payload = {} if evse_no is None else {"connectorId": evse_no}
        return "RemoteStartTransaction", {"idTag": "TAXI-0001", **named}
    named = {} if evse_no is None else {"evseId": evse_no}
    return "RequestStartTransaction", {"idToken": TAXI, "remoteStartId": 77, **named}


def stop_call(hub: FakeHub, version: str) -> tuple[str, Payload]:
    if version == V16:
        return "RemoteStopTransaction", {"transactionId": 101}
    info = hub.payloads("TransactionEvent")[0]["transactionInfo"]
    return "RequestStopTransaction", {"transactionId": info["transactionId"]}


@EVERY
async def test_a_remote_start_and_stop(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await station.plug_in(2, Car())
    hub.forget()
    # Without a gun named, the one with a car is meant.
    assert (await hub.call("QZ-001", *start_call(version, None)))["status"] == "Accepted"
    await station.settled()
    assert "Authorize" not in hub.actions()
    started = (hub.payloads("StartTransaction") or hub.payloads("TransactionEvent"))[0]
    if version != V16:
        assert started["triggerReason"] == "RemoteStart"
        assert started["transactionInfo"]["remoteStartId"] == 77
        assert started["idToken"] == TAXI
    assert (await hub.call("QZ-001", *stop_call(hub, version)))["status"] == "Accepted"
    await station.settled()
    stop = (hub.payloads("StopTransaction") or hub.payloads("TransactionEvent"))[-1]
    assert (stop.get("reason") or stop["transactionInfo"]["stoppedReason"]) == "Remote"
    assert (await hub.call("QZ-001", *stop_call(hub, version)))["status"] == "Rejected"
    assert hub.violations == []


@EVERY
async def test_a_remote_start_waits_for_the_car(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    waits: list[int] = []
    station.charging.waits = lambda gun: waits.append(gun.evse_no)
    assert (await hub.call("QZ-001", *start_call(version)))["status"] == "Accepted"
    await station.settled()
    assert waits == [1]
    assert station.gun(1).transaction is None
    # A second one on a waiting gun is refused.
    assert (await hub.call("QZ-001", *start_call(version)))["status"] == "Rejected"
    await station.plug_in(1, Car())
    assert station.gun(1).transaction is not None
    if version != V16:
        (started, _charging) = hub.payloads("TransactionEvent")
        assert started["transactionInfo"]["remoteStartId"] == 77


async def test_a_remote_start_is_authorized_where_so_configured(
    hub: FakeHub, make_station: MakeStation
) -> None:
    station = await booted(make_station())
    change = {"key": "AuthorizeRemoteTxRequests", "value": "true"}
    assert await hub.call("QZ-001", "ChangeConfiguration", change) == {"status": "Accepted"}
    hub.answers["Authorize"] = lambda _: {"idTagInfo": {"status": "Blocked"}}
    await station.plug_in(1, Car())
    await hub.call("QZ-001", *start_call(V16))
    await station.settled()
    assert hub.actions()[-1] == "Authorize"
    assert station.gun(1).transaction is None


def reserve_call(version: str, holder: str = "TAXI-0001") -> tuple[str, Payload]:
    expiry = "2026-11-23T04:15:00Z"
    if version == V16:
        return "ReserveNow", {
            "connectorId": 1,
            "expiryDate": expiry,
            "idTag": holder,
            "reservationId": 5,
        }
    return "ReserveNow", {
        "id": 5,
        "expiryDateTime": expiry,
        "idToken": {"idToken": holder, "type": "Central"},
        "evseId": 1,
    }


@EVERY
async def test_a_reservation_is_for_its_token_only(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    assert await hub.call("QZ-001", *reserve_call(version)) == {"status": "Accepted"}
    await station.settled()
    assert hub.statuses(1)[-1] == "Reserved"
    assert not await station.present_token(1, "TAXI-0002")
    assert await station.present_token(1, "taxi-0001")
    await station.plug_in(1, Car())
    started = (hub.payloads("StartTransaction") or hub.payloads("TransactionEvent"))[0]
    assert started["reservationId"] == 5
    assert station.gun(1).reservation is None
    assert hub.violations == []


@EVERY
async def test_a_reservation_expires_on_the_hubs_clock(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await hub.call("QZ-001", *reserve_call(version))
    await station.advance(899)
    assert hub.statuses(1)[-1] == "Reserved"
    await station.advance(1)
    assert hub.statuses(1)[-1] == "Available"
    updates = hub.payloads("ReservationStatusUpdate")
    expired = {"reservationId": 5, "reservationUpdateStatus": "Expired"}
    assert updates == ([expired] if version != V16 else [])
    assert hub.violations == []


@EVERY
async def test_reservations_are_amended_refused_and_cancelled(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    assert await hub.call("QZ-001", *reserve_call(version)) == {"status": "Accepted"}
    assert await hub.call("QZ-001", *reserve_call(version, "TAXI-9")) == {"status": "Accepted"}
    reservation = station.gun(1).reservation
    assert reservation is not None
    assert reservation.token == "TAXI-9"
    cancel = ("CancelReservation", {"reservationId": 5})
    assert await hub.call("QZ-001", *cancel) == {"status": "Accepted"}
    assert await hub.call("QZ-001", *cancel) == {"status": "Rejected"}
    await station.plug_in(1, Car())
    assert await hub.call("QZ-001", *reserve_call(version)) == {"status": "Occupied"}


def availability_call(version: str, operative: bool, evse_no: int) -> tuple[str, Payload]:
    word = "Operative" if operative else "Inoperative"
    if version == V16:
        return "ChangeAvailability", {"connectorId": evse_no, "type": word}
    named = {"evse": {"id": evse_no}} if evse_no else {}
    return "ChangeAvailability", {"operationalStatus": word, **named}


@EVERY
async def test_availability_waits_for_the_transactions_end(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    answer = await hub.call("QZ-001", *availability_call(version, False, 0))
    assert answer == {"status": "Scheduled"}
    await station.settled()
    assert hub.statuses(2)[-1] == "Unavailable"
    await station.stop(1)
    await station.unplug(1)
    assert hub.statuses(1)[-1] == "Unavailable"
    assert not await station.present_token(1, "TAXI-0001")
    answer = await hub.call("QZ-001", *availability_call(version, True, 1))
    assert answer == {"status": "Accepted"}
    await station.settled()
    assert hub.statuses(1)[-1] == "Available"
    assert hub.violations == []


@EVERY
@pytest.mark.parametrize("soft", [True, False])
async def test_a_reset_ends_transactions_and_boots(
    hub: FakeHub, make_station: MakeStation, version: str, soft: bool
) -> None:
    station = await booted(make_station(version))
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    hub.forget()
    kind = ("Soft" if soft else "Hard") if version == V16 else "Immediate"
    assert await hub.call("QZ-001", "Reset", {"type": kind}) == {"status": "Accepted"}
    await station.settled()
    actions = hub.actions()
    boot = actions.index("BootNotification")
    end = actions.index("StopTransaction" if version == V16 else "TransactionEvent")
    # A hard reset leaves no time to tell before the boot.
    assert (end < boot) == (soft or version != V16)
    assert station.boots == 2
    if version != V16:
        assert hub.payloads("BootNotification")[0]["reason"] == "RemoteReset"
    assert hub.violations == []


@pytest.mark.parametrize("version", V2X)
async def test_a_reset_on_idle_waits(hub: FakeHub, make_station: MakeStation, version: str) -> None:
    station = await booted(make_station(version))
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    assert await hub.call("QZ-001", "Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}
    await station.settled()
    assert station.boots == 1
    await station.stop(1)
    await station.settled()
    assert station.boots == 2
    assert hub.payloads("BootNotification")[-1]["reason"] == "ScheduledReset"


async def test_unlocking_16_ends_the_transaction(hub: FakeHub, make_station: MakeStation) -> None:
    station = await booted(make_station())
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    unlock = ("UnlockConnector", {"connectorId": 1})
    assert await hub.call("QZ-001", *unlock) == {"status": "Unlocked"}
    await station.settled()
    assert hub.payloads("StopTransaction")[0]["reason"] == "UnlockCommand"
    nowhere = await hub.call("QZ-001", "UnlockConnector", {"connectorId": 9})
    assert nowhere == {"status": "NotSupported"}


@pytest.mark.parametrize("version", V2X)
async def test_unlocking_201_spares_the_transaction(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    words = []
    for evse_no, connector_no in ((1, 1), (2, 1), (2, 2), (3, 1)):
        payload = {"evseId": evse_no, "connectorId": connector_no}
        words.append((await hub.call("QZ-001", "UnlockConnector", payload))["status"])
    assert words == [
        "OngoingAuthorizedTransaction",
        "Unlocked",
        "UnknownConnector",
        "UnknownConnector",
    ]


@EVERY
async def test_unknown_and_broken_calls_get_the_right_error(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    await booted(make_station(version))

    async def code(action: str, payload: Payload) -> str:
        with pytest.raises(HubCallRefused) as refused:
            await hub.call("QZ-001", action, payload)
        assert refused.value.frame[4] == {}
        return refused.value.code

    assert await code("DanceOnTheRoof", {}) == "NotImplemented"
    assert await code("SendLocalList", {}) == "NotSupported"
    missing = "FormationViolation" if version == V16 else "OccurrenceConstraintViolation"
    wrong = "FormationViolation" if version == V16 else "FormatViolation"
    action, _payload = start_call(version)
    assert await code(action, {}) == missing
    assert await code("CancelReservation", {"reservationId": "x"}) == wrong


async def test_configuration_of_16(hub: FakeHub, make_station: MakeStation) -> None:
    station = await booted(make_station())
    everything = await hub.call("QZ-001", "GetConfiguration", {})
    keys = {entry["key"]: entry for entry in everything["configurationKey"]}
    assert keys["NumberOfConnectors"] == {
        "key": "NumberOfConnectors",
        "readonly": True,
        "value": "2",
    }
    assert "value" not in keys["AuthorizationKey"]
    answer = await hub.call("QZ-001", "GetConfiguration", {"key": ["heartbeatINTERVAL", "Nope"]})
    assert answer["unknownKey"] == ["Nope"]
    assert answer["configurationKey"][0]["value"] == "300"

    async def change(key: str, value: str) -> str:
        payload = {"key": key, "value": value}
        return str((await hub.call("QZ-001", "ChangeConfiguration", payload))["status"])

    assert await change("MeterValueSampleInterval", "30") == "Accepted"
    assert await change("HeartbeatInterval", "abc") == "Rejected"
    assert await change("NumberOfConnectors", "3") == "Rejected"
    assert await change("Nope", "3") == "NotSupported"
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    await station.advance(60)
    assert len(hub.payloads("MeterValues")) == 2


def variable(component: str, name: str, **more: str) -> Payload:
    return {"component": {"name": component}, "variable": {"name": name}, **more}


@pytest.mark.parametrize("version", V2X)
async def test_variables_of_201(hub: FakeHub, make_station: MakeStation, version: str) -> None:
    station = await booted(make_station(version))
    wanted = [
        variable("SampledDataCtrlr", "TxUpdatedInterval"),
        variable("SecurityCtrlr", "BasicAuthPassword"),
        variable("SampledDataCtrlr", "Nope"),
        variable("Nope", "Nope"),
        variable("SampledDataCtrlr", "TxUpdatedInterval", attributeType="Target"),
    ]
    answer = await hub.call("QZ-001", "GetVariables", {"getVariableData": wanted})
    assert [result["attributeStatus"] for result in answer["getVariableResult"]] == [
        "Accepted",
        "Rejected",
        "UnknownVariable",
        "UnknownComponent",
        "NotSupportedAttributeType",
    ]
    assert answer["getVariableResult"][0]["attributeValue"] == "10"
    data = [
        variable("SampledDataCtrlr", "TxUpdatedInterval", attributeValue="60"),
        variable("ChargingStation", "Power", attributeValue="1"),
    ]
    answer = await hub.call("QZ-001", "SetVariables", {"setVariableData": data})
    statuses = [result["attributeStatus"] for result in answer["setVariableResult"]]
    assert statuses == ["Accepted", "Rejected"]
    assert station.configuration.integer("MeterValueSampleInterval") == 60


@pytest.mark.parametrize("version", V2X)
async def test_a_base_report_comes_in_pages(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    request = {"requestId": 4, "reportBase": "FullInventory"}
    assert await hub.call("QZ-001", "GetBaseReport", request) == {"status": "Accepted"}
    await station.settled()
    pages = hub.payloads("NotifyReport")
    assert len(pages) > 2
    assert [page["seqNo"] for page in pages] == list(range(len(pages)))
    assert [page["tbc"] for page in pages] == [True] * (len(pages) - 1) + [False]
    assert {page["requestId"] for page in pages} == {4}
    names = [entry["variable"]["name"] for page in pages for entry in page["reportData"]]
    assert names.count("AvailabilityState") == 2
    assert hub.violations == []


@pytest.mark.parametrize("version", V2X)
async def test_transaction_status_of_201(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    await station.plug_in(1, Car())
    await station.present_token(1, "TAXI-0001")
    _, known = stop_call(hub, version)
    running = await hub.call("QZ-001", "GetTransactionStatus", known)
    assert running == {"ongoingIndicator": True, "messagesInQueue": False}
    unknown = await hub.call("QZ-001", "GetTransactionStatus", {"transactionId": "x"})
    assert unknown["ongoingIndicator"] is False
    assert await hub.call("QZ-001", "GetTransactionStatus", {}) == {"messagesInQueue": False}


@EVERY
@pytest.mark.parametrize(
    "message", ["Heartbeat", "StatusNotification", "MeterValues", "FirmwareStatusNotification"]
)
async def test_triggered_messages_follow_the_answer(
    hub: FakeHub, make_station: MakeStation, version: str, message: str
) -> None:
    station = await booted(make_station(version))
    hub.forget()
    answer = await hub.call("QZ-001", "TriggerMessage", {"requestedMessage": message})
    assert answer == {"status": "Accepted"}
    await station.settled()
    assert set(hub.actions()) == {message}
    assert hub.violations == []


@EVERY
async def test_triggers_that_cannot_be_followed(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    await booted(make_station(version))
    nowhere: Payload = {"connectorId": 7} if version == V16 else {"evse": {"id": 7}}
    request = {"requestedMessage": "StatusNotification", **nowhere}
    assert await hub.call("QZ-001", "TriggerMessage", request) == {"status": "Rejected"}
    if version != V16:
        request = {"requestedMessage": "SignChargingStationCertificate"}
        assert await hub.call("QZ-001", "TriggerMessage", request) == {"status": "NotImplemented"}
        request = {"requestedMessage": "BootNotification"}
        assert await hub.call("QZ-001", "TriggerMessage", request) == {"status": "Rejected"}


@EVERY
async def test_a_new_password_is_used_at_once(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    station = await booted(make_station(version))
    hub.passwords["QZ-001"] = b"0123456789abcdef0123456789abcdef"
    password = hub.passwords["QZ-001"].decode()
    if version == V16:
        change = {"key": "AuthorizationKey", "value": password}
        await hub.call("QZ-001", "ChangeConfiguration", change)
    else:
        data = variable("SecurityCtrlr", "BasicAuthPassword", attributeValue=password)
        await hub.call("QZ-001", "SetVariables", {"setVariableData": [data]})
    await station.settled()
    assert len(hub.requests) == 2
    assert station.online
    assert station.boots == 1


@EVERY
async def test_data_transfer_and_cache(
    hub: FakeHub, make_station: MakeStation, version: str
) -> None:
    await booted(make_station(version))
    assert await hub.call("QZ-001", "ClearCache", {}) == {"status": "Accepted"}
    answer = await hub.call("QZ-001", "DataTransfer", {"vendorId": "nobody"})
    assert answer == {"status": "UnknownVendorId"}
