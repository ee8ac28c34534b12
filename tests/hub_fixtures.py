"""A running hub in this process, and a station on a raw socket that does what a test tells it.

The station keeps no state and answers nothing by itself: a test sees every frame. Every wait has a
deadline, so a test that waits in vain fails in half a minute.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from urllib.parse import quote

from pydantic import SecretStr
from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from chargehub.app import Addresses, Hub
from chargehub.drivers.store import id_tokens
from chargehub.kit.clock import wall_now
from chargehub.kit.datetimes import format_datetime
from chargehub.kit.db import Database
from chargehub.limits import Limits
from chargehub.settings import Settings, TlsSettings, station_key
from chargehub.stations.commands import Command, CommandAnswer
from chargehub.stations.credentials import hash_credential
from chargehub.stations.store import charging_stations, connectors, evses, locations

DEADLINE_S = 25.0
"""For a machine that is busy; below the hub's own time-out of a command."""
PASSWORD = "a-password-of-24-letters"
SECRET = SecretStr("K7q2mZ4xV9bT1nR8cW5yL3hJ6pD0sFgA")
V16, V201, V21 = "ocpp1.6", "ocpp2.0.1", "ocpp2.1"
V2X = (V201, V21)
VERSIONS = (V16, *V2X)
TOKEN = "CARD-0001"

Payload = dict[str, Any]
Frame = list[Any]

BOOTS: Mapping[str, Payload] = {
    V16: {"chargePointVendor": "Made Up", "chargePointModel": "D120"},
    **{
        version: {
            "reason": "PowerUp",
            "chargingStation": {"vendorName": "Made Up", "model": "D120"},
        }
        for version in V2X
    },
}


def with_2_1(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Add to rows that begin with a version what holds for 2.1 as it does for 2.0.1."""
    return [*rows, *((V21, *row[1:]) for row in rows if row[0] == V201)]


def at(seconds_ago: float = 0.0) -> str:
    """Return a wire timestamp of so many seconds ago."""
    return format_datetime(wall_now() - timedelta(seconds=seconds_ago))


def status(version: str, word: str = "Available", *, evse: int = 1, when: str = "") -> Payload:
    """Return a StatusNotification; the word must be one of the version's."""
    when = when or at()
    if version == V16:
        return {"connectorId": evse, "errorCode": "NoError", "status": word, "timestamp": when}
    return {"evseId": evse, "connectorId": 1, "connectorStatus": word, "timestamp": when}


def basic_auth(user: str, password: str | bytes) -> dict[str, str]:
    secret = password.encode() if isinstance(password, str) else password
    encoded = base64.b64encode(user.encode() + b":" + secret).decode()
    return {"Authorization": f"Basic {encoded}"}


async def eventually(question: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(DEADLINE_S):
        while not question():  # noqa: ASYNC110  The question is about other parts' state.
            await asyncio.sleep(0.005)


@dataclass
class Station:
    """One socket of a station in a test's hand."""

    socket: ClientConnection
    identity: str
    version: str
    inbox: deque[Frame] = field(default_factory=deque)
    """The hub's CALLs that came while an answer was awaited."""
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def send(self, frame: Any) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def frame(self) -> Frame:
        """Take the next frame from the wire."""
        async with asyncio.timeout(DEADLINE_S):
            received: Frame = json.loads(await self.socket.recv())
        return received

    async def ask(self, action: str, payload: Any, message_id: str | None = None) -> Frame:
        """Send a CALL and return the frame that answers it."""
        chosen = message_id or str(next(self._ids))
        await self.send([2, chosen, action, payload])
        return await self.answer_to(chosen)

    async def answer_to(self, message_id: str) -> Frame:
        while True:
            frame = await self.frame()
            if frame[0] == 2:
                self.inbox.append(frame)
                continue
            assert frame[1] == message_id, frame
            return frame

    async def call(self, action: str, payload: Any) -> Payload:
        """Send a CALL that must succeed and return what the hub answered."""
        frame = await self.ask(action, payload)
        assert frame[0] == 3, frame
        answer: Payload = frame[2]
        return answer

    async def boot(self) -> Payload:
        return await self.call("BootNotification", BOOTS[self.version])

    async def asked(self) -> Frame:
        """Take the hub's next CALL."""
        frame = self.inbox.popleft() if self.inbox else await self.frame()
        assert frame[0] == 2, frame
        return frame

    async def asked_among_answers(self) -> Frame:
        """Take the hub's next CALL, and let the answers go by that come before it."""
        while True:
            frame = await self.frame()
            if frame[0] == 2:
                return frame

    async def reply(self, call: Frame, payload: Any) -> None:
        await self.send([3, call[1], payload])

    async def closed(self) -> int | None:
        """Wait for the end of the socket and return its close code."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                while True:
                    self.inbox.append(json.loads(await self.socket.recv()))
            except ConnectionClosed:
                return self.socket.close_code

    async def leave(self) -> None:
        await self.socket.close()

    async def vanish(self) -> None:
        """End as a station does whose power fails: without closing handshake."""
        self.socket.transport.abort()
        await self.socket.wait_closed()


@dataclass
class RunningHub:
    """A hub on a database, its stations, and questions to both."""

    settings: Settings
    database_url: str
    hub: Hub
    addresses: Addresses
    database: Database
    """Not the hub's own: it outlives a restart."""
    station_ids: dict[str, int] = field(default_factory=dict)
    _names: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    async def started(cls, settings: Settings, database_url: str) -> Self:
        hub = Hub(settings, database_url)
        addresses = await hub.start()
        return cls(settings, database_url, hub, addresses, Database(database_url))

    async def restart(self) -> None:
        """Stop the server and start another one on the same database."""
        await self.hub.stop()
        self.hub = Hub(self.settings, self.database_url)
        self.addresses = await self.hub.start()

    async def stop(self) -> None:
        await self.hub.stop()
        await self.database.close()

    # Stations ----------------------------------------------------------------------------------

    async def new_station(
        self,
        identity: str | None = None,
        *,
        secret: str | bytes | None = PASSWORD,
        registration: str = "Accepted",
        inventoried: bool = True,
        has_booted: bool = True,
        **columns: Any,
    ) -> str:
        """Commission a dual-gun station and return its identity."""
        identity = identity or f"CS-{next(self._names):04}"
        raw = secret.encode() if isinstance(secret, str) else secret
        async with self.database.write() as connection:
            await connection.execute(
                insert(locations)
                .values(id="hub", name="Hub", latitude=28.97, longitude=118.87)
                .on_conflict_do_nothing()
            )
            inserted = await connection.execute(
                insert(charging_stations)
                .values(
                    identity=identity,
                    location_id="hub",
                    max_power_w=120_000,
                    registration=registration,
                    credential_hash=raw and hash_credential(station_key(self.settings), raw),
                    # As its boot says: so no inventory is asked for among a test's own commands.
                    inventoried_firmware="" if inventoried else None,
                    commissioned_at=wall_now(),
                    booted_at=wall_now() if has_booted else None,
                    **columns,
                )
                .returning(charging_stations.c.id)
            )
            number: int = inserted.scalar_one()
            guns = [{"station_id": number, "evse_no": evse_no} for evse_no in (1, 2)]
            for gun in guns:
                code = f"{number}-{gun['evse_no']}"
                await connection.execute(
                    insert(evses).values(**gun, gun_code=code, max_power_w=120_000)
                )
                await connection.execute(insert(connectors).values(**gun, connector_no=1))
        self.station_ids[identity] = number
        return identity

    async def new_token(self, token: str = TOKEN, **columns: Any) -> None:
        async with self.database.write() as connection:
            await connection.execute(
                insert(id_tokens)
                .values(token=token.lower(), display=token, **columns)
                .on_conflict_do_nothing()
            )

    async def connect(
        self,
        identity: str,
        version: str = V16,
        *,
        user: str | None = None,
        password: str | bytes | None = PASSWORD,
        headers: Mapping[str, str] | None = None,
        path: str | None = None,
        offers: Sequence[str] | None = None,
        tls: ssl.SSLContext | None = None,
        **options: Any,
    ) -> Station:
        """Open a socket; by default with what the station was commissioned with.

        With a client's context it is one of TLS.
        """
        url = self.addresses.ocpp_url if tls is None else self.addresses.ocpp_tls_url
        if headers is None:
            known = identity if user is None else user
            headers = {} if password is None else basic_auth(known, password)
        offered = [version] if offers is None else offers
        socket = await connect(
            f"{url}/{quote(identity, safe='') if path is None else path}",
            subprotocols=[Subprotocol(offer) for offer in offered] or None,
            additional_headers=headers,
            open_timeout=DEADLINE_S,
            close_timeout=DEADLINE_S,
            proxy=None,
            ssl=tls,
            **options,
        )
        if socket.subprotocol is not None:
            # The handshake is over before the hub has written down that the station is here.
            await eventually(lambda: self._serves(socket) or socket.close_code is not None)
        return Station(socket, identity, socket.subprotocol or "")

    def _serves(self, socket: ClientConnection) -> bool:
        here = socket.local_address
        return any(found.socket.remote_address == here for found in self.hub.connections.all())

    @asynccontextmanager
    async def station(
        self, version: str = V16, *, boots: bool = True, **options: Any
    ) -> AsyncIterator[Station]:
        """Commission a new station, connect it, boot it, and see it off."""
        opened = await self.connect(await self.new_station(), version, **options)
        try:
            if boots:
                await opened.boot()
            yield opened
        finally:
            await opened.leave()

    def send(self, identity: str, command: Command) -> asyncio.Task[CommandAnswer]:
        """Begin a command; it ends when the station has answered, or not."""
        return asyncio.create_task(self.hub.connections.send(self.station_ids[identity], command))

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Give stations so long to answer the commands that are sent meanwhile."""
        connections = self.hub.connections
        usual, connections.call_timeout_s = connections.call_timeout_s, seconds
        try:
            yield
        finally:
            connections.call_timeout_s = usual

    async def register(self, identity: str, registration: str) -> None:
        """Decide about a station as an operator does."""
        async with self.database.write() as connection:
            await connection.execute(
                charging_stations.update()
                .where(charging_stations.c.id == self.station_ids[identity])
                .values(registration=registration)
            )

    def is_online(self, identity: str) -> bool:
        return self.station_ids[identity] in self.hub.connections.online_ids()

    # What the database holds -------------------------------------------------------------------

    async def rows(self, query: str, **values: Any) -> Sequence[Row[Any]]:
        async with self.database.read() as connection:
            return (await connection.execute(text(query), values)).all()

    async def value(self, query: str, **values: Any) -> Any:
        async with self.database.read() as connection:
            return (await connection.execute(text(query), values)).scalar_one()

    async def count(self, table: str, identity: str, **columns: Any) -> int:
        """Count a station's rows that have these values."""
        wanted = "".join(f" AND {name} = :{name}" for name in columns)
        query = f"SELECT count(*) FROM {table} WHERE station_id = :station{wanted}"  # noqa: S608  Names of tests.
        number: int = await self.value(query, station=self.station_ids[identity], **columns)
        return number

    async def until(self, query: str, expected: Any, **values: Any) -> None:
        """Wait until the database says so."""
        async with asyncio.timeout(DEADLINE_S):
            while await self.value(query, **values) != expected:  # noqa: ASYNC110  As above.
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running_hub(
    database_url: str,
    *,
    demo: bool = False,
    frame_log: bool = True,
    tls: TlsSettings | None = None,
    conformance_adapter: bool = False,
    **limits: Any,
) -> AsyncIterator[RunningHub]:
    # No .env file and free ports: where a test runs decides nothing.
    settings = Settings(
        _env_file=None,
        api_port=0,
        ocpp_port=0,
        secret_key=SECRET,
        demo=demo,
        frame_log=frame_log,
        conformance_adapter=conformance_adapter,
        tls=tls or TlsSettings(),
        limits=Limits(**limits),
    )
    running = await RunningHub.started(settings, database_url)
    try:
        await running.new_token()
        yield running
    finally:
        await running.stop()
