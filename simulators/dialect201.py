"""OCPP 2.0.1 as a station speaks it; 2.1 is a subclass (`dialect21`)."""

from __future__ import annotations

from collections.abc import Callable

from simulators.car import Car
from simulators.client import Payload, Refusal, Reply
from simulators.device_model import DeviceModel
from simulators.dialect import FIRMWARE, MODEL, VENDOR, Timestamps, parse_time
from simulators.gun import Gun, GunState, Reservation, StopCause, Transaction, Verdict
from simulators.metering import Sample, Value, signed_reading
from simulators.misbehaviour import Misbehaviour
from simulators.outbox import Message
from simulators.requests import Requests
from simulators.smart_charging import Answers201
from simulators.station import SimulatedStation

ENDINGS = {
    StopCause.LOCAL: ("StopAuthorized", "Local"),
    StopCause.TARGET: ("ChargingStateChanged", "SOCLimitReached"),
    StopCause.REMOTE: ("RemoteStop", "Remote"),
    StopCause.UNPLUGGED: ("EVDeparted", "EVDisconnected"),
    StopCause.REFUSED: ("Deauthorized", "DeAuthorized"),
    StopCause.EMERGENCY: ("AbnormalCondition", "EmergencyStop"),
    StopCause.CAR_FAILED: ("EVCommunicationLost", "Other"),
    StopCause.POWER_LOSS: ("AbnormalCondition", "PowerLoss"),
    StopCause.SOFT_RESET: ("ResetCommand", "ImmediateReset"),
    StopCause.HARD_RESET: ("ResetCommand", "ImmediateReset"),
    StopCause.REBOOT: ("AbnormalCondition", "Reboot"),
    StopCause.UNLOCK: ("UnlockCommand", "Other"),
}
"""Trigger reason and stopped reason of each cause."""

NOT_SUPPORTED = frozenset(
    {
        "SendLocalList",
        "GetLocalListVersion",
        "UpdateFirmware",
        "GetLog",
        "GetReport",
    }
)


class Dialect201:
    subprotocol = "ocpp2.0.1"
    presenting_uses_reservation = True
    reservation_words = frozenset({"Expired", "Removed"})
    endings = ENDINGS
    vin_type, mac_type = "KeyCode", "MacAddress"

    def __init__(self, station: SimulatedStation) -> None:
        self._station = station
        self._quirks = station.quirks
        self._stamp = Timestamps(station.quirks)
        self._token_types: dict[str, str] = {}
        self._handlers: dict[str, Callable[[Payload], Reply]] = {
            "RequestStartTransaction": self._request_start,
            "RequestStopTransaction": self._request_stop,
            "Reset": self._reset,
            "ChangeAvailability": self._change_availability,
            "UnlockConnector": self._unlock,
            "GetTransactionStatus": self._get_transaction_status,
            "TriggerMessage": self._trigger,
            "ReserveNow": self._reserve,
            "CancelReservation": self._cancel_reservation,
            "ClearCache": lambda _: Reply({"status": "Accepted"}),
            "DataTransfer": lambda _: Reply({"status": "UnknownVendorId"}),
        }
        self._profiles = Answers201(station)
        self._handlers |= self._profiles.handlers
        self._handlers |= DeviceModel(station, self._stamp, self.word).handlers

    # Words for what happens.

    def word(self, state: GunState) -> str:
        match state:
            case GunState.AVAILABLE | GunState.RESERVED | GunState.UNAVAILABLE | GunState.FAULTED:
                return state.value
            case _:
                return "Occupied"

    def boot(self, reason: str) -> Message:
        station = {
            "vendorName": VENDOR,
            "model": MODEL,
            "serialNumber": f"SN-{self._station.identity}"[:25],
            "firmwareVersion": FIRMWARE,
            "modem": {"iccid": "", "imsi": ""},
        }
        return _message("BootNotification", {"reason": reason, "chargingStation": station})

    def heartbeat(self) -> Message:
        return _message("Heartbeat", {})

    def status(self, evse_no: int, word: str, at: float, fault: str | None) -> Message:  # noqa: ARG002 - 2.x tells faults by NotifyEvent.
        payload = {
            "timestamp": self._stamp(at),
            "connectorStatus": word,
            "evseId": evse_no,
            "connectorId": 1 if evse_no else 0,
        }
        return _message("StatusNotification", payload)

    def station_status(self, at: float) -> Message | None:  # noqa: ARG002 - part of the protocol.
        return None

    def authorize(self, token: str) -> Message:
        return _message("Authorize", {"idToken": self._id_token(token)})

    def car_token(self, car: Car) -> str | None:
        token = car.vin or car.mac
        if token is not None:
            self._token_types[token.lower()] = self.vin_type if car.vin else self.mac_type
        return token

    def verdict(self, answer: Payload) -> Verdict:
        info = answer.get("idTokenInfo")
        if info is None:
            return Verdict(accepted=True)
        group = info.get("groupIdToken", {}).get("idToken")
        return Verdict(info.get("status") == "Accepted", group)

    def started(self, transaction: Transaction, sample: Sample) -> Message:
        remote = transaction.remote_start_id is not None
        trigger = "RemoteStart" if remote else "Authorized"
        if remote and Misbehaviour.TWO_CALLS_AT_ONCE in self._quirks:
            trigger = "Authorized"
        payload = self._event(transaction, sample.at, "Started", trigger, "EVConnected")
        payload["evse"] = {"id": transaction.evse_no, "connectorId": 1}
        payload["meterValue"] = [self._meter_value(sample, transaction.meter.values(sample))]
        if Misbehaviour.NO_STARTED_TOKEN not in self._quirks:
            payload["idToken"] = self._id_token(transaction.token)
        if remote:
            payload["transactionInfo"]["remoteStartId"] = transaction.remote_start_id
        if transaction.reservation_id is not None:
            payload["reservationId"] = transaction.reservation_id
        return _message("TransactionEvent", payload, durable=True)

    def start_verdict(self, transaction: Transaction, answer: Payload) -> Verdict:  # noqa: ARG002 - as above.
        return self.verdict(answer)

    def charging(self, transaction: Transaction, at: float) -> Message | None:
        payload = self._event(transaction, at, "Updated", "ChargingStateChanged", "Charging")
        return _message("TransactionEvent", payload, durable=True)

    def sampled(self, transaction: Transaction, sample: Sample) -> Message:
        trigger = "Trigger" if sample.context == "Trigger" else "MeterValuePeriodic"
        payload = self._event(transaction, sample.at, "Updated", trigger, "Charging")
        payload["meterValue"] = [self._meter_value(sample, transaction.meter.values(sample))]
        message = _message("TransactionEvent", payload, durable=True)
        message.sample = True
        return message

    def ended(
        self, transaction: Transaction, sample: Sample, cause: StopCause, token: str | None
    ) -> Message:
        trigger, reason = self.endings[cause]
        state = "Idle" if cause is StopCause.UNPLUGGED else "EVConnected"
        payload = self._event(transaction, sample.at, "Ended", trigger, state)
        meter_value = self._meter_value(sample, transaction.meter.values(sample))
        if Misbehaviour.SIGNED_DATA in self._quirks:
            signed = signed_reading(sample, transaction.meter.shown_wh(sample))
            meter_value["sampledValue"][0]["signedMeterValue"] = self._signed(signed)
        payload["meterValue"] = [meter_value]
        if Misbehaviour.NO_STOP_REASON not in self._quirks:
            payload["transactionInfo"]["stoppedReason"] = reason
        if token is not None and Misbehaviour.NO_STOP_TOKEN not in self._quirks:
            payload["idToken"] = self._id_token(token)
        return _message("TransactionEvent", payload, durable=True)

    def bare_samples(self, evse_no: int, sample: Sample) -> Message:
        energy = Value(round(sample.register_wh), "Energy.Active.Import.Register", "Wh", None)
        meter_value = self._meter_value(sample, [energy])
        return _message("MeterValues", {"evseId": evse_no, "meterValue": [meter_value]})

    def reservation_over(self, reservation_id: int, word: str) -> Message | None:
        if word not in self.reservation_words:
            return None
        payload = {"reservationId": reservation_id, "reservationUpdateStatus": word}
        return _message("ReservationStatusUpdate", payload)

    def _event(
        self, transaction: Transaction, at: float, kind: str, trigger: str, state: str
    ) -> Payload:
        seq_no = transaction.events
        transaction.events += 1
        if Misbehaviour.SEQ_NO_ZERO in self._quirks:
            seq_no = 0
        if Misbehaviour.SEQ_NO_SKIPS in self._quirks:
            seq_no += (seq_no + 1) // 5
        payload: Payload = {
            "eventType": kind,
            "timestamp": self._stamp(at),
            "triggerReason": trigger,
            "seqNo": seq_no,
            "transactionInfo": {"transactionId": transaction.reference, "chargingState": state},
        }
        if not self._station.online and Misbehaviour.NO_OFFLINE_FLAG not in self._quirks:
            payload["offline"] = True
        if Misbehaviour.EXTRA_FIELDS in self._quirks:
            payload["vendorExtra"] = {"depth": 1}
        return payload

    def _signed(self, data: str) -> Payload:
        return {
            "signedMeterData": data,
            "signingMethod": "ECDSA-secp256r1-SHA256",
            "encodingMethod": "OCMF",
            "publicKey": "",
        }

    def _meter_value(self, sample: Sample, values: list[Value]) -> Payload:
        return {
            "timestamp": self._stamp(sample.at),
            "sampledValue": [self._sampled_value(value) for value in values],
        }

    def _sampled_value(self, value: Value) -> Payload:
        sampled: Payload = {"value": value.number}
        for name, word in (
            ("context", value.context),
            ("measurand", value.measurand),
            ("phase", value.phase),
        ):
            if word is not None:
                sampled[name] = word
        if value.unit is not None:
            sampled["unitOfMeasure"] = {"unit": value.unit}
        if Misbehaviour.EXTRA_FIELDS in self._quirks:
            sampled["location"] = "Roof"
        return sampled

    def _id_token(self, token: str) -> Payload:
        kind = self._token_types.get(token.lower(), "ISO14443")
        if Misbehaviour.OTHER_TOKEN_TYPE in self._quirks:
            kind = "ISO14443"
        return {"idToken": token, "type": kind}

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
        except KeyError as missing:
            raise Refusal("OccurrenceConstraintViolation", f"{missing} is missing") from missing
        except (TypeError, ValueError, AttributeError) as wrong:
            raise Refusal("FormatViolation", repr(wrong)) from wrong

    def _request_start(self, payload: Payload) -> Reply:
        token = payload["idToken"]
        self._token_types[token["idToken"].lower()] = token["type"]
        afterwards = self._requests.start(
            payload.get("evseId"),
            token["idToken"],
            int(payload["remoteStartId"]),
            self._profiles.start_profile(payload.get("chargingProfile")),
            payload.get("groupIdToken", {}).get("idToken"),
        )
        return Reply({"status": "Rejected" if afterwards is None else "Accepted"}, afterwards)

    def _request_stop(self, payload: Payload) -> Reply:
        transaction = self._running(payload["transactionId"])
        if transaction is None:
            return Reply({"status": "Rejected"})
        return Reply({"status": "Accepted"}, self._requests.stop(transaction))

    def _reset(self, payload: Payload) -> Reply:
        station = self._station
        if "evseId" in payload:
            return Reply({"status": "Rejected"})
        on_idle = {"OnIdle": True, "Immediate": False}[payload["type"]]
        if on_idle and station.charging.busy:
            return Reply({"status": "Scheduled"}, self._requests.reset_when_idle)
        return Reply({"status": "Accepted"}, self._requests.reset(hard=False))

    def _change_availability(self, payload: Payload) -> Reply:
        operative = {"Operative": True, "Inoperative": False}[payload["operationalStatus"]]
        evse_no = payload.get("evse", {}).get("id", 0)
        word, afterwards = self._requests.change_availability(evse_no, operative)
        return Reply({"status": word}, afterwards)

    def _unlock(self, payload: Payload) -> Reply:
        gun = self._requests.find(payload["evseId"])
        if gun is None or payload["connectorId"] != 1:
            return Reply({"status": "UnknownConnector"})
        if gun.transaction is not None:
            return Reply({"status": "OngoingAuthorizedTransaction"})  # F05.FR.02
        return Reply({"status": "Unlocked"}, self._requests.unlock(gun))

    def _get_transaction_status(self, payload: Payload) -> Reply:
        waiting = self._station.messages_waiting
        if "transactionId" not in payload:
            return Reply({"messagesInQueue": waiting})
        running = self._running(payload["transactionId"]) is not None
        return Reply({"ongoingIndicator": running, "messagesInQueue": waiting})

    def _trigger(self, payload: Payload) -> Reply:
        station = self._station
        evse_no = payload.get("evse", {}).get("id")
        guns: list[Gun] = list(station.guns)
        if evse_no is not None:
            guns = [gun for gun in guns if gun.evse_no == evse_no]
        if not guns:
            return Reply({"status": "Rejected"})
        match payload["requestedMessage"]:
            case "BootNotification" if station.uplink.booted:
                return Reply({"status": "Rejected"})  # F06.FR.17
            case "BootNotification":
                messages = [self.boot("Triggered")]
            case "Heartbeat":
                messages = [self.heartbeat()]
            case "StatusNotification":
                messages = [station.charging.status_of(gun) for gun in guns]
            case "MeterValues":
                messages = [station.charging.look_at(gun, "Trigger", apart=True) for gun in guns]
            case "TransactionEvent":
                busy = [gun for gun in guns if gun.transaction is not None]
                messages = [station.charging.look_at(gun, "Trigger") for gun in busy]
            case "LogStatusNotification" | "FirmwareStatusNotification" as action:
                messages = [_message(action, {"status": "Idle"})]
            case _:
                return Reply({"status": "NotImplemented"})
        return Reply({"status": "Accepted"}, lambda: station.uplink.send_now(messages))

    def _reserve(self, payload: Payload) -> Reply:
        token = payload["idToken"]
        self._token_types[token["idToken"].lower()] = token["type"]
        reservation = Reservation(
            int(payload["id"]),
            token["idToken"],
            payload.get("groupIdToken", {}).get("idToken"),
            parse_time(payload["expiryDateTime"]),
        )
        word, afterwards = self._requests.reserve(payload.get("evseId", 0), reservation)
        return Reply({"status": word}, afterwards)

    def _cancel_reservation(self, payload: Payload) -> Reply:
        afterwards = self._requests.cancel_reservation(int(payload["reservationId"]))
        return Reply({"status": "Rejected" if afterwards is None else "Accepted"}, afterwards)

    def _running(self, reference: str) -> Transaction | None:
        for gun in self._station.guns:
            if gun.transaction is not None and gun.transaction.reference == reference:
                return gun.transaction
        return None


def _message(action: str, payload: Payload, *, durable: bool = False) -> Message:
    return Message(action, lambda: payload, durable=durable)
