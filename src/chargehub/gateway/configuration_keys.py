"""OCPP 1.6 configuration keys as variables of the device model, and back. Pure.

A key whose meaning and values are those of a 2.x variable has that variable's name; every other key
is a variable of no component. The station's own key stays visible beside the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chargehub.devices.reports import (
    VariableReported,
    VariablesReported,
    VariablesWritten,
    VariableWritten,
    WriteEffect,
)
from chargehub.gateway.fields import Fields
from chargehub.gateway.translation import Context, Payload, Report, Request
from chargehub.stations.commands import (
    GetVariables,
    InvalidCommand,
    SetVariables,
    UnsupportedByStation,
    VariableName,
)

VALUE_LENGTH = 500


class _Known(NamedTuple):
    component: str
    variable: str
    data_type: str
    instance: str | None = None


_KEYS = {
    "AdditionalRootCertificateCheck": _Known(
        "SecurityCtrlr", "AdditionalRootCertificateCheck", "boolean"
    ),
    "AllowOfflineTxForUnknownId": _Known("AuthCtrlr", "OfflineTxForUnknownIdEnabled", "boolean"),
    "AuthorizationCacheEnabled": _Known("AuthCacheCtrlr", "Enabled", "boolean"),
    "AuthorizationKey": _Known("SecurityCtrlr", "BasicAuthPassword", "string"),
    "AuthorizeRemoteTxRequests": _Known("AuthCtrlr", "AuthorizeRemoteStart", "boolean"),
    "BlinkRepeat": _Known("", "BlinkRepeat", "integer"),
    "CertSigningRepeatTimes": _Known("SecurityCtrlr", "CertSigningRepeatTimes", "integer"),
    "CertSigningWaitMinimum": _Known("SecurityCtrlr", "CertSigningWaitMinimum", "integer"),
    "CertificateSignedMaxChainSize": _Known("SecurityCtrlr", "MaxCertificateChainSize", "integer"),
    "ChargeProfileMaxStackLevel": _Known("SmartChargingCtrlr", "ProfileStackLevel", "integer"),
    "ChargingScheduleMaxPeriods": _Known("SmartChargingCtrlr", "PeriodsPerSchedule", "integer"),
    "ClockAlignedDataInterval": _Known("AlignedDataCtrlr", "Interval", "integer"),
    "ConnectionTimeOut": _Known("TxCtrlr", "EVConnectionTimeOut", "integer"),
    "ConnectorSwitch3to1PhaseSupported": _Known("SmartChargingCtrlr", "Phases3to1", "boolean"),
    "CpoName": _Known("SecurityCtrlr", "OrganizationName", "string"),
    "GetConfigurationMaxKeys": _Known(
        "DeviceDataCtrlr", "ItemsPerMessage", "integer", "GetVariables"
    ),
    "HeartbeatInterval": _Known("OCPPCommCtrlr", "HeartbeatInterval", "integer"),
    "LightIntensity": _Known("", "LightIntensity", "integer"),
    "LocalAuthListEnabled": _Known("LocalAuthListCtrlr", "Enabled", "boolean"),
    "LocalAuthorizeOffline": _Known("AuthCtrlr", "LocalAuthorizeOffline", "boolean"),
    "LocalPreAuthorize": _Known("AuthCtrlr", "LocalPreAuthorize", "boolean"),
    "MaxChargingProfilesInstalled": _Known(
        "SmartChargingCtrlr", "Entries", "integer", "ChargingProfiles"
    ),
    "MaxEnergyOnInvalidId": _Known("TxCtrlr", "MaxEnergyOnInvalidId", "integer"),
    "MeterValueSampleInterval": _Known("SampledDataCtrlr", "TxUpdatedInterval", "integer"),
    "MeterValuesAlignedData": _Known("AlignedDataCtrlr", "Measurands", "MemberList"),
    "MeterValuesSampledData": _Known("SampledDataCtrlr", "TxUpdatedMeasurands", "MemberList"),
    "MinimumStatusDuration": _Known("", "MinimumStatusDuration", "integer"),
    "NumberOfConnectors": _Known("", "NumberOfConnectors", "integer"),
    "ReserveConnectorZeroSupported": _Known("ReservationCtrlr", "NonEvseSpecific", "boolean"),
    "ResetRetries": _Known("OCPPCommCtrlr", "ResetRetries", "integer"),
    "SecurityProfile": _Known("SecurityCtrlr", "SecurityProfile", "integer"),
    "SendLocalListMaxLength": _Known("LocalAuthListCtrlr", "ItemsPerMessage", "integer"),
    "StopTransactionOnEVSideDisconnect": _Known("TxCtrlr", "StopTxOnEVSideDisconnect", "boolean"),
    "StopTransactionOnInvalidId": _Known("TxCtrlr", "StopTxOnInvalidId", "boolean"),
    "StopTxnAlignedData": _Known("AlignedDataCtrlr", "TxEndedMeasurands", "MemberList"),
    "StopTxnSampledData": _Known("SampledDataCtrlr", "TxEndedMeasurands", "MemberList"),
    "SupportedFeatureProfiles": _Known("", "SupportedFeatureProfiles", "MemberList"),
    "TransactionMessageAttempts": _Known(
        "OCPPCommCtrlr", "MessageAttempts", "integer", "TransactionEvent"
    ),
    "TransactionMessageRetryInterval": _Known(
        "OCPPCommCtrlr", "MessageAttemptInterval", "integer", "TransactionEvent"
    ),
    "UnlockConnectorOnEVSideDisconnect": _Known(
        "OCPPCommCtrlr", "UnlockOnEVSideDisconnect", "boolean"
    ),
    "WebSocketPingInterval": _Known("OCPPCommCtrlr", "WebSocketPingInterval", "integer"),
}
"""Keys of 16 9, the security whitepaper and E16J. ChargingScheduleAllowedChargingRateUnit is left
out: it says Current and Power where 2.x says A and W."""

_BY_KEY: Mapping[str, _Known] = {key.lower(): known for key, known in _KEYS.items()}
_BY_NAME: Mapping[str, str] = {
    VariableName(known.component, known.variable, variable_instance=known.instance).key: key
    for key, known in _KEYS.items()
}
_EFFECTS = {
    "Accepted": WriteEffect.APPLIED,
    "RebootRequired": WriteEffect.AFTER_REBOOT,
    "Rejected": WriteEffect.REFUSED,
    "NotSupported": WriteEffect.UNSUPPORTED,
}


def name_of_key(key: str) -> VariableName:
    """Return what the house calls a key; keys are compared without case (CiString)."""
    known = _BY_KEY.get(key.lower())
    if known is None:
        return VariableName("", key)
    return VariableName(known.component, known.variable, variable_instance=known.instance)


def key_of_name(name: VariableName) -> str:
    """Return the key of a variable. Raises UnsupportedByStation: not every variable has one."""
    known = _BY_NAME.get(name.key)
    if known is not None:
        return known
    bare = VariableName("", name.variable)
    if name.component or name.key != bare.key:
        raise UnsupportedByStation(f"This station has no configuration key for {name.path}.")
    return name.variable


def read_configuration(payload: Payload, context: Context) -> Sequence[Report]:
    """Read the answer to GetConfiguration."""
    fields = Fields(payload)
    told = []
    for item in fields.children("configurationKey"):
        key = item.filled("key", 50)
        if key is None:
            continue
        known = _BY_KEY.get(key.lower())
        told.append(
            VariableReported(
                name_of_key(key),
                item.text("value", VALUE_LENGTH),
                mutability="ReadOnly" if item.truth("readonly") else "ReadWrite",
                data_type=None if known is None else known.data_type,
                own_key=key,
            )
        )
    unknown = fields.raw("unknownKey")
    keys = [key for key in unknown if isinstance(key, str)] if isinstance(unknown, list) else []
    answer = VariablesReported(
        context.station_id,
        context.received_at,
        None,
        tuple(told),
        unsupported=tuple(name_of_key(key[:50]) for key in keys if key),
    )
    return (answer,)


def read_change(payload: Payload, context: Context) -> Sequence[Report]:
    """Read the answer to ChangeConfiguration; key and value are those of our request."""
    asked, status = Fields(context.asked or {}), Fields(payload).filled("status", 50)
    key, value = asked.filled("key", 50), asked.text("value", VALUE_LENGTH)
    if key is None or value is None or status is None:
        return ()
    effect = _EFFECTS.get(status, WriteEffect.REFUSED)
    outcome = VariableWritten(name_of_key(key), value, status, effect)
    return (VariablesWritten(context.station_id, context.received_at, (outcome,)),)


def encode_change(command: SetVariables) -> Request:
    if len(command.writes) != 1:
        raise InvalidCommand("This station takes one value in a request")
    (write,) = command.writes
    payload = {"key": key_of_name(write.name), "value": write.value}
    return Request("ChangeConfiguration", payload)


def encode_read(command: GetVariables) -> Request:
    return Request("GetConfiguration", {"key": [key_of_name(name) for name in command.names]})
