"""What has happened to stations, told in this process after COMMIT. Pure.

Views that can be rebuilt listen to these; whoever must act on a fact reads the outbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chargehub.stations.reports import ConnectorStatus

# Topics of the outbox; each has its action in features.py, and its subject is the station's id.
BOOTED = "station.booted"
RETIRED = "station.retired"
"""Decommissioned or replaced: it will end nothing any more."""


@dataclass(frozen=True, slots=True)
class StationOnline:
    """The station's newest socket was accepted."""

    station_id: int
    identity: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StationWentOffline:
    """The station's newest socket is gone (an older one's end is no event)."""

    station_id: int
    identity: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ConnectorStatusChanged:
    """The stored status of a connector is now this; evse_no 0 is the station as a whole.

    Published for a status that became the newest one, never for a replayed older one.
    """

    station_id: int
    evse_no: int
    connector_no: int
    status: ConnectorStatus
    at: datetime
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class HubLayoutChanged:
    """Stations, EVSEs or Locations were created, renamed, replaced or decommissioned."""

    at: datetime
