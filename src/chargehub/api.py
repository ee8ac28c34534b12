"""The HTTP application: the routers of all features, in the order in which they are asked.

It is made without a database, for OpenAPI too; app.py provides the parts before it serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI

from chargehub.access import api as access_api
from chargehub.access.principal import viewer
from chargehub.bays import api as bays_api
from chargehub.charging import api as charging_api
from chargehub.charging import locks_api
from chargehub.devices import templates_api, variables_api
from chargehub.drivers.routers import routers as driver_routers
from chargehub.finding import api as finding_api
from chargehub.frame_log import api as frame_log_api
from chargehub.kit.health import Check, health_router
from chargehub.kit.http import create_api
from chargehub.live import api as live_api
from chargehub.live.page import page_router
from chargehub.reservations import api as reservations_api
from chargehub.smart_charging import api as smart_charging_api
from chargehub.stations import api as stations_api
from chargehub.stations import commands_api, commissioning_api
from chargehub.telemetry import api as telemetry_api
from chargehub.transactions import api as transactions_api

DESCRIPTION = "Charging stations, transactions and live state of an EV charging hub."


def build_api(checks: Mapping[str, Check], max_body_bytes: int) -> FastAPI:
    """Assemble the HTTP application; its parts are provided before it serves."""
    api = create_api(
        title="ChargeHub",
        version=version("chargehub"),
        description=DESCRIPTION,
        max_body_bytes=max_body_bytes,
    )
    for router in (
        access_api.router,
        finding_api.router,  # locations/nearby, before what takes any location's id
        stations_api.router,
        commands_api.router,
        variables_api.router,
        templates_api.router,
        commissioning_api.router,
        *driver_routers,
        *reservations_api.routers,
        transactions_api.router,
        charging_api.router,
        locks_api.router,
        *bays_api.routers,
        smart_charging_api.router,
        telemetry_api.router,
        frame_log_api.router,
        live_api.router,
    ):
        api.include_router(router)
    api.include_router(health_router(checks, metrics_access=[Depends(viewer)]))
    api.include_router(page_router())
    return api


def create_openapi() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return build_api({}, 1).openapi()
