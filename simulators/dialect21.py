"""OCPP 2.1 as a station speaks it: what it says and answers otherwise than in 2.0.1."""

from __future__ import annotations

from simulators.client import Payload, Reply
from simulators.dialect201 import ENDINGS, Dialect201
from simulators.gun import StopCause, Transaction


class Dialect21(Dialect201):
    subprotocol = "ocpp2.1"
    reservation_words = frozenset({"Expired", "Removed", "NoTransaction"})
    vin_type, mac_type = "VIN", "EVCCID"
    endings = ENDINGS | {StopCause.TARGET: ("SoCLimitReached", "SOCLimitReached")}

    def _event(
        self, transaction: Transaction, at: float, kind: str, trigger: str, state: str
    ) -> Payload:
        payload = super()._event(transaction, at, kind, trigger, state)
        if kind == "Started":
            payload["preconditioningStatus"] = "Ready"
            payload["transactionInfo"]["operationMode"] = "ChargingOnly"
        return payload

    def _signed(self, data: str) -> Payload:
        # SignedMeterValueType of 2.1: the key may be known already, and the method is within.
        return {"signedMeterData": data, "encodingMethod": "OCMF"}

    def _reset(self, payload: Payload) -> Reply:
        if payload["type"] == "ImmediateAndResume" and self._station.charging.busy:
            return Reply({"status": "Rejected"})  # B13.FR.01: it cannot resume.
        if payload["type"] == "ImmediateAndResume":
            payload = {**payload, "type": "Immediate"}  # B13.FR.02
        return super()._reset(payload)
