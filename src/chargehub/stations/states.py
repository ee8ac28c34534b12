"""What an EVSE is doing, in one word: from its connectors, its transaction and its line. Pure.

The live board and REST both ask here, so that they cannot differ. What a connector said is kept
beside it: the state is for people, the status is the evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from chargehub.stations.reports import ConnectorStatus, RegistrationStatus

# The least telling first: of several connectors of one EVSE the most telling one is shown.
_TELLING = {
    status: rank
    for rank, status in enumerate(
        (
            ConnectorStatus.UNKNOWN,
            ConnectorStatus.AVAILABLE,
            ConnectorStatus.UNAVAILABLE,
            ConnectorStatus.RESERVED,
            ConnectorStatus.FAULTED,
            ConnectorStatus.OCCUPIED,
            ConnectorStatus.PREPARING,
            ConnectorStatus.FINISHING,
            ConnectorStatus.SUSPENDED_EVSE,
            ConnectorStatus.SUSPENDED_EV,
            ConnectorStatus.CHARGING,
        )
    )
}
# A 2.x connector only says Occupied; its transaction's chargingState says how.
_OCCUPIED_MEANS = {
    "Charging": ConnectorStatus.CHARGING,
    "EVConnected": ConnectorStatus.PREPARING,
    "SuspendedEV": ConnectorStatus.SUSPENDED_EV,
    "SuspendedEVSE": ConnectorStatus.SUSPENDED_EVSE,
    "Idle": ConnectorStatus.FINISHING,
}


class EvseState(StrEnum):
    """A connector's status as its transaction explains it, or Offline whatever it was before."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    FINISHING = "Finishing"
    OCCUPIED = "Occupied"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"
    UNKNOWN = "Unknown"
    OFFLINE = "Offline"


@dataclass(frozen=True, slots=True)
class Charge:
    """What explains an Occupied connector: the transaction shown at its EVSE, as last told."""

    charging_state: str | None = None
    """The OCPP 2.x word."""
    power_w: int | None = None


def most_telling(statuses: Iterable[ConnectorStatus]) -> ConnectorStatus:
    return max(statuses, key=_TELLING.__getitem__, default=ConnectorStatus.UNKNOWN)


def explain(
    status: ConnectorStatus, charging_state: str | None, power_w: int | None
) -> ConnectorStatus:
    """Return what an Occupied connector means while a transaction is open at its EVSE."""
    if status is not ConnectorStatus.OCCUPIED:
        return status
    meaning = _OCCUPIED_MEANS.get(charging_state or "")
    if meaning is None and (power_w or 0) > 0:
        meaning = ConnectorStatus.CHARGING
    return meaning or status


def reserved(status: ConnectorStatus, *, held: bool) -> ConnectorStatus:
    """Return what a free connector is while its EVSE is held, though its station may not know."""
    return ConnectorStatus.RESERVED if held and status is ConnectorStatus.AVAILABLE else status


def out_of_use(
    status: ConnectorStatus,
    station_status: ConnectorStatus,
    *,
    online: bool,
    registration: RegistrationStatus,
    operative: bool,
) -> EvseState | None:
    """Return why a gun serves nobody now, whatever goes on at it; None where it may serve.

    `status` is that of its most telling connector, `station_status` what its station says of itself
    (connector 0), `operative` what the operator wants of both. Everybody who shows, promises, calls
    to or starts a gun asks here.
    """
    told = {status, station_status}
    if not online:
        return EvseState.OFFLINE
    if ConnectorStatus.FAULTED in told:
        return EvseState.FAULTED
    if ConnectorStatus.UNAVAILABLE in told or not operative:
        return EvseState.UNAVAILABLE
    return None if registration is RegistrationStatus.ACCEPTED else EvseState.UNAVAILABLE


def evse_state(
    status: ConnectorStatus, charge: Charge | None, *, online: bool, held: bool = False
) -> EvseState:
    """Return the state of an EVSE whose most telling connector has this status.

    `held`: a reservation keeps it for somebody now.
    """
    if not online:
        return EvseState.OFFLINE
    if charge is not None:
        status = explain(status, charge.charging_state, charge.power_w)
    return EvseState(reserved(status, held=held).value)
