"""The stage of the scenarios: the real server in this process, its database, stations, one clock.

Hub and stations share a manual clock, so hours pass in no time and nothing sleeps. What a scenario
asserts on are the rows; this module reads them and decides nothing.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Row, select, text
from sqlalchemy.dialects.postgresql import insert

from chargehub.app import Addresses, Hub
from chargehub.charging.service import Charging
from chargehub.devices.service import Devices
from chargehub.devices.store import station_variables
from chargehub.drivers.store import id_tokens
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.sealing import Seal
from chargehub.limits import Limits
from chargehub.live.feed import LiveFeed
from chargehub.settings import Settings, station_key
from chargehub.smart_charging.api import SmartChargingParts
from chargehub.stations.commands import VariableName
from chargehub.stations.credentials import hash_credential
from chargehub.stations.orders import Orders
from chargehub.stations.store import charging_stations, connectors, evses, locations
from chargehub.telemetry.readings import Flag
from chargehub.telemetry.store import samples
from chargehub.transactions.book import Book
from chargehub.transactions.orphans import OrphanPolicy
from chargehub.transactions.remote import RemoteControl
from chargehub.transactions.store import transaction_events, transactions
from simulators.client import Account, Refusal, Reply, SocketWire, WireOptions
from simulators.clock import ManualClock
from simulators.dialects import DIALECTS
from simulators.misbehaviour import Misbehaviour
from simulators.outbox import OutboxOptions
from simulators.station import SimulatedStation, StationOptions
from simulators.uplink import UplinkOptions
from tests.scenarios.answers import check_answer, check_answers_to, check_request
from tests.scenarios.speech import SPEECHES, Message, Payload, Session, Speech, Verdict

START = 1_795_406_400.0
"""2026-11-23T04:00:00Z, noon in Quzhou."""
SECRET = "K7q2mZ4xV9bT1nR8cW5yL3hJ6pD0sFgA"
PASSWORD = "a-password-of-24-letters"
MAX_POWER_W = 120_000
CALL_TIMEOUT_S = 60.0
"""Wall time; nobody waits so long: a scenario with silent stations says for how long it does."""
PATIENCE_S = 30.0
"""Wall time that a station gives the hub."""


class StageClock(ManualClock):
    """The time of hub and stations alike."""

    def date(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)


class StagedHub(Hub):
    """The real server, with the parts a scenario drives or looks at in reach.

    Its worker rests: what is due is done when the scenario says so.
    """

    book: Book
    orders: Orders
    devices: Devices
    remote: RemoteControl
    orphans: OrphanPolicy
    smart: SmartChargingParts
    charging: Charging
    seal: Seal
    feed: LiveFeed

    def _start_worker(self, clock: HubClock) -> None:
        super()._start_worker(clock)
        # Before its tasks get further than their first wait: nothing due at once is done unasked.
        self._rests = asyncio.create_task(self.worker.stop())
        features = self.features
        self.book, self.orders = features.ground.book, features.orders
        self.devices = features.devices
        self.remote, self.orphans, self.smart = features.remote, features.orphans, features.smart
        self.charging, self.seal, self.feed = features.charging, features.seal, features.feed

    async def start(self) -> Addresses:
        addresses = await super().start()
        await self._rests
        return addresses


@dataclass
class RawStation:
    """A station that says exactly what a scenario tells it to, on the simulators' wire."""

    stage: Stage
    identity: str
    station_id: int
    speech: Speech
    wire: SocketWire = field(init=False)
    asked: list[tuple[str, Payload]] = field(default_factory=list)
    """What the hub asked, oldest first."""
    answers: dict[str, Payload] = field(default_factory=dict)
    """How the hub's calls are answered, by action; any other is refused."""

    @property
    def now(self) -> float:
        return self.stage.clock.now()

    def reply(self, action: str, payload: Payload) -> Reply:
        check_request(self.wire.account.subprotocol, action, payload)
        self.asked.append((action, payload))
        if action not in self.answers:
            raise Refusal("NotSupported")
        return Reply(self.answers[action])

    async def say(self, message: Message) -> Payload:
        """Send one CALL and return its answer."""
        answer = await self.wire.call(message.action, message.payload)
        check_answer(self.wire.account.subprotocol, message.action, answer)
        return answer

    async def reconnect(self) -> None:
        await self.wire.close(abruptly=True)
        await self.wire.open()

    async def boot(self) -> None:
        assert (await self.say(self.speech.boot()))["status"] == "Accepted"

    async def authorize(self, token: str) -> Verdict:
        return self.speech.verdict(await self.say(self.speech.authorize(token)))

    async def report(self, evse_no: int, word: str, at: float | None) -> None:
        await self.say(self.speech.status(evse_no, word, at))

    async def begin(
        self, token: str, register_wh: int = 5_000, *, evse_no: int = 1, **more: Any
    ) -> Session:
        """Start a transaction now; how the hub judged the token is in the rows."""
        session = Session(evse_no, token)
        answer = await self.say(self.speech.started(session, self.now, register_wh, **more))
        self.speech.learn(session, answer)
        return session

    async def sample(self, session: Session, register_wh: float, **more: Any) -> None:
        value = self.speech.value(register_wh, **more)
        await self.say(self.speech.sampled(session, self.now, [value]))

    async def end(self, session: Session, register_wh: int | None, **more: Any) -> Payload:
        return await self.say(self.speech.ended(session, self.now, register_wh, **more))


@dataclass
class Stage:
    """One hub on one database, and everything that plays on it."""

    database_url: str
    clock: StageClock
    settings: Settings
    database: Database
    hub: StagedHub
    addresses: Addresses
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    simulated_stations: list[SimulatedStation] = field(default_factory=list)
    wires: list[SocketWire] = field(default_factory=list)

    # The hub.

    async def restart(self, after_s: float = 0.0) -> None:
        """Stop the server and start another on the same database, so much later."""
        await self.hub.stop()
        self.pass_time(after_s)
        self.hub = StagedHub(self.settings, self.database_url, self.clock.now)
        self.addresses = await self.hub.start()
        for wire in self.wires:
            wire.account.url = self.addresses.ocpp_url

    async def work(self) -> None:
        """Do all that is due by now: due rows, outbox, what waits for stations that are here."""
        while await self.hub.worker.run_once():
            await self.hub.orders.queue.idle()

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Give stations so long, in wall time, to answer what they are asked meanwhile."""
        connections = self.hub.connections
        usual, connections.call_timeout_s = connections.call_timeout_s, seconds
        try:
            yield
        finally:
            connections.call_timeout_s = usual

    async def settle(self) -> None:
        """Let the time pass after which late messages no longer wait, and settle."""
        self.pass_time(61)
        await self.work()

    def pass_time(self, seconds: float) -> None:
        self.clock.set(self.clock.now() + seconds)

    # Who plays.

    async def new_station(self, power_w: int = MAX_POWER_W) -> tuple[str, int]:
        """Commission a dual-gun station; return its identity and id."""
        identity = f"QZ-{next(self.numbers):03d}"
        secret = hash_credential(station_key(self.settings), PASSWORD.encode())
        async with self.database.write() as connection:
            station_id: int = (
                await connection.execute(
                    insert(charging_stations)
                    .values(
                        identity=identity,
                        location_id="hub",
                        max_power_w=power_w,
                        credential_hash=secret,
                        commissioned_at=self.clock.date(),
                    )
                    .returning(charging_stations.c.id)
                )
            ).scalar_one()
            guns = [{"station_id": station_id, "evse_no": number} for number in (1, 2)]
            await connection.execute(
                insert(evses),
                [
                    {**gun, "gun_code": f"{identity}-{gun['evse_no']}", "max_power_w": power_w}
                    for gun in guns
                ],
            )
            await connection.execute(
                insert(connectors), [{**gun, "connector_no": 1} for gun in guns]
            )
        return identity, station_id

    async def raw(self, version: str, *, boots: bool = True) -> RawStation:
        """A connected and booted station under a scenario's word-by-word control."""
        identity, station_id = await self.new_station()
        account = Account(self.addresses.ocpp_url, identity, PASSWORD, version)
        station = RawStation(self, identity, station_id, SPEECHES[version]())

        async def settled() -> None:
            """A raw station does nothing by itself."""

        options = WireOptions(call_timeout_s=PATIENCE_S)
        station.wire = SocketWire(account, answer=station.reply, settled=settled, options=options)
        self.wires.append(station.wire)
        await station.wire.open()
        if boots:
            await station.boot()
        return station

    async def simulated(
        self, version: str, *quirks: Misbehaviour, lost_answer_timeout_s: float | None = None
    ) -> SimulatedStation:
        """A booted simulated station with two guns."""
        identity, _ = await self.new_station()
        station = SimulatedStation(
            identity,
            self.addresses.ocpp_url,
            PASSWORD,
            DIALECTS[version],
            clock=self.clock,
            quirks=frozenset(quirks),
            options=StationOptions(
                wire=WireOptions(
                    call_timeout_s=PATIENCE_S,
                    lost_answer_timeout_s=lost_answer_timeout_s,
                    late_answer_s=1.0,
                ),
                outbox=OutboxOptions(retry_s=0.01),
                uplink=UplinkOptions(reboot_s=0.01, reconnect_min_s=0.01),
                register_wh=12_345_678.0,
            ),
        )
        self.simulated_stations.append(station)
        await station.connect()
        assert await station.boot() == "Accepted"
        return station

    async def know(self, station_id: int, name: VariableName, value: str) -> None:
        """Let a variable be known as if the station had told it."""
        values = {"key": name.key, "path": name.path, "value": value, **asdict(name)}
        async with self.database.write() as connection:
            await connection.execute(
                insert(station_variables).values(station_id=station_id, **values)
            )

    async def station_id(self, identity: str) -> int:
        (row,) = await self.rows(
            "SELECT id FROM charging_stations WHERE identity = :identity", identity=identity
        )
        number: int = row.id
        return number

    async def new_token(self, **columns: Any) -> str:
        """Return a new idToken that may charge, unless the columns say otherwise."""
        token = f"TAXI-{next(self.numbers):04d}"
        async with self.database.write() as connection:
            await connection.execute(
                insert(id_tokens).values(token=token.lower(), display=token, **columns)
            )
        return token

    async def send_home(self) -> None:
        """Close all sockets that a scenario has opened."""
        for station in self.simulated_stations:
            await station.close()
            check_answers_to(station)
        for wire in self.wires:
            await wire.close()
        self.simulated_stations.clear()
        self.wires.clear()

    # What is stored.

    async def transactions_of(self, identity: str) -> Sequence[Row[Any]]:
        """Return a station's transactions in the order in which they began."""
        query = (
            select(transactions)
            .join(charging_stations, charging_stations.c.id == transactions.c.station_id)
            .where(charging_stations.c.identity == identity)
            .order_by(transactions.c.started_at, transactions.c.id)
        )
        return await self._rows(query)

    async def the_transaction(self, identity: str) -> Row[Any]:
        """Return the station's only transaction."""
        (row,) = await self.transactions_of(identity)
        return row

    async def samples_of(self, transaction_id: int) -> Sequence[Row[Any]]:
        return await self._rows(
            select(samples)
            .where(samples.c.transaction_id == transaction_id)
            .order_by(samples.c.sampled_at, samples.c.context)
        )

    async def events_of(self, transaction_id: int) -> Sequence[Row[Any]]:
        return await self._rows(
            select(transaction_events)
            .where(transaction_events.c.transaction_id == transaction_id)
            .order_by(transaction_events.c.at, transaction_events.c.seq_no)
        )

    async def rows(self, query: str, **values: Any) -> Sequence[Row[Any]]:
        return await self._rows(text(query).bindparams(**values))

    async def _rows(self, query: Any) -> Sequence[Row[Any]]:
        async with self.database.read() as connection:
            return (await connection.execute(query)).all()


async def open_stage(
    database_url: str, *, frame_log: bool = True, demo: bool = False, start: float = START
) -> Stage:
    clock = StageClock(start)
    limits = Limits(call_timeout_s=CALL_TIMEOUT_S)
    settings = Settings(
        _env_file=None,
        api_port=0,
        ocpp_port=0,
        secret_key=SecretStr(SECRET),
        frame_log=frame_log,
        demo=demo,
        limits=limits,
    )
    database = Database(database_url)
    async with database.write() as connection:
        await connection.execute(
            insert(locations)
            .values(id="hub", name="Hub", latitude=28.97, longitude=118.87)
            .on_conflict_do_nothing()
        )
    hub = StagedHub(settings, database_url, clock.now)
    return Stage(database_url, clock, settings, database, hub, await hub.start())


def flags_of(row: Row[Any]) -> Flag:
    return Flag(row.flags)
