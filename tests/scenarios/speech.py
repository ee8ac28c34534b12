"""What a station says about one transaction, in the words of each version; no socket, no state.

A scenario is written once in the words of `Speech`; the versions differ in how they render it.
What 2.1 says beyond 2.0.1 is `Speech21`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from simulators import dialects
from simulators.clock import rfc3339

Payload = dict[str, Any]

V16, V201, V21 = dialects.V16, dialects.V201, dialects.V21
VERSIONS = (V16, V201, V21)
V2X = (V201, V21)

ENERGY = "Energy.Active.Import.Register"


class Message(NamedTuple):
    action: str
    payload: Payload


class Verdict(NamedTuple):
    """What the hub said of a token; status None is an answer without idTagInfo / idTokenInfo."""

    status: str | None
    group: str | None = None


@dataclass(slots=True)
class Session:
    """One transaction as its station sees it. 1.6 learns `number` from the answer."""

    evse_no: int
    token: str
    reference: str = field(default_factory=lambda: str(uuid4()))
    number: int | None = None
    events: int = 0


class Speech(Protocol):
    version: str

    def boot(self) -> Message: ...

    def status(self, evse_no: int, word: str, at: float | None) -> Message:
        """A status; `word` is one both versions know."""

    def authorize(self, token: str) -> Message: ...

    def started(self, session: Session, at: float, register_wh: int, **more: Any) -> Message: ...

    def sampled(self, session: Session, at: float, values: list[Payload]) -> Message:
        """A sample of the session; `values` are sampledValue elements by `value`."""

    def bare(self, evse_no: int, at: float, values: list[Payload]) -> Message:
        """Meter values that name no transaction."""

    def ended(
        self, session: Session, at: float, register_wh: int | None, **more: Any
    ) -> Message: ...

    def value(self, number: float, **more: Any) -> Payload:
        """One sampled value; `unit=None` leaves the unit out."""

    def learn(self, session: Session, answer: Payload) -> None: ...

    def verdict(self, answer: Payload) -> Verdict: ...


class Speech16:
    version = V16

    def boot(self) -> Message:
        return Message("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})

    def status(self, evse_no: int, word: str, at: float | None) -> Message:
        payload: Payload = {"connectorId": evse_no, "status": word, "errorCode": "NoError"}
        if at is not None:
            payload["timestamp"] = rfc3339(at)
        return Message("StatusNotification", payload)

    def authorize(self, token: str) -> Message:
        return Message("Authorize", {"idTag": token})

    def started(self, session: Session, at: float, register_wh: int, **more: Any) -> Message:
        payload: Payload = {
            "connectorId": session.evse_no,
            "idTag": session.token,
            "meterStart": register_wh,
            "timestamp": rfc3339(at),
        }
        if "reservation_id" in more:
            payload["reservationId"] = more["reservation_id"]
        return Message("StartTransaction", payload)

    def sampled(self, session: Session, at: float, values: list[Payload]) -> Message:
        element = {"timestamp": rfc3339(at), "sampledValue": values}
        payload = {
            "connectorId": session.evse_no,
            "transactionId": -1 if session.number is None else session.number,
            "meterValue": [element],
        }
        return Message("MeterValues", payload)

    def bare(self, evse_no: int, at: float, values: list[Payload]) -> Message:
        element = {"timestamp": rfc3339(at), "sampledValue": values}
        return Message("MeterValues", {"connectorId": evse_no, "meterValue": [element]})

    def ended(self, session: Session, at: float, register_wh: int | None, **more: Any) -> Message:
        payload: Payload = {
            "transactionId": -1 if session.number is None else session.number,
            "meterStop": register_wh,
            "timestamp": rfc3339(at),
            "reason": more.get("reason", "Local"),
        }
        if register_wh is None:
            del payload["meterStop"]
        if more.get("token", session.token) is not None:
            payload["idTag"] = more.get("token", session.token)
        return Message("StopTransaction", payload)

    def value(self, number: float, **more: Any) -> Payload:
        value = {"value": str(number), "measurand": ENERGY, "unit": "Wh", **more}
        return {name: word for name, word in value.items() if word is not None}

    def learn(self, session: Session, answer: Payload) -> None:
        session.number = answer["transactionId"]

    def verdict(self, answer: Payload) -> Verdict:
        info = answer.get("idTagInfo", {})
        return Verdict(info.get("status"), info.get("parentIdTag"))


class Speech201:
    version = V201

    def boot(self) -> Message:
        station = {"vendorName": "V", "model": "M"}
        return Message("BootNotification", {"reason": "PowerUp", "chargingStation": station})

    def status(self, evse_no: int, word: str, at: float | None) -> Message:
        # 2.x has no status without a timestamp; an empty one says as little.
        payload = {
            "evseId": evse_no,
            "connectorId": min(evse_no, 1),
            "connectorStatus": word,
            "timestamp": "" if at is None else rfc3339(at),
        }
        return Message("StatusNotification", payload)

    def authorize(self, token: str) -> Message:
        return Message("Authorize", {"idToken": self._token(token)})

    def started(self, session: Session, at: float, register_wh: int, **more: Any) -> Message:
        payload = self.event(session, "Started", at, **{"trigger": "Authorized", **more})
        payload["evse"] = {"id": session.evse_no, "connectorId": 1}
        if more.get("token", session.token) is not None:
            payload["idToken"] = self._token(more.get("token", session.token))
        value = self.value(register_wh, context="Transaction.Begin")
        payload["meterValue"] = [{"timestamp": rfc3339(at), "sampledValue": [value]}]
        return Message("TransactionEvent", payload)

    def sampled(self, session: Session, at: float, values: list[Payload]) -> Message:
        payload = self.event(session, "Updated", at, trigger="MeterValuePeriodic")
        payload["meterValue"] = [{"timestamp": rfc3339(at), "sampledValue": values}]
        return Message("TransactionEvent", payload)

    def bare(self, evse_no: int, at: float, values: list[Payload]) -> Message:
        element = {"timestamp": rfc3339(at), "sampledValue": values}
        return Message("MeterValues", {"evseId": evse_no, "meterValue": [element]})

    def ended(self, session: Session, at: float, register_wh: int | None, **more: Any) -> Message:
        payload = self.event(session, "Ended", at, **{"trigger": "StopAuthorized", **more})
        payload["transactionInfo"]["stoppedReason"] = more.get("reason", "Local")
        if more.get("token", session.token) is not None:
            payload["idToken"] = self._token(more.get("token", session.token))
        if register_wh is not None:
            value = self.value(register_wh, context="Transaction.End")
            payload["meterValue"] = [{"timestamp": rfc3339(at), "sampledValue": [value]}]
        return Message("TransactionEvent", payload)

    def event(self, session: Session, kind: str, at: float, **more: Any) -> Payload:
        info: Payload = {"transactionId": session.reference}
        payload: Payload = {
            "eventType": kind,
            "timestamp": rfc3339(at),
            "triggerReason": more.get("trigger", "ChargingStateChanged"),
            "seqNo": more.get("seq_no", session.events),
            "transactionInfo": info,
        }
        session.events += 1
        if "remote_start_id" in more:
            info["remoteStartId"] = more["remote_start_id"]
        if "charging_state" in more:
            info["chargingState"] = more["charging_state"]
        if "reservation_id" in more:
            payload["reservationId"] = more["reservation_id"]
        if more.get("offline"):
            payload["offline"] = True
        return payload

    def value(self, number: float, **more: Any) -> Payload:
        value = {"value": number, "measurand": ENERGY, "unit": "Wh", **more}
        unit = value.pop("unit")
        if unit is not None:
            value["unitOfMeasure"] = {"unit": unit}
        return {name: word for name, word in value.items() if word is not None}

    def learn(self, session: Session, answer: Payload) -> None:
        """Learn nothing: the station named the transaction itself."""

    def verdict(self, answer: Payload) -> Verdict:
        info = answer.get("idTokenInfo", {})
        return Verdict(info.get("status"), info.get("groupIdToken", {}).get("idToken"))

    def _token(self, token: str) -> Payload:
        return {"idToken": token, "type": "ISO14443"}


class Speech21(Speech201):
    """With a word of its own in every event, so that nothing 2.0.1 does not know can trip us."""

    version = V21

    def event(self, session: Session, kind: str, at: float, **more: Any) -> Payload:
        payload = super().event(session, kind, at, **more)
        payload["evseSleep"] = False
        payload["transactionInfo"]["operationMode"] = "ChargingOnly"
        return payload

    def _token(self, token: str) -> Payload:
        # IdTokenType.type is free text in 2.1.
        return {"idToken": token, "type": "VendorTag"}


SPEECHES_2X: dict[str, type[Speech201]] = {V201: Speech201, V21: Speech21}
SPEECHES: dict[str, type[Speech16 | Speech201]] = {V16: Speech16, **SPEECHES_2X}


def moment(at: float) -> datetime:
    """Return the time as the database gives it back: milliseconds are all a station tells."""
    return datetime.fromisoformat(rfc3339(at))
