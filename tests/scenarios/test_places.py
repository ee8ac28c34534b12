"""Cards that may not charge everywhere: statement 60 (C01.FR.18-22)."""

from __future__ import annotations

from typing import Any

import pytest

from chargehub.telemetry.readings import Flag
from tests.scenarios.speech import V16, Payload, Verdict
from tests.scenarios.stage import RawStation, Stage, flags_of

FAR = "NotAtThisLocation"
TYPE = "NotAllowedTypeEVSE"


def said(version: str, status: str) -> str:
    """Return the status word of the version: 1.6 has one for all restrictions."""
    return "Blocked" if version == V16 and status != "Accepted" else status


async def ask(station: RawStation, token: str) -> Payload:
    answer = await station.say(station.speech.authorize(token))
    info: Payload = answer.get("idTagInfo") or answer["idTokenInfo"]
    return info


async def make_slow(stage: Stage, station: RawStation, evse_no: int) -> None:
    async with stage.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE evses SET max_power_w = 60000 WHERE station_id = %s AND evse_no = %s",
            (station.station_id, evse_no),
        )


@pytest.mark.parametrize(
    ("restriction", "status"),
    [
        ({"location_ids": ["another", "third"]}, FAR),
        ({"location_ids": ["another", "hub"]}, "Accepted"),
        ({"max_power_w": 119_999}, TYPE),
        ({"max_power_w": 120_000}, "Accepted"),
        ({"location_ids": ["another"], "max_power_w": 1}, FAR),
    ],
    ids=["elsewhere", "here too", "too strong", "just right", "both"],
)
async def test_statement_60_a_card_charges_where_it_may(
    stage: Stage, version: str, restriction: dict[str, Any], status: str
) -> None:
    token = await stage.new_token(**restriction)
    station = await stage.raw(version)
    info = await ask(station, token)
    assert info["status"] == said(version, status)
    # C01.FR.19/22: all of them, or none, is told by the status alone.
    assert "evseId" not in info
    await station.begin(token)
    row = await stage.the_transaction(station.identity)
    assert row.authorization_status == status
    assert flags_of(row) == (Flag.NONE if status == "Accepted" else Flag.REFUSED_TOKEN)


async def test_statement_60_a_card_may_be_good_for_some_guns_only(
    stage: Stage, version: str
) -> None:
    token = await stage.new_token(max_power_w=60_000)
    station = await stage.raw(version)
    await make_slow(stage, station, 2)
    info = await ask(station, token)
    assert info["status"] == "Accepted"
    assert info.get("evseId") == (None if version == V16 else [2])
    await station.begin(token, evse_no=1)
    assert (await stage.the_transaction(station.identity)).authorization_status == TYPE
    # Refused there, it is still free to charge here.
    stage.pass_time(5)
    session = await station.begin(token, evse_no=2)
    rows = await stage.transactions_of(station.identity)
    assert [row.authorization_status for row in rows] == [TYPE, "Accepted"]
    await station.end(session, 6_000)


async def test_statement_60_a_blocked_card_is_blocked_everywhere(
    stage: Stage, version: str
) -> None:
    token = await stage.new_token(location_ids=["another"], status="Blocked")
    station = await stage.raw(version)
    assert await station.authorize(token) == Verdict("Blocked")
