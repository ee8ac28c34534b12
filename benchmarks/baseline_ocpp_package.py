"""Baseline: a central system made of the `ocpp` package alone, as its README shows, no database."""

# The package ships no types for its decorator and base class.
# mypy: disable-error-code="misc,untyped-decorator"

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import time
from typing import Any

import ocpp.messages
import uvloop
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import Action, AuthorizationStatus, RegistrationStatus
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

transaction_ids = itertools.count(1)


def utc_now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Station(ChargePoint):
    @on(Action.boot_notification)
    def boot(self, **_: Any) -> call_result.BootNotification:
        return call_result.BootNotification(utc_now(), 300, RegistrationStatus.accepted)

    @on(Action.heartbeat)
    def heartbeat(self, **_: Any) -> call_result.Heartbeat:
        return call_result.Heartbeat(utc_now())

    @on(Action.status_notification)
    def status(self, **_: Any) -> call_result.StatusNotification:
        return call_result.StatusNotification()

    @on(Action.authorize)
    def authorize(self, **_: Any) -> call_result.Authorize:
        return call_result.Authorize(IdTagInfo(AuthorizationStatus.accepted))

    @on(Action.start_transaction)
    def start_transaction(self, **_: Any) -> call_result.StartTransaction:
        return call_result.StartTransaction(
            next(transaction_ids), IdTagInfo(AuthorizationStatus.accepted)
        )

    @on(Action.stop_transaction)
    def stop_transaction(self, **_: Any) -> call_result.StopTransaction:
        return call_result.StopTransaction(IdTagInfo(AuthorizationStatus.accepted))

    @on(Action.meter_values)
    def meter_values(self, **_: Any) -> call_result.MeterValues:
        return call_result.MeterValues()


async def run_station(connection: ServerConnection) -> None:
    assert connection.request is not None
    station = Station(connection.request.path.rsplit("/", 1)[-1], connection)
    try:
        await station.start()
    except ConnectionClosed:
        return


async def main(port: int) -> None:
    async with serve(
        run_station,
        "127.0.0.1",
        port,
        subprotocols=[Subprotocol("ocpp1.6")],
        compression=None,
        backlog=4096,
    ) as server:
        print("listening", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    # Validation in the event loop: faster than the package's default of a thread for each message.
    ocpp.messages.ASYNC_VALIDATION = False
    # At its default level the package logs every frame; silence is in its favour.
    logging.getLogger("ocpp").setLevel(logging.WARNING)
    if "--uvloop" in sys.argv:
        uvloop.run(main(int(sys.argv[1])))
    else:
        asyncio.run(main(int(sys.argv[1])))
