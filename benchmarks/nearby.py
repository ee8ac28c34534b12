"""What a driver's question costs: `locations/nearby` among 10,000 Locations, and without the index.

    python -m benchmarks.nearby [--questions 300]

Prints p50 and p95 of the whole search as REST does it (every read, no HTTP), of the read by
distance alone with its index and with a sequential scan, and the two plans.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chargehub.finding.guns import Wanted
from chargehub.finding.queries import nearest_query, read_nearest
from chargehub.finding.rules import PowerClasses, TypicalCar, unit_vector
from chargehub.finding.search import Search, Surroundings, search
from chargehub.kit import migrate
from chargehub.kit.clock import wall_now
from chargehub.kit.datum import Point
from chargehub.kit.db import Database
from chargehub.kit.postgres import EmbeddedPostgres

HUB = Point(28.97, 118.87)
LIMIT = 20
SEED = (
    """
    INSERT INTO locations (id, name, latitude, longitude)
    SELECT 'L' || n, 'Location ' || n, 20 + 25 * random(), 100 + 20 * random()
    FROM generate_series(1, 9999) AS n UNION ALL SELECT 'HUB', 'The hub', 28.97, 118.87
    """,
    # Two dual-gun stations a Location, 91 at the hub.
    """
    INSERT INTO charging_stations (identity, location_id, max_power_w, commissioned_at)
    SELECT l.id || '-' || n, l.id, (ARRAY[60000, 120000, 480000])[1 + n % 3], now()
    FROM locations l CROSS JOIN LATERAL generate_series(1, CASE l.id WHEN 'HUB' THEN 91 ELSE 2 END)
         AS n
    """,
    """
    INSERT INTO evses (station_id, evse_no, gun_code, max_power_w)
    SELECT s.id, n, s.identity || '-' || n, s.max_power_w
    FROM charging_stations s, generate_series(1, 2) AS n
    """,
    """
    INSERT INTO connectors (station_id, evse_no, connector_no, status)
    SELECT station_id, evse_no, 1, CASE WHEN random() < 0.6 THEN 'Available' ELSE 'Occupied' END
    FROM evses
    """,
    # Five transactions a gun in the last days; every tenth gun has one under way.
    """
    INSERT INTO transactions (id, station_id, ref, evse_no, state, started_at, ended_at,
                              received_at, max_power_w, energy_wh, stopped_reason)
    SELECT nextval('transaction_ids'), e.station_id, e.evse_no || '/' || n, e.evse_no, 'Ended',
           now() - n * interval '1 day', now() - n * interval '1 day' + interval '40 minutes',
           now(), e.max_power_w, 30000, CASE WHEN random() < 0.01 THEN 'PowerLoss' ELSE 'Local' END
    FROM evses e, generate_series(1, 5) AS n
    """,
    """
    INSERT INTO transactions (id, station_id, ref, evse_no, state, started_at, received_at,
                              max_power_w)
    SELECT nextval('transaction_ids'), station_id, evse_no || '/now', evse_no, 'Active',
           now() - interval '20 minutes', now(), max_power_w
    FROM evses WHERE station_id % 5 = 0
    """,
)

Question = Callable[[AsyncConnection, Point], Awaitable[object]]


async def seed(database: Database) -> None:
    async with database.write() as connection:
        for statement in SEED:
            await connection.execute(text(statement))
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))


async def measure(
    database: Database, name: str, ask: Question, points: list[Point], *, by_index: bool = True
) -> None:
    took: list[float] = []
    async with database.engine.connect() as connection:
        if not by_index:
            await connection.execute(text("SET enable_indexscan = off"))
            await connection.execute(text("SET enable_bitmapscan = off"))
        for point in points[:20]:
            await ask(connection, point)
        for point in points:
            began = time.perf_counter()
            await ask(connection, point)
            took.append((time.perf_counter() - began) * 1000)
        await connection.execute(text("RESET ALL"))
    cuts = quantiles(took, n=100)
    print(f"{name:<58} p50 {cuts[49]:7.2f} ms   p95 {cuts[94]:7.2f} ms")


async def show_plan(database: Database, *, by_index: bool) -> None:
    async with database.engine.connect() as connection:
        if not by_index:
            await connection.execute(text("SET enable_indexscan = off"))
            await connection.execute(text("SET enable_bitmapscan = off"))
        rows = await connection.execute(
            text("EXPLAIN (ANALYZE, COSTS OFF) " + nearest_query(within=False, after=False)),
            {"vector": list(unit_vector(*HUB)), "now": wall_now(), "limit": LIMIT + 1},
        )
        print(f"\nPlan {'with the index' if by_index else 'without it'}:")
        for line in rows.scalars():
            # The expression of the point is as long as a page.
            print("   ", line if len(line) < 110 else line[:107] + "...")
        await connection.execute(text("RESET ALL"))


async def run(url: str, questions: int) -> None:
    database = Database(url)
    await seed(database)
    chance = random.Random(7)  # noqa: S311  Seeded chance is repeatable.
    points = [Point(chance.uniform(21, 44), chance.uniform(101, 119)) for _ in range(questions)]
    async with database.read() as connection:
        ids = frozenset(await connection.scalars(text("SELECT id FROM charging_stations")))
        guns = await connection.scalar(text("SELECT count(*) FROM evses"))
    print(f"10,000 Locations, {guns} guns, {questions} questions one after another")
    around = Surroundings(wall_now(), ids, PowerClasses(), TypicalCar())

    def asking(wanted: Wanted, radius_m: float | None = None) -> Question:
        async def ask(connection: AsyncConnection, point: Point) -> object:
            question = Search(point, radius_m, wanted, open_now=False, limit=LIMIT)
            return await search(connection, question, around, None)

        return ask

    async def nearest(connection: AsyncConnection, point: Point) -> object:
        return await read_nearest(
            connection,
            unit_vector(*point),
            now=around.now,
            reach=None,
            after=None,
            limit=LIMIT + 1,
        )

    strong = Wanted(min_power_w=480_000, free=True)
    await measure(database, "search: the 20 nearest", asking(Wanted()), points)
    await measure(database, "search: within 50 km", asking(Wanted(), 50_000), points)
    await measure(database, "search: the 20 nearest with 480 kW free", asking(strong), points)
    hub = [HUB] * questions
    await measure(database, "search: the hub of 182 guns and 19 more", asking(Wanted()), hub)
    await measure(database, "by distance alone, with the index", nearest, points)
    await measure(database, "by distance alone, sequential scan", nearest, points, by_index=False)
    await show_plan(database, by_index=True)
    await show_plan(database, by_index=False)
    await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=300)
    questions: int = parser.parse_args().questions
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        place.chmod(0o711)
        with EmbeddedPostgres(place / "data") as server:
            migrate.upgrade(server.url)
            asyncio.run(run(server.url, questions))


if __name__ == "__main__":
    main()
