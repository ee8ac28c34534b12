"""What the name of a variable or of a configuration key stands for: the one place that knows. Pure.

A key whose meaning and values are those of a 2.x variable is that variable, whatever station it is
asked of; every other key is a variable of no component. Names are taken through `meant` where they
enter, so that checks, look-ups and records speak of one variable by one name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from chargehub.stations.commands import VariableName


class _Known(NamedTuple):
    component: str
    variable: str
    data_type: str
    instance: str | None = None

    @property
    def name(self) -> VariableName:
        return VariableName(self.component, self.variable, variable_instance=self.instance)


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
"""Keys of 16 9, the security whitepaper and E16J. Left out are
ChargingScheduleAllowedChargingRateUnit, which says Current and Power where 2.x says A and W, and
MaxChargingProfilesInstalled: 2.x has a count (Entries) and the most of it as its maxLimit."""

_BY_KEY: Mapping[str, _Known] = {key.lower(): known for key, known in _KEYS.items()}
_BY_PATH: Mapping[str, VariableName] = {known.name.key: known.name for known in _KEYS.values()}
_KEY_OF: Mapping[str, str] = {known.name.key: key for key, known in _KEYS.items()}


def meant(name: VariableName) -> VariableName:
    """Return the variable that a name stands for; keys are compared without case (CiString).

    A variable without component is a key: of a standard variable, where the hub knows it as one.
    """
    actual = replace(name, attribute=VariableName("", "").attribute)
    known = _BY_KEY.get(name.variable.lower())
    if known is not None and actual.key == VariableName("", name.variable).key:
        standard: VariableName | None = known.name
    else:
        # Two names of one path are one variable: the key "TxCtrlr.EVConnectionTimeOut" too.
        standard = _BY_PATH.get(actual.key)
    return name if standard is None else replace(standard, attribute=name.attribute)


def name_of_key(key: str) -> VariableName:
    """Return what the house calls a configuration key."""
    return meant(VariableName("", key))


def standard_key(name: VariableName) -> str | None:
    """Return the standard key of a variable, if it has one."""
    return _KEY_OF.get(name.key)


def type_of_key(key: str) -> str | None:
    """Return the data type of a standard key."""
    known = _BY_KEY.get(key.lower())
    return None if known is None else known.data_type
