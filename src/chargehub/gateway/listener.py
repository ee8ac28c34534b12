"""The OCPP listener: handshake, identity, entry, subprotocol; then a connection serves.

One plain port and, where there are certificates, one of TLS, with the same admission behind both.

Statements of the handshake: unknown identity 404, wrong credentials 401, no subprotocol 400, only
unsupported ones 101 and close; the client's first mutual version wins, the URL decides nothing.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from itertools import chain, repeat
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog
from prometheus_client import Counter
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from chargehub.frame_log.log import FrameLog
from chargehub.gateway.connection import StationConnection
from chargehub.gateway.connections import Connections
from chargehub.gateway.doorway import Doorway, Place, TurnedAway
from chargehub.gateway.frame_recorder import FrameRecorder
from chargehub.gateway.intake import Intake
from chargehub.gateway.rate_limit import RateLimit
from chargehub.gateway.station_socket import StationSocket
from chargehub.gateway.tls import (
    BACKLOG,
    TlsDoor,
    TlsOptions,
    build_context,
    describe_tls,
    read_client_certificate,
)
from chargehub.gateway.translation import Translator
from chargehub.kit.clock import HubClock
from chargehub.kit.group_commit import CommitOutcomeUnknown, CommitQueueFull
from chargehub.ocpp import OcppSession, OcppVersion, choose_version
from chargehub.stations.admission import Admission
from chargehub.stations.entry import Candidate, Entry, Presented, Refusal
from chargehub.stations.reports import Connected, Disconnected, RegistrationStatus

log = structlog.get_logger(__name__)

HANDSHAKES = Counter("chargehub_ocpp_handshakes_total", "Handshakes by HTTP status", ["status"])
UNHEARD = "unheard"
"""In place of a status: turned away before anything was read."""

# identifierString with room for 1.6, whose own examples have a space inside (16J 3.1.1): printable,
# at most 48 characters, no colon, which would split the Basic user name.
IDENTITY = re.compile(r"(?! )[^\x00-\x1f\x7f:]{1,48}(?<! )")

PATH_SHOWN = 100
READ_AHEAD_FRAMES = 16
"""What the library reads of a socket before it stops too, on top of `inbound_waiting`."""
RETRY_END_AFTER_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """What `settings.Limits` says of the same names."""

    max_frame_bytes: int
    max_connections: int
    max_handshakes: int
    messages_per_s: float
    messages_burst: int
    messages_asked_factor: float
    message_characters: int
    outbound_waiting: int
    inbound_waiting: int
    handshake_timeout_s: float
    ping_interval_s: float
    ping_timeout_s: float


@dataclass(frozen=True, slots=True)
class Admitted:
    candidate: Candidate
    entry: Entry


@dataclass(slots=True)
class Listener:
    host: str
    port: int
    path_prefix: str
    admission: Admission
    intake: Intake
    connections: Connections
    clock: HubClock
    translators: Mapping[OcppVersion, Translator]
    limits: ListenerLimits
    frame_log: FrameLog | None = None
    """None: frames are not logged."""
    tls: TlsOptions | None = None
    _tolerant: dict[OcppVersion, frozenset[str]] = field(init=False)
    _plain: Doorway = field(init=False)
    _server: Server | None = None
    _door: TlsDoor | None = None
    _watchdog: asyncio.Task[None] | None = None
    _leaving: set[asyncio.Task[None]] = field(default_factory=set)
    """Ends of connections that could not be stored yet."""

    def __post_init__(self) -> None:
        # One a port: who crowds at one leaves the other alone.
        self._plain = Doorway(self.limits.max_handshakes)
        # One set for all connections, not one each.
        self._tolerant = {
            version: translator.tolerant for version, translator in self.translators.items()
        }

    async def start(self) -> None:
        self._server = server = await serve(
            self._serve_station,
            self.host,
            self.port,
            process_request=self._admit,
            select_subprotocol=_select_subprotocol,
            create_connection=self._open_plain_door,  # type: ignore[arg-type]  # or TurnedAway
            open_timeout=self.limits.handshake_timeout_s,
            # Our own watchdog instead: a station that sends data is alive though it answers no
            # ping, and one that only pings is alive too (16J 5.3).
            ping_interval=None,
            max_size=self.limits.max_frame_bytes,
            max_queue=READ_AHEAD_FRAMES,
            server_header=None,
            backlog=BACKLOG,
        )
        if self.tls is not None:
            self._door = TlsDoor(
                self.tls,
                await asyncio.to_thread(build_context, self.tls),
                self.limits.handshake_timeout_s,
                Doorway(self.limits.max_handshakes),
                partial(self._create_socket, server),
            )
            self._door.open()
        self._watchdog = asyncio.create_task(self._watch(), name="ocpp-watchdog")

    def _open_plain_door(
        self, protocol: ServerProtocol, server: Server, **options: Any
    ) -> StationSocket | TurnedAway:
        """Make the protocol of a TCP connection that was just accepted at the plain port."""
        place = self._plain.enter()
        if place is None:
            HANDSHAKES.labels(UNHEARD).inc()
            return TurnedAway()
        station = StationSocket(protocol, server, **options)
        station.place = place
        return station

    def _create_socket(self, server: Server, place: Place) -> StationSocket:
        """Make what `serve` makes for its own port; the same server handles it from then on."""
        protocol = ServerProtocol(
            extensions=enable_server_permessage_deflate(None),
            select_subprotocol=lambda _, offered: _select_subprotocol(None, offered),
            max_size=self.limits.max_frame_bytes,
        )
        station = StationSocket(protocol, server, ping_interval=None, max_queue=READ_AHEAD_FRAMES)
        station.place = place
        return station

    @property
    def bound_port(self) -> int:
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    @property
    def bound_tls_port(self) -> int | None:
        return self._door.port if self._door is not None else None

    @property
    def listening(self) -> bool:
        plain = self._server is not None and self._server.is_serving()
        return plain and (self._door is None or self._door.serving)

    async def read_certificates_anew(self) -> None:
        """Use the certificate files as they are now for whoever comes from now on.

        Raises CertificatesUnusable; then those in use stay in use.
        """
        if self.tls is not None and self._door is not None:
            self._door.context = await asyncio.to_thread(build_context, self.tls)
            log.info("certificates_read_anew")

    async def stop(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            await asyncio.gather(self._watchdog, return_exceptions=True)
        if self._door is not None:
            await self._door.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        # What cannot be stored now is closed at the next start.
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        assert isinstance(socket, StationSocket)
        doorway = socket.place.doorway
        if not doorway.decides_more:
            refusal: Response | None = socket.respond(
                HTTPStatus.SERVICE_UNAVAILABLE, "Too many handshakes.\n"
            )
        else:
            doorway.deciding += 1
            try:
                refusal = await self._refusal(socket, request)
            finally:
                doorway.deciding -= 1
        status = HTTPStatus.SWITCHING_PROTOCOLS if refusal is None else refusal.status_code
        HANDSHAKES.labels(int(status)).inc()
        return refusal

    async def _refusal(self, socket: StationSocket, request: Request) -> Response | None:
        if len(self.connections) >= self.limits.max_connections:
            return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Too many stations.\n")
        identity = read_identity(request.path, self.path_prefix)
        if identity is None:
            log.warning("station_path_refused", path=shown_path(request.path))
            return socket.respond(HTTPStatus.NOT_FOUND, "No such station.\n")
        authorizations = request.headers.get_all("Authorization")
        user, password = read_basic_auth(authorizations[0] if len(authorizations) == 1 else None)
        candidate = await self.admission.find_or_register(identity, password)
        if candidate is None:
            log.warning("station_unknown", identity=identity)
            return socket.respond(HTTPStatus.NOT_FOUND, "No such station.\n")
        entry = self._decide_entry(socket, candidate, user, password)
        if isinstance(entry, Refusal):
            log.warning("station_refused", identity=identity, why=entry.why)
            return _turn_away(socket, entry)
        if not request.headers.get_all("Sec-WebSocket-Protocol"):
            return socket.respond(HTTPStatus.BAD_REQUEST, "Offer an OCPP subprotocol.\n")
        socket.admitted = Admitted(candidate, entry)
        return None

    def _decide_entry(
        self, socket: StationSocket, candidate: Candidate, user: str | None, password: bytes | None
    ) -> Entry | Refusal:
        # A00.FR.204/207: the user name is the identity.
        if user is not None and user.lower() != candidate.identity.lower():
            # Not the foreign name itself: it may be a misplaced password.
            why = "another user name than the identity"
            return Refusal(why, HTTPStatus.UNAUTHORIZED)
        presented = Presented(
            password, describe_tls(socket) is not None, read_client_certificate(socket)
        )
        return self.admission.decide(candidate, presented)

    async def _serve_station(self, socket: ServerConnection) -> None:
        assert isinstance(socket, StationSocket)
        socket.place.leave()
        if socket.subprotocol is None:
            # Offered, but nothing we speak: 101 without a subprotocol, then close (P4 3.2/3.3).
            await socket.close(CloseCode.PROTOCOL_ERROR, "unsupported subprotocol")
            return
        version = OcppVersion(socket.subprotocol)
        connection = await self._connect(socket, socket.admitted, version)
        if connection is None:
            return
        log.info("station_connected", station_id=connection.identity, epoch=connection.epoch)
        try:
            await connection.run()
        finally:
            await self._leave(connection)

    async def _connect(
        self, socket: StationSocket, admitted: Admitted, version: OcppVersion
    ) -> StationConnection | None:
        candidate = admitted.candidate
        report = Connected(
            candidate.station_id,
            version.value,
            str(socket.remote_address[0]) if socket.remote_address else "",
            self.clock.now(),
            admitted.entry,
            describe_tls(socket),
        )
        try:
            granted = await self.intake.connect(report)
        except (CommitOutcomeUnknown, CommitQueueFull) as error:
            log.warning("connect_not_durable", station_id=candidate.identity, why=repr(error))
            if isinstance(error, CommitOutcomeUnknown):
                # Perhaps its row says online now.
                at = report.received_at
                self._end_later(Disconnected(candidate.station_id, at, None, connected_at=at))
            await socket.close(CloseCode.TRY_AGAIN_LATER)
            return None
        if granted is None:
            log.warning("station_changed_since_handshake", station_id=candidate.identity)
            await socket.close(CloseCode.POLICY_VIOLATION, "authenticate again")
            return None
        recorder = None
        if self.frame_log is not None:
            recorder = FrameRecorder(self.frame_log, candidate.station_id, granted.epoch, version)
        connection = StationConnection(
            socket=socket,
            station_id=candidate.station_id,
            identity=candidate.identity,
            epoch=granted.epoch,
            session=self._open_session(version, granted.registration),
            translator=self.translators[version],
            intake=self.intake,
            clock=self.clock,
            rate_limit=self._rate_limit(1),
            asked_limit=self._rate_limit(self.limits.messages_asked_factor),
            registration=granted.registration,
            security_profile=admitted.entry.profile,
            waiting_max=self.limits.inbound_waiting,
            recorder=recorder,
        )
        if not self.connections.take_over(connection):
            await socket.close(CloseCode.POLICY_VIOLATION, "superseded")
            return None
        return connection

    def _rate_limit(self, times: float) -> RateLimit:
        limits = self.limits
        per_s, burst = limits.messages_per_s * times, limits.messages_burst * times
        return RateLimit(per_s, burst, limits.message_characters)

    def _open_session(self, version: OcppVersion, registration: RegistrationStatus) -> OcppSession:
        translator = self.translators[version]
        return OcppSession(
            version,
            supported=translator.inbound,
            tolerant=self._tolerant[version],
            accepted=registration is RegistrationStatus.ACCEPTED,
            unlocked_by=translator.trigger_answers,
            queued_max=self.limits.outbound_waiting,
            # The connection stops reading at half of that; see there.
            unanswered_max=2 * self.limits.inbound_waiting,
        )

    async def _leave(self, connection: StationConnection) -> None:
        if not self.connections.leave(connection):
            return
        log.info("station_disconnected", station_id=connection.identity, epoch=connection.epoch)
        end = Disconnected(connection.station_id, self.clock.now(), connection.epoch)
        if not await self._store_end(end):
            self._end_later(end)

    def _end_later(self, end: Disconnected) -> None:
        task = asyncio.create_task(self._insist_on_end(end), name="ocpp-leave")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _store_end(self, end: Disconnected) -> bool:
        try:
            await self.intake.disconnect(end)
        except Exception as error:  # noqa: BLE001  Whatever it was, the row says online still.
            log.warning("disconnect_not_stored", station=end.station_id, why=repr(error))
            return False
        return True

    async def _insist_on_end(self, end: Disconnected) -> None:
        """Try again until it is stored, or the station is back, whose new epoch says more."""
        for wait_s in chain(RETRY_END_AFTER_S, repeat(RETRY_END_AFTER_S[-1])):
            await asyncio.sleep(wait_s)
            if self.connections.has(end.station_id):
                return
            if await self._store_end(end):
                return

    async def _watch(self) -> None:
        """Ping sockets that have gone silent; close those that stay so."""
        interval = self.limits.ping_interval_s
        while True:
            await asyncio.sleep(interval / 2)
            now = asyncio.get_running_loop().time()
            for connection in self.connections.all():
                silent_s = now - connection.socket.last_heard
                if silent_s > interval + self.limits.ping_timeout_s:
                    log.info("station_silent", station_id=connection.identity, silent_s=silent_s)
                    connection.spawn(connection.socket.close(CloseCode.GOING_AWAY, "silent"))
                elif silent_s > interval:
                    connection.spawn(connection.ping())


def _turn_away(socket: StationSocket, refusal: Refusal) -> Response:
    if refusal.status is not HTTPStatus.UNAUTHORIZED:
        return socket.respond(refusal.status, "Not by this security profile.\n")
    response = socket.respond(refusal.status, "Wrong credentials.\n")
    response.headers["WWW-Authenticate"] = 'Basic realm="ocpp", charset="UTF-8"'
    return response


def _select_subprotocol(
    _socket: ServerConnection | None, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    version = choose_version(offered)
    return None if version is None else Subprotocol(version.value)


def shown_path(path: str) -> str:
    """Return a stranger's path fit for a log line: short, and without its query."""
    path = path.partition("?")[0]
    return repr(path if len(path) <= PATH_SHOWN else f"{path[:PATH_SHOWN]}...")


def read_identity(path: str, prefix: str) -> str | None:
    """Return the identity of a URL path, percent-decoded once; None where there is none.

    A version in the URL, or a query, decides nothing (P4 errata 2025-01).
    """
    path = path.partition("?")[0]
    if not path.startswith(f"{prefix}/"):
        return None
    # Stations append "/identity" to whatever they were given, a trailing slash included.
    encoded = path[len(prefix) + 1 :].strip("/")
    if "/" in encoded:  # An encoded slash is part of the identity, unlike a literal one.
        return None
    try:
        identity = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        return None
    return identity if IDENTITY.fullmatch(identity) else None


def read_basic_auth(header: str | None) -> tuple[str | None, bytes | None]:
    """Return user and password bytes of a Basic header; the password may be no text at all.

    Split at the first colon (A00.FR.205): identities have none.
    """
    if header is None:
        return None, None
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None, None
    user, colon, password = decoded.partition(b":")
    return (user.decode("utf-8", "replace"), password) if colon else (None, None)
