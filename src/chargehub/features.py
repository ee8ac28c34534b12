"""The features of a hub: built here, and handed what they need of each other. Nothing is started.

A need that points up the layers is met here: one feature gives another a function or an object that
fits its Protocol. What they have for the worker and for the routers is collected here too. When
they start and stop is told in app.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from chargehub.access.api import AccessParts
from chargehub.access.service import AccessService
from chargehub.bays.of_drivers import LocksOfDriver
from chargehub.bays.service import Bays
from chargehub.charging.codes import CodeForms, link_hosts, vendor_links
from chargehub.charging.of_drivers import ChargesOfDriver
from chargehub.charging.service import Charging
from chargehub.devices.service import Devices
from chargehub.drivers.credentials.parts import CredentialParts
from chargehub.drivers.inbox import notify
from chargehub.drivers.inbox_delivery import InboxDelivery
from chargehub.drivers.ports import ports_of
from chargehub.drivers.service import driver_services
from chargehub.drivers.vehicle_identity import CarNames
from chargehub.finding.api import FindingParts
from chargehub.finding.forecast import Forecast
from chargehub.finding.rules import TypicalCar
from chargehub.gateway.connections import Connections
from chargehub.gateway.handlers import report_handlers
from chargehub.gateway.intake import Intake
from chargehub.housekeeping import Housekeeping, Retention
from chargehub.kit.clock import HubClock
from chargehub.kit.db import Database
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import GroupCommitter
from chargehub.kit.idempotency import Repeats
from chargehub.kit.sealing import Seal
from chargehub.kit.worker import DueAction, OutboxAction
from chargehub.live.board import Board
from chargehub.live.facts import HubFacts
from chargehub.live.feed import LiveFeed
from chargehub.live.frames import FrameRing
from chargehub.live.store import load_hub
from chargehub.reservations.booking import Bookings
from chargehub.reservations.guard import HeldNow
from chargehub.reservations.life import LifeCycle
from chargehub.reservations.of_drivers import ReservationsOfDriver
from chargehub.reservations.queue.of_drivers import QueueOfDriver
from chargehub.reservations.queue.outlook import Outlook
from chargehub.reservations.queue.service import Queue
from chargehub.reservations.station_holds import life_cycle
from chargehub.settings import Settings, personal_data_key, station_key
from chargehub.smart_charging.api import SmartChargingParts
from chargehub.smart_charging.composite import Supply
from chargehub.stations.api import StationParts
from chargehub.stations.command_queue import QueueLimits
from chargehub.stations.commissioning import Commissioning
from chargehub.stations.credential_change import CredentialChange
from chargehub.stations.events import RETIRED
from chargehub.stations.orders import Orders
from chargehub.transactions.book import Book
from chargehub.transactions.missing import ASK_MISSING, MissingMessages
from chargehub.transactions.of_drivers import TransactionsOfDriver
from chargehub.transactions.orphans import DARK_CHECK, ORPHAN_CHECK, CloseHandler, OrphanPolicy
from chargehub.transactions.queries import read_charges
from chargehub.transactions.remote import START_TIMEOUT, RemoteControl
from chargehub.transactions.rows import SETTLE
from chargehub.transactions.settlement import Settlement


@dataclass(frozen=True, slots=True)
class Ground:
    """What all features stand on."""

    settings: Settings
    database: Database
    clock: HubClock
    bus: EventBus
    book: Book
    committer: GroupCommitter
    connections: Connections


@dataclass(frozen=True, slots=True)
class Features:
    ground: Ground
    intake: Intake
    orders: Orders
    devices: Devices
    remote: RemoteControl
    orphans: OrphanPolicy
    smart: SmartChargingParts
    reserved: LifeCycle
    bays: Bays
    charging: Charging
    seal: Seal
    credentials: CredentialParts
    queue: Queue
    inbox: InboxDelivery
    feed: LiveFeed

    @classmethod
    def build(cls, ground: Ground) -> Features:
        """Build them all. Some hear of the ground's events from now on."""
        settings, limits = ground.settings, ground.settings.limits
        database, clock, book = ground.database, ground.clock, ground.book
        supply, seal = Supply(settings.supply_voltage_v), Seal(personal_data_key(settings))
        orders = _orders(ground)
        desk = orders.desk
        credentials = CredentialParts.build(
            *(database, clock, seal),
            time_zone=settings.time_zone,
            image_days=limits.credential_image_days,
        )
        bays = Bays.build(database, clock, settings.gateways_of_bays)
        remote = RemoteControl(database, clock, desk, book, limits.call_timeout_s)
        return cls(
            ground,
            intake=_intake(ground, supply, CarNames(seal)),
            orders=orders,
            devices=Devices.with_orders(
                orders, at_once=limits.template_stations, stations_max=limits.template_stations_max
            ),
            remote=remote,
            orphans=OrphanPolicy(
                *(database, clock, book, ground.committer),
                CloseHandler(book, ground.bus),
                ground.connections,
            ),
            smart=SmartChargingParts.build(
                database, clock, desk, book=book, remote=remote, supply=supply
            ),
            reserved=life_cycle(database, clock, desk, bays.taken_guns(book), notify),
            bays=bays,
            charging=Charging.listening(
                *(database, clock, remote, ground.bus),
                streams=(limits.charge_streams, limits.charge_streams_of_driver),
            ),
            seal=seal,
            credentials=credentials,
            queue=_queue(ground, credentials, bays),
            inbox=InboxDelivery.build(
                *(database, clock),
                streams=(limits.inbox_streams, limits.inbox_streams_of_driver),
                demo=settings.demo,
            ),
            feed=_feed(ground),
        )

    # For the worker

    def due(self) -> dict[str, DueAction]:
        """Return what is done with due rows, by their kind."""
        database, clock = self.ground.database, self.ground.clock
        return {
            **self.reserved.due(),
            **self.queue.due(),
            SETTLE: Settlement(database, clock).settle,
            ORPHAN_CHECK: self.orphans.check,
            DARK_CHECK: self.orphans.check_dark,
            START_TIMEOUT: self.remote.give_up_start,
            **self.bays.due,
            **self.charging.due,
            **self.orders.due(),
            **self.devices.due(),
            **self.credentials.due(),
            **Housekeeping(database, clock, Retention.of(self.ground.settings.limits)).due(),
        }

    def slow(self) -> dict[str, DueAction]:
        """Return the due actions that may wait for a station."""
        missing = MissingMessages(self.ground.database, self.ground.clock, self.orders.desk)
        return {
            ASK_MISSING: missing.ask,
            **self.orders.slow(),
            **self.devices.slow(),
            **self.smart.slow,
            **self.reserved.slow(),
            **self.bays.slow,
            **self.charging.slow,
        }

    def topics(self) -> dict[str, OutboxAction]:
        """Return who acts on which event of the outbox."""
        return {
            RETIRED: self.orphans.station_retired,
            **self.orders.topics(),
            **self.devices.topics(),
            **self.smart.topics,
            **self.inbox.topics(),
            **self.credentials.topics(),
        }

    # For the routers

    def for_routers(self, api_url: str) -> tuple[object, ...]:
        """Return what the routers find by type; `api_url`: where this server is reached."""
        settings, limits = self.ground.settings, self.ground.settings.limits
        database, clock = self.ground.database, self.ground.clock
        public_url = settings.public_url or api_url
        return (
            database,
            clock,
            AccessService(database, clock),
            AccessParts(database, settings.secure_cookies),
            Repeats(database, timedelta(hours=limits.idempotency_hours), limits.idempotency_keys),
            self._of_stations(public_url),
            self.intake,
            self.orders.queue,
            self.devices,
            self.remote,
            self.orphans,
            self.queue,
            Bookings(
                clock,
                self.bays.taken_guns(self.ground.book),
                is_verified=self.credentials.is_taxi_driver,
            ),
            self.smart,
            self.bays,
            self.charging,
            CodeForms(
                public_url,
                settings.operator_id,
                vendor_links(settings.gun_links),
                link_hosts(settings.gun_link_hosts),
            ),
            self.feed,
            FindingParts.build(
                *(database, clock, self.ground.connections.online_ids),
                **settings.finding.model_dump(),
            ),
            *self._of_drivers(),
            self.inbox.feed,
            *self.credentials.for_routers(),
        )

    def _of_stations(self, public_url: str) -> StationParts:
        ground, orders = self.ground, self.orders
        database, clock, key = ground.database, ground.clock, station_key(ground.settings)
        return StationParts(
            database=database,
            desk=orders.desk,
            control=orders.control,
            commissioning=Commissioning(database, clock, key, ground.bus, ground.connections),
            credential_change=CredentialChange(database, clock, key, ground.bus, orders.desk),
            public_url=public_url,
            read_charges=read_charges,
            read_held=HeldNow(database, clock).at_stations,
        )

    def _of_drivers(self) -> tuple[object, ...]:
        settings = self.ground.settings
        return driver_services(
            self.ground.database,
            self.ground.clock,
            self.seal,
            ports_of(demo=settings.demo),
            secure_cookies=settings.secure_cookies,
            parts=(
                TransactionsOfDriver(),
                # In this order: from the first on nobody calls the driver to another gun.
                QueueOfDriver(),
                ReservationsOfDriver(),
                ChargesOfDriver(self.charging.watch),
                LocksOfDriver(),
                self.credentials.of_account(),
            ),
        )


def _intake(ground: Ground, supply: Supply, names: CarNames) -> Intake:
    settings = ground.settings
    handlers = report_handlers(
        ground.book,
        ground.bus,
        supply,
        settings.heartbeat_interval_s,
        station_variables=settings.limits.station_variables,
        limit_sources=settings.limits.limit_sources,
        names=names,
    )
    return Intake(ground.committer, handlers)


def _queue(ground: Ground, credentials: CredentialParts, bays: Bays) -> Queue:
    finding = ground.settings.finding
    car = TypicalCar(finding.battery_wh, finding.leaves_at_percent)
    taken = bays.taken_guns(ground.book)
    outlook = Outlook(taken, Forecast(ground.connections.online_ids, car))
    verified = credentials.is_taxi_driver
    return Queue(ground.database, ground.clock, taken, notify, outlook, verified)


def _orders(ground: Ground) -> Orders:
    limits = ground.settings.limits
    queue_limits = QueueLimits(
        waiting=limits.queued_commands,
        usual=timedelta(hours=limits.queued_hours),
        longest=timedelta(hours=limits.queued_hours_max),
        at_once=limits.deliveries,
        answer_within_s=2 * limits.call_timeout_s,
    )
    return Orders.through(
        ground.connections, ground.database, ground.clock, ground.bus, queue_limits
    )


def _feed(ground: Ground) -> LiveFeed:
    settings, database, clock = ground.settings, ground.database, ground.clock

    async def load() -> HubFacts:
        async with database.read() as connection:
            return await load_hub(connection, clock.now())

    board = Board(FrameRing(uuid4().hex[:8]), clock.now, settings.clock_rate)
    read_held = HeldNow(database, clock).everywhere
    feed = LiveFeed(board, load, max_viewers=settings.limits.live_viewers, read_held=read_held)
    feed.listen(ground.bus)
    return feed
