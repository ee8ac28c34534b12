"""The stations that are connected now, the newest socket of each, and the link to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog
from prometheus_client import Gauge
from websockets.frames import CloseCode

from chargehub.gateway.configuration_rules import refused_downgrade, refused_write
from chargehub.gateway.connection import StationConnection
from chargehub.gateway.raw_requests import refused_request, with_wire_times
from chargehub.gateway.translation import Context, Request
from chargehub.ocpp import DIALECTS, schemas_for
from chargehub.stations.commands import (
    Command,
    CommandAnswer,
    InvalidCommand,
    RawCommand,
    StationNotAccepted,
    StationOffline,
    UnsupportedByStation,
)
from chargehub.stations.reports import RegistrationStatus

log = structlog.get_logger(__name__)

ONLINE = Gauge("chargehub_stations_online", "Stations with an open socket")


@dataclass(slots=True)
class Connections:
    """The newest connection of each station, and the link to it (implements StationLink)."""

    call_timeout_s: float
    _told: Callable[[int], None] | None = None
    _by_station: dict[int, StationConnection] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_station)

    def all(self) -> list[StationConnection]:
        return list(self._by_station.values())

    def take_over(self, connection: StationConnection) -> bool:
        """Make this the station's connection, unless a newer one is; the older one is closed."""
        current = self._by_station.get(connection.station_id)
        if current is not None and current.epoch > connection.epoch:
            return False
        self._by_station[connection.station_id] = connection
        ONLINE.set(len(self._by_station))
        if current is not None:
            log.info("socket_superseded", station_id=current.identity)
            current.abandon()
            connection.spawn(current.socket.close(CloseCode.POLICY_VIOLATION, "superseded"))
        if self._told is not None:
            self._told(connection.station_id)
        return True

    def leave(self, connection: StationConnection) -> bool:
        """Forget the connection, unless it is not the newest: then touch nothing."""
        if self._by_station.get(connection.station_id) is not connection:
            return False
        del self._by_station[connection.station_id]
        ONLINE.set(len(self._by_station))
        return True

    def has(self, station_id: int) -> bool:
        return station_id in self._by_station

    def online_ids(self) -> frozenset[int]:
        return frozenset(self._by_station)

    def on_arrival(self, told: Callable[[int], None]) -> None:
        self._told = told

    async def disconnect(self, station_id: int) -> None:
        connection = self._by_station.get(station_id)
        if connection is not None:
            await connection.socket.close(CloseCode.GOING_AWAY, "reconnect")

    def check(self, station_id: int, command: Command, *, least_profile: int = 0) -> None:
        connection = self._by_station.get(station_id)
        if connection is None:
            _check_anywhere(command, least_profile)
            return
        request = _encode(connection, command)
        if isinstance(command, RawCommand):
            return  # Its shape is judged as it leaves.
        schemas = schemas_for(connection.session.version)
        violation = schemas.check_outbound(request.action, request.payload)
        if violation is not None:
            raise InvalidCommand(violation.description)

    async def send(self, station_id: int, command: Command) -> CommandAnswer:
        connection = self._by_station.get(station_id)
        if connection is None:
            raise StationOffline
        request = _encode(connection, command)
        _check_registration(connection, request)
        answer = await connection.request(request, self.call_timeout_s)
        reader = connection.translator.told.get(type(command))
        if reader is None:
            return answer
        context = Context(station_id, connection.clock.now(), asked=request.payload)
        return replace(answer, told=reader(answer.payload, context))


def _check_anywhere(command: Command, least_profile: int) -> None:
    if isinstance(command, RawCommand):
        action, payload = command.action, command.payload
        refused = refused_write(action, payload) or refused_downgrade(
            action, payload, least_profile
        )
        if refused is not None:
            raise InvalidCommand(refused)


def _encode(connection: StationConnection, command: Command) -> Request:
    request = _request(connection, command)
    lower = refused_downgrade(request.action, request.payload, connection.security_profile)
    if lower is not None:
        raise InvalidCommand(lower)
    return request


def _request(connection: StationConnection, command: Command) -> Request:
    if isinstance(command, RawCommand):
        if command.action in DIALECTS[connection.session.version].station_requests:
            raise UnsupportedByStation(f"{command.action} is a station's message, not ours.")
        version = connection.session.version
        refused = refused_write(command.action, command.payload) or refused_request(
            version, command.action, command.payload
        )
        if refused is not None:
            raise InvalidCommand(refused)
        return Request(command.action, with_wire_times(command.payload))
    request = connection.translator.encode(command)
    if request is None:
        raise UnsupportedByStation(f"This station cannot {type(command).__name__}.")
    return request


def _check_registration(connection: StationConnection, request: Request) -> None:
    """B03.FR.03: nothing goes to a Rejected station; B02.FR.01: little to a Pending one."""
    registration = connection.registration
    if registration is RegistrationStatus.ACCEPTED:
        # E16 3.40, F06.FR.17.
        if request.payload.get("requestedMessage") == "BootNotification":
            raise InvalidCommand("The station is accepted; it is not asked to boot again.")
        return
    allowed = connection.translator.allowed_while_pending
    if registration is RegistrationStatus.PENDING and request.action in allowed:
        return
    raise StationNotAccepted(f"The station's registration is {registration}.")
