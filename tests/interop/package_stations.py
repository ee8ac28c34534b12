"""Stations of the independent `ocpp` package: they check every frame of ours by their own means.

What they are asked they answer as a table says, and keep for the test to act on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ocpp import v16, v21, v201
from ocpp.routing import on
from websockets.exceptions import ConnectionClosed

from tests.hub_fixtures import DEADLINE_S, V2X, V16, V21, V201, RunningHub, Station

Fields = dict[str, Any]
"""In the package's snake_case."""
Order = tuple[str, Fields]

PACKAGES: Mapping[str, Any] = {V16: v16, V201: v201, V21: v21}
ACCEPTED: Fields = {"status": "Accepted"}
POWER: Fields = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}
ANSWERS_OF_2_X: Mapping[str, Fields] = {
    "RequestStartTransaction": ACCEPTED,
    "RequestStopTransaction": ACCEPTED,
    "Reset": {"status": "Scheduled"},
    "ChangeAvailability": ACCEPTED,
    "UnlockConnector": {"status": "Unlocked"},
    "GetVariables": {
        "get_variable_result": [
            {"attribute_status": "Accepted", "attribute_value": "60000", **POWER}
        ]
    },
    "SetVariables": {"set_variable_result": [{"attribute_status": "Accepted", **POWER}]},
    "GetBaseReport": ACCEPTED,
    "TriggerMessage": {"status": "NotImplemented"},
    "ReserveNow": ACCEPTED,
    "CancelReservation": ACCEPTED,
    "ClearCache": {"status": "Rejected"},
    "GetTransactionStatus": {"messages_in_queue": True, "ongoing_indicator": True},
}
ANSWERS: Mapping[str, Mapping[str, Fields]] = {
    V16: {
        "RemoteStartTransaction": ACCEPTED,
        "RemoteStopTransaction": ACCEPTED,
        "Reset": ACCEPTED,
        "ChangeAvailability": {"status": "Scheduled"},
        "UnlockConnector": {"status": "Unlocked"},
        "GetConfiguration": {
            "configuration_key": [{"key": "Interval", "readonly": True, "value": "60"}]
        },
        "ChangeConfiguration": {"status": "RebootRequired"},
        "TriggerMessage": ACCEPTED,
        "ReserveNow": {"status": "Occupied"},
        "CancelReservation": {"status": "Rejected"},
        "ClearCache": ACCEPTED,
    },
    **dict.fromkeys(V2X, ANSWERS_OF_2_X),
}


@dataclass
class PackageStation:
    """One station of the package on one socket."""

    point: Any
    """The package's ChargePoint."""
    wire: Station
    orders: asyncio.Queue[Order]
    listening: asyncio.Task[None]

    @property
    def identity(self) -> str:
        return self.wire.identity

    async def say(self, action: str, **fields: Any) -> Any:
        """Send a message and return the package's answer object; a CALLERROR is raised."""
        message = getattr(PACKAGES[self.wire.version].call, action)(**fields)
        return await self.point.call(message, suppress=False)

    async def order(self) -> Order:
        async with asyncio.timeout(DEADLINE_S):
            return await self.orders.get()

    async def leave(self) -> None:
        await self.wire.leave()
        await self.listening

    async def vanish(self) -> None:
        await self.wire.vanish()
        await self.listening


async def connected(hub: RunningHub, identity: str, version: str) -> PackageStation:
    wire = await hub.connect(identity, version)
    orders: asyncio.Queue[Order] = asyncio.Queue()
    point = _point_class(version, orders)(identity, wire.socket, response_timeout=DEADLINE_S)

    async def listen() -> None:
        with suppress(ConnectionClosed):
            await point.start()

    return PackageStation(point, wire, orders, asyncio.create_task(listen()))


def _point_class(version: str, orders: asyncio.Queue[Order]) -> Any:
    """Build the package's ChargePoint with a route for each request of ours."""
    package = PACKAGES[version]

    def route(action: str, answer: Fields) -> Any:
        def obey(_point: Any, **fields: Any) -> Any:
            orders.put_nowait((action, fields))
            return getattr(package.call_result, action)(**answer)

        obey.__name__ = f"on_{action}"  # By which the package finds it again.
        return on(action)(obey)

    answers = ANSWERS[version].items()
    routes = {f"on_{action}": route(action, answer) for action, answer in answers}
    return type("Point", (package.ChargePoint,), routes)
