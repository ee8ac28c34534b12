"""What the API reads of transactions and their events. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.drivers.store import id_tokens
from chargehub.kit.errors import NotFound
from chargehub.kit.secrets import PIN_KIND
from chargehub.stations.states import Charge
from chargehub.stations.store import charging_stations
from chargehub.telemetry.queries import read_latest_values
from chargehub.transactions.store import transaction_events, transactions

Rows = Sequence[Row[Any]]

_NEWEST_FIRST = (transactions.c.started_at, transactions.c.id)


def _transactions() -> Select[Any]:
    return (
        select(
            transactions,
            charging_stations.c.identity,
            charging_stations.c.location_id,
            id_tokens.c.display.label("id_token_display"),
            id_tokens.c.kind.label("entered_kind"),
        )
        .join(charging_stations, charging_stations.c.id == transactions.c.station_id)
        .outerjoin(id_tokens, id_tokens.c.token == transactions.c.id_token)
    )


async def read_transactions(
    connection: AsyncConnection,
    *,
    after: tuple[datetime, int] | None,
    limit: int,
    filters: dict[str, Any],
) -> Rows:
    """Return transactions, newest start first.

    Filters: state, location, station, evse_no, id_token, begin, end, flagged; None filters nothing.
    """
    # idTokens are stored in lower case; lower() around the column would defeat its index.
    query = _transactions().order_by(*(column.desc() for column in _NEWEST_FIRST)).limit(limit)
    conditions: dict[str, Callable[[Any], ColumnElement[bool]]] = {
        "state": lambda value: transactions.c.state == value,
        "location": lambda value: charging_stations.c.location_id == value,
        "station": lambda value: func.lower(charging_stations.c.identity) == value.lower(),
        "evse_no": lambda value: transactions.c.evse_no == value,
        # A PIN is shown to nobody, so nobody may try one out either.
        "id_token": lambda value: and_(
            transactions.c.id_token == value.lower(),
            func.lower(func.coalesce(transactions.c.id_token_kind, id_tokens.c.kind, ""))
            != PIN_KIND,
        ),
        "begin": lambda value: transactions.c.started_at >= value,
        "end": lambda value: transactions.c.started_at < value,
        "flagged": lambda value: (transactions.c.flags != 0) == value,
    }
    for name, value in filters.items():
        if value is not None:
            query = query.where(conditions[name](value))
    if after is not None:
        query = query.where(tuple_(*_NEWEST_FIRST) < after)
    rows: Rows = (await connection.execute(query)).all()
    return rows


async def find_transaction(connection: AsyncConnection, transaction_id: int) -> Row[Any]:
    query = _transactions().where(transactions.c.id == transaction_id)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such transaction.")
    return row


async def read_events(
    connection: AsyncConnection,
    transaction_id: int,
    *,
    after: tuple[datetime, int] | None,
    limit: int,
) -> Rows:
    """Return a transaction's events in the order of their own time."""
    order = (transaction_events.c.at, transaction_events.c.id)
    query = (
        select(transaction_events)
        .where(transaction_events.c.transaction_id == transaction_id)
        .order_by(*order)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(*order) > after)
    return (await connection.execute(query)).all()


async def read_charges(
    connection: AsyncConnection, station_ids: Collection[int]
) -> dict[tuple[int, int], Charge]:
    """Return what explains the EVSEs of these stations: of each the open one that began last."""
    rows = await connection.execute(
        select(transactions)
        .where(
            transactions.c.state == "Active",
            transactions.c.station_id.in_(station_ids),
            transactions.c.evse_no.is_not(None),
        )
        .order_by(transactions.c.started_at, transactions.c.id)
    )
    newest = {(row.station_id, row.evse_no): row for row in rows}
    latest = await read_latest_values(
        connection, [(row.station_id, row.id) for row in newest.values()]
    )
    powers = {number: values.power_w for number, values in latest.items()}
    return {place: Charge(row.charging_state, powers.get(row.id)) for place, row in newest.items()}
