"""Series out: what the API reads of the samples. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.telemetry.store import samples

Rows = Sequence[Row[Any]]
SeriesKey = tuple[datetime, str, int]
"""(sampled_at, context, content_hash): unique within one EVSE's transaction."""

_ORDER = (samples.c.sampled_at, samples.c.context, samples.c.content_hash)

# The key has evse_no between station_id and transaction_id, and before PostgreSQL 18 an index
# cannot skip a column: so the EVSE numbers a station's samples have are looked up one by one.
_SEEN = """
    (WITH RECURSIVE seen AS (
        (SELECT s.evse_no FROM samples s WHERE s.station_id = {0} ORDER BY s.evse_no LIMIT 1)
        UNION ALL
        SELECT (SELECT s.evse_no FROM samples s
                WHERE s.station_id = {0} AND s.evse_no > seen.evse_no
                ORDER BY s.evse_no LIMIT 1)
        FROM seen WHERE seen.evse_no IS NOT NULL
    )
    SELECT seen.evse_no FROM seen WHERE seen.evse_no IS NOT NULL)
"""

# A sample may carry only some of the values: of the last ten, the newest of each that is there.
_LATEST = text(
    f"""
    SELECT t.transaction_id, last.sampled_at, last.power_w, last.energy_wh, last.soc_percent
    FROM unnest(CAST(:stations AS bigint[]), CAST(:transactions AS bigint[]))
         AS t(station_id, transaction_id)
    CROSS JOIN LATERAL (
        SELECT
            max(sampled_at) AS sampled_at,
            (array_agg(power_w ORDER BY sampled_at DESC)
                FILTER (WHERE power_w IS NOT NULL))[1] AS power_w,
            (array_agg(energy_wh ORDER BY sampled_at DESC)
                FILTER (WHERE energy_wh IS NOT NULL))[1] AS energy_wh,
            (array_agg(soc_percent ORDER BY sampled_at DESC)
                FILTER (WHERE soc_percent IS NOT NULL))[1] AS soc_percent
        FROM (
            SELECT sampled_at, power_w, energy_wh, soc_percent FROM samples
            WHERE station_id = t.station_id AND evse_no = ANY(ARRAY{_SEEN.format("t.station_id")})
              AND transaction_id = t.transaction_id
            ORDER BY sampled_at DESC LIMIT 10
        ) AS newest
    ) AS last
    WHERE last.sampled_at IS NOT NULL
    """  # noqa: S608  Put together from our own constants.
)


async def read_series(
    connection: AsyncConnection,
    *,
    station_id: int,
    transaction_id: int,
    after: SeriesKey | None,
    limit: int,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> Rows:
    """Return a transaction's samples in the order of their own time, begin <= time < end."""
    query = series_query(station_id, transaction_id)
    return await _page(connection, query, after=after, limit=limit, begin=begin, end=end)


def series_query(station_id: int, transaction_id: int) -> Select[Any]:
    seen = func.any(func.array(text(_SEEN.format(":of_station")).bindparams(of_station=station_id)))
    return select(samples).where(
        samples.c.station_id == station_id,
        samples.c.evse_no == seen,
        samples.c.transaction_id == transaction_id,
    )


async def read_evse_series(
    connection: AsyncConnection,
    *,
    station_id: int,
    evse_no: int,
    after: SeriesKey | None,
    limit: int,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> Rows:
    """Return an EVSE's samples, of transactions and between them; EVSE 0 is the whole station."""
    query = select(samples).where(samples.c.station_id == station_id, samples.c.evse_no == evse_no)
    return await _page(connection, query, after=after, limit=limit, begin=begin, end=end)


async def _page(
    connection: AsyncConnection,
    query: Select[Any],
    *,
    after: SeriesKey | None,
    limit: int,
    begin: datetime | None,
    end: datetime | None,
) -> Rows:
    if begin is not None:
        query = query.where(samples.c.sampled_at >= begin)
    if end is not None:
        query = query.where(samples.c.sampled_at < end)
    if after is not None:
        # The first term alone lets the planner skip partitions.
        query = query.where(samples.c.sampled_at >= after[0], tuple_(*_ORDER) > after)
    rows: Rows = (await connection.execute(query.order_by(*_ORDER).limit(limit))).all()
    return rows


async def read_latest_values(
    connection: AsyncConnection, transactions: Collection[tuple[int, int]]
) -> dict[int, Row[Any]]:
    """Return each transaction's newest power, state of charge and energy, by transaction id.

    Transactions are (station_id, transaction_id); one without samples is absent.
    """
    if not transactions:
        return {}
    return {
        row.transaction_id: row
        for row in await connection.execute(
            _LATEST,
            {
                "stations": [station_id for station_id, _ in transactions],
                "transactions": [transaction_id for _, transaction_id in transactions],
            },
        )
    }
