"""What the board is told while a transaction runs: the newest values, and never an older one."""

from __future__ import annotations

from chargehub.live.board import Board
from chargehub.live.frames import FrameRing
from chargehub.live.store import load_hub
from chargehub.transactions.events import TransactionProgressed
from tests.live_client import view_of
from tests.scenarios.speech import Payload
from tests.scenarios.stage import RawStation, Stage

Shown = tuple[int | None, float | None]


def power(station: RawStation, watt: float) -> Payload:
    return station.speech.value(watt, measurand="Power.Active.Import", unit="W")


def told(stage: Stage, station: RawStation) -> list[Shown]:
    """Return a list that grows by what the board is told of the station: power and SoC."""
    heard: list[Shown] = []

    def note(event: TransactionProgressed) -> None:
        if event.station_id == station.station_id:
            heard.append((event.power_w, event.soc_percent))

    stage.hub.bus.subscribe(TransactionProgressed, note)
    return heard


async def test_values_without_an_energy_register_reach_the_board(
    stage: Stage, version: str
) -> None:
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token())
    heard = told(stage, station)
    for watt in (60_000, 61_000):
        stage.pass_time(30)
        soc = station.speech.value(40, measurand="SoC", unit="Percent")
        values = [power(station, watt), soc]
        await station.say(station.speech.sampled(session, station.now, values))
    assert heard == [(60_000, 40.0), (61_000, 40.0)]


async def test_of_one_message_the_newest_reading_shows_in_whatever_order(
    stage: Stage, version: str
) -> None:
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token())
    heard = told(stage, station)
    stage.pass_time(60)
    message = station.speech.sampled(session, station.now, [power(station, 60_000)])
    older = station.speech.sampled(session, station.now - 30, [power(station, 30_000)])
    message.payload["meterValue"] += older.payload["meterValue"]
    await station.say(message)
    assert heard == [(60_000, None)]


async def test_an_older_sample_that_comes_late_is_not_shown(stage: Stage, version: str) -> None:
    """Also after our restart, and whether the samples carry a register or not."""
    station = await stage.raw(version)
    session = await station.begin(await stage.new_token())
    begun_at = station.now
    stage.pass_time(60)
    await station.say(station.speech.sampled(session, station.now, [power(station, 60_000)]))
    for restarted in (False, True):
        if restarted:
            await stage.restart()
            await station.reconnect()
        heard = told(stage, station)
        for late_s in (10, 20):
            values = [power(station, late_s), station.speech.value(5_000 + late_s)]
            await station.say(station.speech.sampled(session, begun_at + late_s, values))
        assert [watt for watt, _ in heard if watt is not None] == []
    async with stage.database.read() as connection:
        facts = await load_hub(connection, stage.clock.date())
    board = Board(FrameRing("e"), stage.clock.date)
    board.load(facts)
    assert view_of(board.snapshot()).evses[f"{station.station_id}-1"]["power_w"] == 60_000
