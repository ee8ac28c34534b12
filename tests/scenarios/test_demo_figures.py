"""The figures that `make run` shows are those of the board."""

from __future__ import annotations

import psycopg
from sqlalchemy import insert, update

from chargehub.demo.progress import Progress, read_progress
from chargehub.demo.seed import HUB
from chargehub.kit.clock import ClockPair, HubClock
from chargehub.stations.store import charging_stations, locations
from tests.scenarios.speech import V201
from tests.scenarios.stage import Stage


def progress(stage: Stage) -> Progress:
    clock = HubClock(ClockPair(0, 0, 1), stage.clock.now)
    with psycopg.connect(stage.database_url.replace("+psycopg", "")) as connection:
        return read_progress(connection, clock)


async def test_energy_counts_running_charges_and_states_are_those_of_the_board(
    stage: Stage,
) -> None:
    async with stage.database.write() as connection:
        values = {"id": HUB, "name": "Hub", "latitude": 28.97, "longitude": 118.87}
        await connection.execute(insert(locations).values(values))
    station = await stage.raw(V201)
    async with stage.database.write() as connection:
        await connection.execute(
            update(charging_stations)
            .where(charging_stations.c.id == station.station_id)
            .values(location_id=HUB)
        )
    await station.report(1, "Occupied", station.now)
    await station.report(2, "Available", station.now)
    session = await station.begin(await stage.new_token(), 5_000, charging_state="EVConnected")
    assert progress(stage).evse_states == {"Preparing": 1, "Available": 1}
    stage.pass_time(60)
    await station.sample(session, 5_900)
    stage.pass_time(60)
    power = station.speech.value(60_000, measurand="Power.Active.Import", unit="W")
    await station.say(station.speech.sampled(session, station.now, [power]))
    shown = progress(stage)
    assert (shown.active, shown.completed) == (1, 0)
    assert (shown.energy_wh, shown.power_w) == (900, 60_000)
    await station.end(session, 6_500)
    assert progress(stage).energy_wh == 1_500
