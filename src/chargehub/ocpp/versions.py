"""Which OCPP versions are spoken, and the rules by which their RPC layers differ.

A further version is a member of `OcppVersion` and a row of `DIALECTS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from chargehub.ocpp.errors import V16_SPELLINGS, ErrorCode, read_error_code
from chargehub.ocpp.frames import RPC_TYPES, RPC_TYPES_OF_2_1


class OcppVersion(StrEnum):
    """The value is the WebSocket subprotocol's name."""

    V16 = "ocpp1.6"
    V201 = "ocpp2.0.1"
    V21 = "ocpp2.1"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the RPC layer of one version does differently."""

    version: OcppVersion
    schema_folder: str
    """Folder of the `ocpp` package that holds the official JSON schemas."""
    request_suffix: str
    """How the schema files of requests end; those of responses end in `Response`."""
    station_requests: frozenset[str]
    """Actions only a station may ask for: we never send them. DataTransfer goes both ways."""
    message_types: frozenset[int]
    answers_unreadable: bool
    """An unreadable frame gets CALLERROR "-1" (P4 4.2.3); 1.6 prescribes nothing."""
    answers_unknown_types: bool
    """An unknown message type gets a CALLERROR (2.0.1 P4 4.4); elsewhere it is ignored."""
    signed_actions: bool
    """`X-Signed` stands for X (P4 7.2)."""
    refuses_results: bool = False
    """An invalid CALLRESULT gets a CALLRESULTERROR (2.1 P2 FR.06); before, there was no such."""
    sends: frozenset[str] = frozenset()
    """Messages that travel as SEND (2.1 P4 4.2.4): no request has their name."""
    spellings: Mapping[ErrorCode, str] = field(default_factory=dict)

    def spell(self, code: ErrorCode | str) -> str:
        """Return this version's word for it; what no standard knows stays as it is."""
        reading = read_error_code(code)
        if isinstance(reading, ErrorCode):
            return self.spellings.get(reading, reading.value)
        return reading


_STATION_REQUESTS_OF_ALL = frozenset(
    {
        "Authorize",
        "BootNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignCertificate",
        "StatusNotification",
    }
)

_STATION_REQUESTS_OF_2_0_1 = _STATION_REQUESTS_OF_ALL | {
    "ClearedChargingLimit",
    "Get15118EVCertificate",
    "GetCertificateStatus",
    "NotifyChargingLimit",
    "NotifyCustomerInformation",
    "NotifyDisplayMessages",
    "NotifyEVChargingNeeds",
    "NotifyEVChargingSchedule",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "NotifyReport",
    "PublishFirmwareStatusNotification",
    "ReportChargingProfiles",
    "ReservationStatusUpdate",
    "TransactionEvent",
}

DIALECTS: Mapping[OcppVersion, Dialect] = MappingProxyType(
    {
        OcppVersion.V16: Dialect(
            version=OcppVersion.V16,
            schema_folder="v16",
            request_suffix="",
            station_requests=_STATION_REQUESTS_OF_ALL
            | {
                "DiagnosticsStatusNotification",
                "SignedFirmwareStatusNotification",
                "StartTransaction",
                "StopTransaction",
            },
            message_types=RPC_TYPES,
            answers_unreadable=False,
            answers_unknown_types=False,
            signed_actions=False,
            spellings=V16_SPELLINGS,
        ),
        OcppVersion.V201: Dialect(
            version=OcppVersion.V201,
            schema_folder="v201",
            request_suffix="Request",
            station_requests=_STATION_REQUESTS_OF_2_0_1,
            message_types=RPC_TYPES,
            answers_unreadable=True,
            answers_unknown_types=True,
            signed_actions=True,
        ),
        OcppVersion.V21: Dialect(
            version=OcppVersion.V21,
            schema_folder="v21",
            request_suffix="Request",
            station_requests=_STATION_REQUESTS_OF_2_0_1
            | {
                "BatterySwap",
                "ClosePeriodicEventStream",
                "GetCertificateChainStatus",
                "NotifyDERAlarm",
                "NotifyDERStartStop",
                "NotifyPriorityCharging",
                "NotifySettlement",
                "OpenPeriodicEventStream",
                "PullDynamicScheduleUpdate",
                "ReportDERControl",
                "VatNumberValidation",
            },
            message_types=RPC_TYPES_OF_2_1,
            answers_unreadable=True,
            # 2.1 P4 4.1.3, 4.4: ignored again, as in 1.6.
            answers_unknown_types=False,
            signed_actions=True,
            refuses_results=True,
            sends=frozenset({"NotifyPeriodicEventStream"}),
        ),
    }
)


def choose_version(offers: Iterable[str]) -> OcppVersion | None:
    """Pick the first of the client's subprotocols that we speak (P4 3.1.2): its order decides."""
    for offer in offers:
        try:
            return OcppVersion(offer.strip())
        except ValueError:
            continue
    return None
