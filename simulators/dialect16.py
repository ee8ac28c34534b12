"""OCPP 1.6 as a station speaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulators.car import Car
from simulators.client import Payload, Refusal, Reply
from simulators.configuration import MAX_READS
from simulators.dialect import FIRMWARE, MODEL, VENDOR, Timestamps, parse_time
from simulators.gun import GunState, Reservation, StopCause, Transaction, Verdict
from simulators.metering import Sample, Value, signed_reading
from simulators.misbehaviour import Misbehaviour
from simulators.outbox import Message
from simulators.requests import Requests
from simulators.smart_charging import Answers16
from simulators.station import SimulatedStation

REASONS = {
    StopCause.LOCAL: "Local",
    StopCause.TARGET: "Local",
    StopCause.REMOTE: "Remote",
    StopCause.UNPLUGGED: "EVDisconnected",
    StopCause.REFUSED: "DeAuthorized",
    StopCause.EMERGENCY: "EmergencyStop",
    StopCause.CAR_FAILED: "Other",
    StopCause.POWER_LOSS: "PowerLoss",
    StopCause.SOFT_RESET: "SoftReset",
    StopCause.HARD_RESET: "HardReset",
    StopCause.REBOOT: "Reboot",
    StopCause.UNLOCK: "UnlockCommand",
}

TOLERATED = frozenset({"StartTransaction", "StatusNotification"})
"""Where a hub must bear what no schema knows, since an error would only bring a repetition."""

NOT_SUPPORTED = frozenset(
    {
        "GetDiagnostics",
        "UpdateFirmware",
        "SendLocalList",
        "GetLocalListVersion",
    }
)


class Dialect16:
    subprotocol = "ocpp1.6"
    presenting_uses_reservation = False  # 16 5.13: a transaction does.

    def __init__(self, station: SimulatedStation) -> None:
        self._station = station
        self._quirks = station.quirks
        self._stamp = Timestamps(station.quirks)
        self._handlers: dict[str, Callable[[Payload], Reply]] = {
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "Reset": self._reset,
            "ChangeAvailability": self._change_availability,
            "UnlockConnector": self._unlock,
            "GetConfiguration": self._get_configuration,
            "ChangeConfiguration": self._change_configuration,
            "TriggerMessage": self._trigger,
            "ReserveNow": self._reserve,
            "CancelReservation": self._cancel_reservation,
            "ClearCache": lambda _: Reply({"status": "Accepted"}),
            "DataTransfer": lambda _: Reply({"status": "UnknownVendorId"}),
        }
        self._profiles = Answers16(station)
        self._handlers |= self._profiles.handlers

    # Words for what happens.

    def word(self, state: GunState) -> str:
        if Misbehaviour.NO_PREPARING in self._quirks and state in {
            GunState.PREPARING,
            GunState.FINISHING,
        }:
            return GunState.AVAILABLE.value
        return state.value

    def boot(self, reason: str) -> Message:  # noqa: ARG002 - 1.6 has no word for it.
        identity = self._station.identity
        payload = {
            "chargePointVendor": VENDOR[:20],
            "chargePointModel": MODEL,
            "chargePointSerialNumber": f"SN-{identity}"[:25],
            "firmwareVersion": FIRMWARE,
            "meterType": "DC-METER",
            "iccid": "",
            "imsi": "",
        }
        return self._message("BootNotification", payload)

    def heartbeat(self) -> Message:
        return self._message("Heartbeat", {})

    def status(self, evse_no: int, word: str, at: float, fault: str | None) -> Message:
        payload: Payload = {
            "connectorId": evse_no,
            "errorCode": fault or "NoError",
            "status": word,
            "timestamp": self._stamp(at),
        }
        if Misbehaviour.NO_STATUS_TIMESTAMP in self._quirks:
            del payload["timestamp"]
        return self._message("StatusNotification", payload)

    def station_status(self, at: float) -> Message | None:
        # 16 4.9: connector 0 knows Available, Unavailable and Faulted only.
        word = "Available" if self._station.charging.operative else "Unavailable"
        return self.status(0, word, at, None)

    def authorize(self, token: str) -> Message:
        return self._message("Authorize", {"idTag": token})

    def car_token(self, car: Car) -> str | None:
        return car.vin or (f"VID:{car.mac}" if car.mac else None)

    def verdict(self, answer: Payload) -> Verdict:
        info = answer.get("idTagInfo", {})
        return Verdict(info.get("status") == "Accepted", info.get("parentIdTag"))

    def started(self, transaction: Transaction, sample: Sample) -> Message:
        payload: Payload = {
            "connectorId": transaction.evse_no,
            "idTag": transaction.token,
            "meterStart": round(transaction.meter.shown_wh(sample)),
            "timestamp": self._stamp(sample.at),
        }
        if transaction.reservation_id is not None:
            payload["reservationId"] = transaction.reservation_id
        return self._message("StartTransaction", payload, durable=True)

    def start_verdict(self, transaction: Transaction, answer: Payload) -> Verdict:
        if transaction.number is None:
            transaction.number = answer.get("transactionId")
        return self.verdict(answer)

    def charging(self, transaction: Transaction, at: float) -> Message | None:  # noqa: ARG002 - part of the protocol.
        return None  # StatusNotification says it.

    def sampled(self, transaction: Transaction, sample: Sample) -> Message:
        meter_value = self._meter_value(sample, transaction.meter.values(sample))

        def build() -> Payload:
            return {
                "connectorId": transaction.evse_no,
                "transactionId": self._number(transaction),
                "meterValue": [meter_value],
            }

        return Message("MeterValues", build, durable=True, sample=True)

    def ended(
        self, transaction: Transaction, sample: Sample, cause: StopCause, token: str | None
    ) -> Message:
        shown_wh = transaction.meter.shown_wh(sample)
        payload: Payload = {
            "meterStop": round(shown_wh),
            "timestamp": self._stamp(sample.at),
            "reason": REASONS[cause],
        }
        if token is not None and Misbehaviour.NO_STOP_TOKEN not in self._quirks:
            payload["idTag"] = token
        if Misbehaviour.NO_STOP_REASON in self._quirks:
            del payload["reason"]
        if Misbehaviour.SIGNED_DATA in self._quirks:
            payload["transactionData"] = [self._signed(sample, shown_wh)]

        def build() -> Payload:
            return {"transactionId": self._number(transaction), **payload}

        return Message("StopTransaction", build, durable=True)

    def bare_samples(self, evse_no: int, sample: Sample) -> Message:
        value = Value(round(sample.register_wh), None, None, None)
        payload = {
            "connectorId": evse_no,
            "meterValue": [self._meter_value(sample, [value])],
        }
        return self._message("MeterValues", payload)

    def reservation_over(self, reservation_id: int, word: str) -> Message | None:  # noqa: ARG002 - as above.
        return None  # 16 5.13: nothing but the status tells of it.

    def _number(self, transaction: Transaction) -> int:
        if Misbehaviour.MINUS_ONE_TRANSACTION in self._quirks:
            return -1
        # E16 3.18: a station whose start was never answered has no other number to give.
        return -1 if transaction.number is None else transaction.number

    def _meter_value(self, sample: Sample, values: list[Value]) -> Payload:
        return {
            "timestamp": self._stamp(sample.at),
            "sampledValue": [self._sampled_value(value) for value in values],
        }

    def _sampled_value(self, value: Value) -> Payload:
        sampled: Payload = {"value": value.text or _plain(value.number)}
        for name, word in (
            ("context", value.context),
            ("measurand", value.measurand),
            ("unit", value.unit),
            ("phase", value.phase),
        ):
            if word is not None:
                sampled[name] = word
        if Misbehaviour.EXTRA_FIELDS in self._quirks:
            sampled |= {"location": "Roof", "colour": "blue"}
        return sampled

    def _signed(self, sample: Sample, shown_wh: float) -> Payload:
        sampled = {
            "value": f'{{"signedMeterData":"{signed_reading(sample, shown_wh)}"}}',
            "context": "Transaction.End",
            "format": "SignedData",
            "measurand": "Energy.Active.Import.Register",
        }
        return {"timestamp": self._stamp(sample.at), "sampledValue": [sampled]}

    def _message(self, action: str, payload: Payload, *, durable: bool = False) -> Message:
        if Misbehaviour.EXTRA_FIELDS in self._quirks and action in TOLERATED:
            payload = {**payload, "vendorExtra": {"depth": 1}}
        return Message(action, lambda: payload, durable=durable)

    # What the hub asks.

    @property
    def _requests(self) -> Requests:
        return self._station.requests

    def answer(self, action: str, payload: Payload) -> Reply:
        if action in NOT_SUPPORTED:
            raise Refusal("NotSupported", f"{action} is not supported")
        handler = self._handlers.get(action)
        if handler is None:
            raise Refusal("NotImplemented", f"{action} is not known")
        try:
            return handler(payload)
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            raise Refusal("FormationViolation", repr(wrong)) from wrong

    def _remote_start(self, payload: Payload) -> Reply:
        token, evse_no = str(payload["idTag"]), payload.get("connectorId")
        profile = self._profiles.start_profile(payload.get("chargingProfile"))
        afterwards = self._requests.start(evse_no, token, profile=profile)
        return Reply({"status": "Rejected" if afterwards is None else "Accepted"}, afterwards)

    def _remote_stop(self, payload: Payload) -> Reply:
        number = int(payload["transactionId"])
        for gun in self._station.guns:
            if gun.transaction is not None and gun.transaction.number == number:
                stop = self._requests.stop(gun.transaction)
                return Reply({"status": "Accepted"}, stop)
        return Reply({"status": "Rejected"})

    def _reset(self, payload: Payload) -> Reply:
        hard = payload["type"] == "Hard"
        return Reply({"status": "Accepted"}, self._requests.reset(hard=hard))

    def _change_availability(self, payload: Payload) -> Reply:
        operative = {"Operative": True, "Inoperative": False}[payload["type"]]
        word, afterwards = self._requests.change_availability(payload["connectorId"], operative)
        return Reply({"status": word}, afterwards)

    def _unlock(self, payload: Payload) -> Reply:
        gun = self._requests.find(payload["connectorId"])
        if gun is None:
            return Reply({"status": "NotSupported"})  # E16 3.87
        return Reply({"status": "Unlocked"}, self._requests.unlock(gun))

    def _get_configuration(self, payload: Payload) -> Reply:
        configuration = self._station.configuration
        asked: list[str] = payload.get("key") or []
        if len(asked) > MAX_READS:
            raise Refusal("OccurenceConstraintViolation", f"more than {MAX_READS} keys")
        keys = asked or [setting.key for setting in configuration.keyed()]
        known: list[dict[str, Any]] = []
        unknown: list[str] = []
        for key in keys:
            setting = configuration.find(key)
            if setting is None:
                unknown.append(key)
            else:
                entry = {"key": setting.key, "readonly": not setting.writable}
                known.append(entry | ({"value": setting.value} if setting.readable else {}))
        answer: Payload = {}
        if known:
            answer["configurationKey"] = known
        if unknown:
            answer["unknownKey"] = unknown
        return Reply(answer)

    def _change_configuration(self, payload: Payload) -> Reply:
        setting = self._station.configuration.find(payload["key"])
        if setting is None:
            gullible = Misbehaviour.ACCEPT_ANY_SETTING in self._quirks
            return Reply({"status": "Accepted" if gullible else "NotSupported"})
        word = self._station.configuration.write(setting, payload["value"])
        changed = self._requests.setting_changed(setting) if word == "Accepted" else None
        return Reply({"status": word}, changed)

    def _trigger(self, payload: Payload) -> Reply:
        station = self._station
        evse_no = payload.get("connectorId")
        guns = station.guns if evse_no is None else (self._requests.find(evse_no),)
        present = [gun for gun in guns if gun is not None]
        if not present and evse_no != 0:
            return Reply({"status": "Rejected"})
        match payload["requestedMessage"]:
            case "BootNotification":
                messages = [self.boot("Triggered")]
            case "Heartbeat":
                messages = [self.heartbeat()]
            case "StatusNotification":
                messages = [station.charging.status_of(gun) for gun in present]
            case "MeterValues":
                messages = [station.charging.look_at(gun, "Trigger") for gun in present]
            case "DiagnosticsStatusNotification" | "FirmwareStatusNotification" as action:
                messages = [self._message(action, {"status": "Idle"})]
            case _:
                return Reply({"status": "NotImplemented"})
        return Reply({"status": "Accepted"}, lambda: station.uplink.send_now(messages))

    def _reserve(self, payload: Payload) -> Reply:
        reservation = Reservation(
            int(payload["reservationId"]),
            str(payload["idTag"]),
            payload.get("parentIdTag"),
            parse_time(payload["expiryDate"]),
        )
        word, afterwards = self._requests.reserve(payload["connectorId"], reservation)
        return Reply({"status": word}, afterwards)

    def _cancel_reservation(self, payload: Payload) -> Reply:
        afterwards = self._requests.cancel_reservation(int(payload["reservationId"]))
        return Reply({"status": "Rejected" if afterwards is None else "Accepted"}, afterwards)


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)
