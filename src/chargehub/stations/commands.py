"""What we ask of a station, in version-free words, and the port that carries it.

`StationLink` is implemented by the gateway. A command the station's protocol cannot express is
UnsupportedByStation: callers ask for a capability and never for a version.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from chargehub.kit.errors import ChargeHubError, Conflict, InvalidInput
from chargehub.stations.profiles import ChargingProfile, ProfilePurpose, RateUnit


class StationOffline(Conflict):
    """The station is not connected."""

    code = "station-offline"


class UnsupportedByStation(Conflict):
    """The station cannot do this."""

    code = "unsupported-by-station"


class StationNotAccepted(Conflict):
    """The station is not accepted yet, so it may not be commanded."""

    code = "station-not-accepted"


class StationBusy(ChargeHubError):
    """Too many commands wait for this station already."""

    code = "station-busy"
    status = 503


class StationTimeout(ChargeHubError):
    """The station did not answer in time."""

    code = "station-timeout"
    status = 504


class StationAnswerError(ChargeHubError):
    """The station answered with an error."""

    code = "station-error"
    status = 502


class CommandOutcome(StrEnum):
    """What became of a command; the station's own word is its `status`. Stored and told as it is.

    It is first `pending`, or `queued` where it waits for its station; the others are its end.
    """

    QUEUED = "queued"
    PENDING = "pending"
    ANSWERED = "answered"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"
    TIMEOUT = "timeout"
    OFFLINE = "offline"
    UNKNOWN = "unknown"
    """It may have left, and the connection ended or we were restarted."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REPLACED = "replaced"
    """By a later durable command that wants the same."""


class CommandNotDurable(InvalidInput):
    """This command may not wait for a station's return."""

    code = "command-not-durable"


class CommandKeptInBooks(InvalidInput):
    """The hub keeps books of what this changes; `endpoint` sends it and records it."""

    code = "command-kept-in-books"


class CommandQueueFull(Conflict):
    """Too many commands wait for this station's return already."""

    code = "command-queue-full"


class CommandNotQueued(Conflict):
    """The command does not wait any more."""

    code = "command-not-queued"


class InvalidCommand(InvalidInput):
    """The command's payload does not match the station's protocol."""

    code = "invalid-command"


class ResetKind(StrEnum):
    IMMEDIATE = "Immediate"
    ON_IDLE = "OnIdle"


@dataclass(frozen=True, slots=True)
class RequestStartTransaction:
    id_token: str
    id_token_type: str | None
    remote_start_id: int
    evse_no: int | None = None
    group_id_token: str | None = None
    charging_profile: ChargingProfile | None = None
    """A TxProfile for the transaction to come, without transaction (F01.FR.09/11)."""


@dataclass(frozen=True, slots=True)
class RequestStopTransaction:
    transaction_ref: str
    """The id the station knows the transaction by."""


@dataclass(frozen=True, slots=True)
class ResetStation:
    kind: ResetKind


@dataclass(frozen=True, slots=True)
class ChangeAvailability:
    operative: bool
    evse_no: int = 0
    connector_no: int | None = None


@dataclass(frozen=True, slots=True)
class UnlockConnector:
    evse_no: int
    connector_no: int = 1


@dataclass(frozen=True, slots=True)
class ReserveNow:
    reservation_id: int
    expires_at: datetime
    id_token: str
    id_token_type: str | None = None
    group_id_token: str | None = None
    evse_no: int | None = None


@dataclass(frozen=True, slots=True)
class CancelReservation:
    reservation_id: int


@dataclass(frozen=True, slots=True)
class ClearCache:
    pass


@dataclass(frozen=True, slots=True)
class TriggerMessage:
    message: str
    evse_no: int | None = None


@dataclass(frozen=True, slots=True)
class GetTransactionStatus:
    transaction_ref: str | None = None


@dataclass(frozen=True, slots=True)
class ReportInventory:
    """Ask for every variable or configuration key; the reports arrive by themselves."""

    request_id: int


@dataclass(frozen=True, slots=True)
class SetChargingProfile:
    evse_no: int
    """0 is the whole station."""
    profile: ChargingProfile


@dataclass(frozen=True, slots=True)
class ClearChargingProfile:
    """Clear the profile of this id, else all that match every criterion given."""

    profile_id: int | None = None
    evse_no: int | None = None
    purpose: ProfilePurpose | None = None
    stack_level: int | None = None


@dataclass(frozen=True, slots=True)
class GetChargingProfiles:
    """Ask for the profiles of a station or of one EVSE; the reports arrive by themselves."""

    request_id: int
    evse_no: int | None = None


@dataclass(frozen=True, slots=True)
class GetCompositeSchedule:
    """Ask what a station itself calculates. `CommandAnswer.told` is a ReportedSchedule."""

    evse_no: int
    duration_s: int
    unit: RateUnit | None = None


@dataclass(frozen=True, slots=True)
class ChangeCredential:
    """Give the station another password for HTTP Basic (A01).

    `CommandAnswer.told` is its word about that: Accepted, RebootRequired, Rejected and so on.
    """

    password: str = field(repr=False)
    """40 hex digits: text of 2.x, or the hex of an AuthorizationKey (A00.FR.205, WP 7.2)."""


@dataclass(frozen=True, slots=True)
class VariableName:
    """Which variable of a station, in the words of the OCPP 2.x device model.

    A configuration key without a 2.x name has an empty component. Names are compared without case.
    """

    component: str
    variable: str
    component_instance: str | None = None
    evse_no: int | None = None
    connector_no: int | None = None
    variable_instance: str | None = None
    attribute: str = "Actual"

    @property
    def path(self) -> str:
        """Component[/instance][@evse[.connector]].Variable[/instance]#Attribute."""
        place = ""
        if self.evse_no is not None:
            place = f"@{self.evse_no}"
            if self.connector_no is not None:
                place += f".{self.connector_no}"
        component = self.component + (
            f"/{self.component_instance}" if self.component_instance else ""
        )
        name = self.variable + (f"/{self.variable_instance}" if self.variable_instance else "")
        dot = "." if component or place else ""
        return f"{component}{place}{dot}{name}#{self.attribute}"

    @property
    def key(self) -> str:
        """The path by which two spellings of one name are the same."""
        return self.path.lower()


@dataclass(frozen=True, slots=True)
class VariableWrite:
    name: VariableName
    value: str


@dataclass(frozen=True, slots=True)
class SetVariables:
    """Write variables; what the station says of each comes back in `CommandAnswer.told`."""

    writes: tuple[VariableWrite, ...]


@dataclass(frozen=True, slots=True)
class GetVariables:
    """Read variables; what they are comes back in `CommandAnswer.told`, and is kept."""

    names: tuple[VariableName, ...]


@dataclass(frozen=True, slots=True)
class RawCommand:
    """An OCPP request as the caller wrote it; validated against the station's own schema."""

    action: str
    payload: dict[str, Any]


Command = (
    RequestStartTransaction
    | RequestStopTransaction
    | ResetStation
    | ChangeAvailability
    | UnlockConnector
    | ReserveNow
    | CancelReservation
    | ClearCache
    | TriggerMessage
    | GetTransactionStatus
    | ReportInventory
    | SetChargingProfile
    | ClearChargingProfile
    | GetChargingProfiles
    | GetCompositeSchedule
    | ChangeCredential
    | SetVariables
    | GetVariables
    | RawCommand
)


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """The station's own result: `status` is its status word (None where the message has none).

    `told` are the reports read from the answer, where it reports something; they are stored.
    """

    status: str | None
    payload: dict[str, Any]
    told: Any = None
    """What the answer tells besides, in the words that the command's docstring promises."""


class StationLink(Protocol):
    """Carries a command to a station; one at a time per station, in order."""

    async def send(self, station_id: int, command: Command) -> CommandAnswer:
        """Send and wait for the answer.

        Raises StationOffline, StationNotAccepted, UnsupportedByStation, InvalidCommand,
        StationBusy, StationTimeout, StationAnswerError. Never call it from an inbound handler.
        """

    def check(self, station_id: int, command: Command, *, least_profile: int = 0) -> None:
        """Raise UnsupportedByStation or InvalidCommand, as `send` would; not for a raw one's shape.

        Of a station that is offline only what none takes, and what would bring it below its least
        security profile.
        """

    def online_ids(self) -> frozenset[int]: ...

    def on_arrival(self, told: Callable[[int], None]) -> None:
        """Have each station told that is among those online from now on; `told` must not wait."""

    async def disconnect(self, station_id: int) -> None:
        """Close the station's socket, if any: its credential or registration has changed."""
