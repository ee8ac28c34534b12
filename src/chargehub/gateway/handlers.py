"""Which feature's step takes which report of stations, and who else is told of it."""

from __future__ import annotations

from typing import Any

from chargehub.devices import inbound as devices_inbound
from chargehub.drivers.vehicle_identity import CarNames
from chargehub.kit.events import EventBus
from chargehub.kit.group_commit import BatchHandler
from chargehub.reservations import inbound as reservations_inbound
from chargehub.reservations.reports import ReservationStatusReported
from chargehub.smart_charging import inbound as smart_charging_inbound
from chargehub.smart_charging.composite import Supply
from chargehub.stations.inbound import (
    BootHandler,
    NoticeHandler,
    StatusHandler,
)
from chargehub.stations.presence import ConnectHandler, DisconnectHandler
from chargehub.stations.reports import (
    BootReported,
    Connected,
    Disconnected,
    NoticeReported,
    StatusReported,
)
from chargehub.transactions.authorizing import AuthorizeHandler
from chargehub.transactions.book import Book
from chargehub.transactions.inbound import TransactionHandler
from chargehub.transactions.orphans import OrphanWatch
from chargehub.transactions.reports import (
    AuthorizeRequested,
    SamplesReported,
    TransactionReported,
)
from chargehub.transactions.samples import SamplesHandler


def report_handlers(
    book: Book,
    bus: EventBus,
    supply: Supply,
    heartbeat_interval_s: int,
    *,
    station_variables: int,
    limit_sources: int,
    names: CarNames | None = None,
) -> dict[type, BatchHandler[Any, Any, Any]]:
    """Return which feature's step takes which report of stations.

    `names`: by which idTokens cars are known that present their VIN or MAC; None: they are not.
    """
    watch = OrphanWatch(book)
    told_of_boots = (
        watch.station_booted,
        reservations_inbound.station_booted,
        devices_inbound.station_booted,
        smart_charging_inbound.station_booted,
    )
    told_of_statuses = (watch.status_reported, reservations_inbound.status_reported)
    return {
        Connected: ConnectHandler(bus, (reservations_inbound.station_connected,)),
        Disconnected: DisconnectHandler(bus),
        BootReported: BootHandler(heartbeat_interval_s, 60, told_of_boots),
        StatusReported: StatusHandler(bus, told_of_statuses),
        NoticeReported: NoticeHandler(),
        **devices_inbound.handlers(station_variables),
        AuthorizeRequested: AuthorizeHandler(book, names),
        TransactionReported: TransactionHandler(book, bus, names),
        SamplesReported: SamplesHandler(book, bus),
        ReservationStatusReported: reservations_inbound.ReservationStatusHandler(),
        **smart_charging_inbound.handlers(book, supply, limit_sources),
    }
