"""What an operator may send, and what only an admin may: one rule for every road."""

from __future__ import annotations

from typing import Any

import pytest

from chargehub.stations.commands import VariableName, VariableWrite
from chargehub.stations.rights import needs_admin, writes_need_admin

# The configuration keys of 16 9 and E16J that an operator's day needs, and some of vendors.
OF_OPERATORS = [
    "AllowOfflineTxForUnknownId",
    "AuthorizationCacheEnabled",
    "AuthorizeRemoteTxRequests",
    "BlinkRepeat",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ClockAlignedDataInterval",
    "ConnectionTimeOut",
    "ConnectorPhaseRotation",
    "ConnectorSwitch3to1PhaseSupported",
    "GetConfigurationMaxKeys",
    "HeartbeatInterval",
    "LightIntensity",
    "LocalAuthListEnabled",
    "LocalAuthorizeOffline",
    "LocalPreAuthorize",
    "MaxEnergyOnInvalidId",
    "MeterValueSampleInterval",
    "MeterValuesAlignedData",
    "MeterValuesSampledData",
    "MinimumStatusDuration",
    "ResetRetries",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "StopTxnSampledData",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "UnlockConnectorOnEVSideDisconnect",
    "WebSocketPingInterval",
    "HourlyRate",
    "DisplayLanguage",
    "CurrentPhase",
]
OF_ADMINS = [
    "AdditionalRootCertificateCheck",
    "AuthorizationKey",
    "CentralSystemURL",
    "centralsystemurl",
    "CENTRAL_SYSTEM_URL",
    "CpoName",
    "SecurityProfile",
    "OCPPServerURI",
    "OcppHost",
    "ocpp.server.port",
    "BackendAddress",
    "ChargeBoxIdentity",
    "ChargePointId",
    "GPRS_APN",
    "DNS1",
    "FtpUser",
    "NetworkConfigurationPriority",
    "ProxyPort",
    "UpgradeUrl",
    "vendorurl",
    "WifiSSID",
]


@pytest.mark.parametrize("key", OF_OPERATORS)
def test_an_operator_writes_what_runs_the_hub(key: str) -> None:
    assert not needs_admin("ChangeConfiguration", {"key": key, "value": "Energy.Active.Import"})
    assert not writes_need_admin([VariableWrite(VariableName("", key), "60")])


@pytest.mark.parametrize("key", OF_ADMINS)
def test_only_an_admin_writes_what_a_station_connects_to_by_whatever_key(key: str) -> None:
    assert needs_admin("ChangeConfiguration", {"key": key, "value": "1"})
    assert needs_admin("changeconfiguration", {"key": key, "value": "1"})
    assert writes_need_admin([VariableWrite(VariableName("", key), "1")])


@pytest.mark.parametrize(
    ("value", "admin"),
    [
        ("wss://evil.example/ocpp", True),
        ("FTP://evil.example", True),
        ("use ws://10.0.0.1", True),
        ("203.0.113.7:9000", True),
        ("1.2.3.4", True),
        ("1.2.3", False),
        ("Energy.Active.Import.Register,SoC", False),
        ("300", False),
    ],
)
def test_an_address_is_for_an_admin_under_any_name(value: str, admin: bool) -> None:
    assert needs_admin("ChangeConfiguration", {"key": "X1", "value": value}) is admin
    assert writes_need_admin([VariableWrite(VariableName("Own", "X1"), value)]) is admin


@pytest.mark.parametrize(
    ("component", "variable", "admin"),
    [
        ("NetworkConfiguration", "OcppCsmsUrl", True),
        ("NetworkConfiguration", "MessageTimeout", True),
        ("networkconfiguration", "ocppinterface", True),
        ("SecurityCtrlr", "Identity", True),
        ("SecurityCtrlr", "OrganizationName", True),
        ("SecurityCtrlr", "BasicAuthPassword", True),
        ("OCPPCommCtrlr", "NetworkConfigurationPriority", True),
        ("ClockCtrlr", "NtpServerUri", True),
        ("WebPaymentsCtrlr", "URLTemplate", True),
        ("OCPPCommCtrlr", "HeartbeatInterval", False),
        ("SampledDataCtrlr", "TxUpdatedMeasurands", False),
        ("AlignedDataCtrlr", "SendDuringIdle", False),
        ("TxCtrlr", "EVConnectionTimeOut", False),
        ("SmartChargingCtrlr", "LimitChangeSignificance", False),
    ],
)
def test_variables_of_2x(component: str, variable: str, admin: bool) -> None:
    named = {"component": {"name": component}, "variable": {"name": variable}}
    harmless = {"component": {"name": "TxCtrlr"}, "variable": {"name": "TxStartPoint"}}
    data = [{**harmless, "attributeValue": "x"}, {**named, "attributeValue": "1"}]
    for attribute in ({}, {"attributeType": "Target"}):
        request = {"setVariableData": [data[0], {**data[1], **attribute}]}
        assert needs_admin("SetVariables", request) is admin
    writes = [VariableWrite(VariableName(component, variable, component_instance="1"), "1")]
    assert writes_need_admin(writes) is admin


@pytest.mark.parametrize(
    "action",
    ["DataTransfer", "GetDiagnostics", "GetLog", "SetNetworkProfile", "UpdateFirmware", "getlog"],
)
def test_actions_of_admins(action: str) -> None:
    assert needs_admin(action, {})


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("Reset", {"type": "Soft"}),
        ("GetConfiguration", {"key": ["CentralSystemURL"]}),
        ("GetVariables", {"getVariableData": [{"variable": {"name": "Identity"}}]}),
        ("ChangeConfiguration", {}),
        ("SetVariables", {"setVariableData": "nonsense"}),
        ("SetVariables", {"setVariableData": ["nonsense", {"variable": "nonsense"}]}),
    ],
)
def test_the_rest_is_for_operators(action: str, payload: dict[str, Any]) -> None:
    assert not needs_admin(action, payload)
