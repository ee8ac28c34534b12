"""What is asked at each beginning of a transaction reads no table from end to end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event, insert, text

from chargehub.charging import ledger
from chargehub.kit.db import Database
from chargehub.stations.store import charging_stations, locations
from chargehub.transactions.store import transactions

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def a_transaction(database: Database) -> int:
    place = {"id": "L", "name": "L", "latitude": 28.97, "longitude": 118.87}
    station = {"identity": "S", "location_id": "L", "max_power_w": 1, "commissioned_at": NOW}
    async with database.write() as connection:
        await connection.execute(insert(locations).values(place))
        made = await connection.execute(
            insert(charging_stations).values(station).returning(charging_stations.c.id)
        )
        values = {"id": 7, "ref": "7", "station_id": made.scalar_one(), "evse_no": 1}
        values |= {
            "id_token": "card",
            "state": "Active",
            "started_at": NOW,
            "received_at": NOW,
            "max_power_w": 1,
        }
        await connection.execute(insert(transactions).values(values))
    return 7


async def test_whose_charge_a_transaction_is_is_found_by_indexes(database: Database) -> None:
    number = await a_transaction(database)
    heard: list[tuple[str, Any]] = []

    def hear(*execution: Any) -> None:
        heard.append((execution[2], execution[3]))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        async with database.write() as connection:
            await ledger.settle(connection, NOW, number)
    finally:
        event.remove(engine, "before_cursor_execute", hear)
    plans = []
    async with database.write() as connection:
        # In small tables a walk is cheaper; where there is no other way it is still taken.
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        for statement, values in heard:
            found = await connection.exec_driver_sql(f"EXPLAIN {statement}", values)
            plans.append("\n".join(row[0] for row in found))
    by_command = next(plan for plan in plans if "station_commands" in plan)
    assert "ix_station_commands_transaction_id" in by_command
    assert f"Index Cond: (transaction_id = '{number}'::bigint)" in by_command
    for plan in plans:
        assert "Seq Scan" not in plan, plan
