"""A station's settings under both of their names: 1.6 keys and 2.x component variables."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import dataclass

from simulators.misbehaviour import Misbehaviour, Quirks


@dataclass(slots=True)
class Setting:
    key: str
    component: str
    variable: str
    value: str
    data_type: str = "integer"
    writable: bool = True
    readable: bool = True
    instance: str | None = None
    unit: str | None = None
    low: int | None = None
    high: int | None = None
    needs_reboot: bool = False
    waiting: str | None = None
    """A value that is taken at the next boot."""
    variable_value: str | None = None
    """What the variable says where its words are not those of the key."""
    counted: Sized | None = None
    """What the variable counts where the key is the most of it."""

    @property
    def as_variable(self) -> str:
        if self.counted is not None:
            return str(len(self.counted))
        return self.value if self.variable_value is None else self.variable_value

    def accepts(self, value: str) -> bool:
        match self.data_type:
            case "integer":
                return value.isdecimal() and (self.low or 0) <= int(value) < 2**31
            case "boolean":
                return value.lower() in {"true", "false"}
            case _:
                return len(value) <= 1000


MAX_READS = 10
MAX_WRITES = 4


def _communication() -> Iterator[Setting]:
    yield Setting("HeartbeatInterval", "OCPPCommCtrlr", "HeartbeatInterval", "300", unit="s", low=1)
    yield Setting(
        "WebSocketPingInterval",
        "OCPPCommCtrlr",
        "WebSocketPingInterval",
        "30",
        unit="s",
        needs_reboot=True,
    )
    yield Setting(
        "TransactionMessageAttempts",
        "OCPPCommCtrlr",
        "MessageAttempts",
        "3",
        instance="TransactionEvent",
    )
    yield Setting(
        "TransactionMessageRetryInterval",
        "OCPPCommCtrlr",
        "MessageAttemptInterval",
        "2",
        instance="TransactionEvent",
    )
    yield Setting(
        "GetConfigurationMaxKeys",
        "DeviceDataCtrlr",
        "ItemsPerMessage",
        str(MAX_READS),
        writable=False,
        instance="GetVariables",
    )
    # It has no key: 1.6 writes one value at a time.
    yield Setting(
        "",
        "DeviceDataCtrlr",
        "ItemsPerMessage",
        str(MAX_WRITES),
        writable=False,
        instance="SetVariables",
    )


def _settings() -> Iterator[Setting]:
    yield from _communication()
    yield Setting("ConnectionTimeOut", "TxCtrlr", "EVConnectionTimeOut", "120")
    yield Setting("MeterValueSampleInterval", "SampledDataCtrlr", "TxUpdatedInterval", "10")
    yield Setting(
        "MeterValuesSampledData",
        "SampledDataCtrlr",
        "TxUpdatedMeasurands",
        "Energy.Active.Import.Register,Power.Active.Import,Voltage,Current.Import,SoC",
        "MemberList",
        writable=False,
    )
    yield Setting("ClockAlignedDataInterval", "AlignedDataCtrlr", "Interval", "0")
    yield Setting(
        "AuthorizeRemoteTxRequests", "AuthCtrlr", "AuthorizeRemoteStart", "false", "boolean"
    )
    yield Setting("LocalAuthorizeOffline", "AuthCtrlr", "LocalAuthorizeOffline", "true", "boolean")
    yield Setting(
        "AllowOfflineTxForUnknownId", "AuthCtrlr", "OfflineTxForUnknownIdEnabled", "true", "boolean"
    )
    yield Setting("StopTransactionOnInvalidId", "TxCtrlr", "StopTxOnInvalidId", "true", "boolean")
    yield Setting(
        "ReserveConnectorZeroSupported",
        "ReservationCtrlr",
        "NonEvseSpecific",
        "false",
        "boolean",
        writable=False,
    )
    # 1.6 says it by its feature profiles.
    for variable in ("Available", "Enabled"):
        yield Setting("", "ReservationCtrlr", variable, "true", "boolean", writable=False)
    yield Setting("NumberOfConnectors", "ChargingStation", "NumberOfEvses", "2", writable=False)
    yield Setting(
        "SupportedFeatureProfiles",
        "ChargingStation",
        "SupportedFeatureProfiles",
        "Core,Reservation,RemoteTrigger,SmartCharging",
        "MemberList",
        writable=False,
    )
    yield Setting("SupplyPower", "ChargingStation", "Power", "120000", writable=False)
    yield from _smart_charging()
    yield Setting(
        "AuthorizationKey", "SecurityCtrlr", "BasicAuthPassword", "", "string", readable=False
    )


def _smart_charging() -> Iterator[Setting]:
    for key, variable, value in (
        ("ChargeProfileMaxStackLevel", "ProfileStackLevel", "8"),
        ("ChargingScheduleMaxPeriods", "PeriodsPerSchedule", "24"),
    ):
        yield Setting(key, "SmartChargingCtrlr", variable, value, writable=False)
    yield Setting(
        "MaxChargingProfilesInstalled",
        "SmartChargingCtrlr",
        "Entries",
        "12",
        writable=False,
        instance="ChargingProfiles",
        high=12,
    )
    yield Setting(
        "ChargingScheduleAllowedChargingRateUnit",
        "SmartChargingCtrlr",
        "RateUnit",
        "Current,Power",
        "MemberList",
        writable=False,
        variable_value="A,W",
    )


class Configuration:
    def __init__(self, quirks: Quirks, *, sample_interval_s: int) -> None:
        self._quirks = quirks
        self._settings = {s.key or f"{s.component}.{s.variable}": s for s in _settings()}
        if Misbehaviour.NO_RESERVATIONS in quirks:
            self._settings["SupportedFeatureProfiles"].value = "Core,RemoteTrigger,SmartCharging"
            self._settings["ReservationCtrlr.Available"].value = "false"
            self._settings["ReservationCtrlr.Enabled"].value = "false"
        self._settings["MeterValueSampleInterval"].value = str(sample_interval_s)

    def count_profiles(self, held: Sized) -> None:
        """Let the variable tell how many charging profiles there are; its key is the most."""
        self._settings["MaxChargingProfilesInstalled"].counted = held

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._settings.values())

    def find(self, key: str) -> Setting | None:
        wanted = key.lower()
        return next((s for s in self.keyed() if s.key.lower() == wanted), None)

    def keyed(self) -> Iterator[Setting]:
        """Iterate over the settings that have a 1.6 key."""
        return (setting for setting in self if setting.key)

    def find_variable(
        self, component: str, variable: str, instance: str | None = None
    ) -> Setting | None:
        wanted = (component.lower(), variable.lower(), (instance or "").lower())
        return next((setting for setting in self if _name(setting) == wanted), None)

    def knows_component(self, component: str) -> bool:
        return any(setting.component.lower() == component.lower() for setting in self)

    def integer(self, key: str) -> int:
        value = self._settings[key].value
        # A station that took "abc" reads it as 0, as the firmware seen in the field does.
        return int(value) if value.isdecimal() else 0

    def text(self, key: str) -> str:
        return self._settings[key].value

    def set_heartbeat(self, interval_s: int) -> None:
        self._settings["HeartbeatInterval"].value = str(interval_s)

    def flag(self, key: str) -> bool:
        return self._settings[key].value.lower() == "true"

    def write(self, setting: Setting, value: str) -> str:
        """Write a setting and return the status word, which is that of both versions."""
        gullible = Misbehaviour.ACCEPT_ANY_SETTING in self._quirks or (
            Misbehaviour.HEARTBEAT_FLOOD in self._quirks and setting.key == "HeartbeatInterval"
        )
        if not gullible and not (setting.writable and setting.accepts(value)):
            return "Rejected"
        if setting.needs_reboot:
            setting.waiting = value
            return "RebootRequired"
        setting.value = value
        return "Accepted"

    def reboot(self) -> None:
        """Take the values that waited for it."""
        for setting in self:
            if setting.waiting is not None:
                setting.value, setting.waiting = setting.waiting, None


def _name(setting: Setting) -> tuple[str, str, str]:
    return (
        setting.component.lower(),
        setting.variable.lower(),
        (setting.instance or "").lower(),
    )
