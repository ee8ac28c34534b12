"""Version-free commands to OCPP 2.x. Pure. What stations say is read in `translate_v201`."""

from __future__ import annotations

from collections.abc import Mapping

from chargehub.gateway.device_model import encode_get_variables, encode_set_variables
from chargehub.gateway.messages import encode_cancel_reservation, encode_clear_cache
from chargehub.gateway.profiles_v201 import ENCODERS as PROFILE_ENCODERS
from chargehub.gateway.profiles_v201 import encode_profile
from chargehub.gateway.translation import Encoder, Payload, Request
from chargehub.kit.datetimes import format_datetime
from chargehub.stations.commands import (
    CancelReservation,
    ChangeAvailability,
    ChangeCredential,
    ClearCache,
    GetTransactionStatus,
    GetVariables,
    InvalidCommand,
    ReportInventory,
    RequestStartTransaction,
    RequestStopTransaction,
    ReserveNow,
    ResetStation,
    SetVariables,
    TriggerMessage,
    UnlockConnector,
)

ID_TOKEN_LIMIT = 36
CENTRAL = "Central"


def _token(text: str, kind: str | None, limit: int) -> Payload:
    if len(text) > limit:
        raise InvalidCommand(f"This station's protocol takes idTokens of {limit} characters")
    return {"idToken": text, "type": kind or CENTRAL}


def encode_start(command: RequestStartTransaction, id_token_limit: int = ID_TOKEN_LIMIT) -> Request:
    payload: Payload = {
        "idToken": _token(command.id_token, command.id_token_type, id_token_limit),
        "remoteStartId": command.remote_start_id,
    }
    if command.evse_no is not None:
        payload["evseId"] = command.evse_no
    if command.group_id_token is not None:
        payload["groupIdToken"] = _token(command.group_id_token, CENTRAL, id_token_limit)
    if command.charging_profile is not None:
        payload["chargingProfile"] = encode_profile(command.charging_profile)
    return Request("RequestStartTransaction", payload)


def _encode_stop(command: RequestStopTransaction) -> Request:
    return Request("RequestStopTransaction", {"transactionId": command.transaction_ref})


def _encode_reset(command: ResetStation) -> Request:
    return Request("Reset", {"type": command.kind.value})


def _encode_availability(command: ChangeAvailability) -> Request:
    payload: Payload = {"operationalStatus": "Operative" if command.operative else "Inoperative"}
    if command.evse_no:  # Without an EVSE it is the whole station.
        payload["evse"] = {"id": command.evse_no}
        if command.connector_no:
            payload["evse"]["connectorId"] = command.connector_no
    return Request("ChangeAvailability", payload)


def _encode_unlock(command: UnlockConnector) -> Request:
    return Request(
        "UnlockConnector", {"evseId": command.evse_no, "connectorId": command.connector_no}
    )


def encode_reserve(command: ReserveNow, id_token_limit: int = ID_TOKEN_LIMIT) -> Request:
    payload: Payload = {
        "id": command.reservation_id,
        "expiryDateTime": format_datetime(command.expires_at),
        "idToken": _token(command.id_token, command.id_token_type, id_token_limit),
    }
    if command.evse_no:
        payload["evseId"] = command.evse_no
    if command.group_id_token is not None:
        payload["groupIdToken"] = _token(command.group_id_token, CENTRAL, id_token_limit)
    return Request("ReserveNow", payload)


def _encode_trigger(command: TriggerMessage) -> Request:
    payload: Payload = {"requestedMessage": command.message}
    if command.evse_no:
        payload["evse"] = {"id": command.evse_no}
    if command.message == "StatusNotification":
        if not command.evse_no:
            raise InvalidCommand("This station tells the status of one connector at a time")
        payload["evse"]["connectorId"] = 1  # F06.FR.13; our EVSEs have one connector.
    return Request("TriggerMessage", payload)


def _encode_transaction_status(command: GetTransactionStatus) -> Request:
    ref = command.transaction_ref
    return Request("GetTransactionStatus", {} if ref is None else {"transactionId": ref})


def _encode_inventory(command: ReportInventory) -> Request:
    payload = {"requestId": command.request_id, "reportBase": "FullInventory"}  # B07.FR.14
    return Request("GetBaseReport", payload)


def _encode_credential(command: ChangeCredential) -> Request:
    """A01.FR.02."""
    item = {
        "component": {"name": "SecurityCtrlr"},
        "variable": {"name": "BasicAuthPassword"},
        "attributeValue": command.password,
    }
    return Request("SetVariables", {"setVariableData": [item]})


ENCODERS: Mapping[type, Encoder] = {
    RequestStartTransaction: encode_start,
    RequestStopTransaction: _encode_stop,
    ResetStation: _encode_reset,
    ChangeAvailability: _encode_availability,
    UnlockConnector: _encode_unlock,
    ReserveNow: encode_reserve,
    CancelReservation: encode_cancel_reservation,
    ClearCache: encode_clear_cache,
    TriggerMessage: _encode_trigger,
    GetTransactionStatus: _encode_transaction_status,
    ReportInventory: _encode_inventory,
    **PROFILE_ENCODERS,
    ChangeCredential: _encode_credential,
    SetVariables: encode_set_variables,
    GetVariables: encode_get_variables,
}
