"""The routers of everything that is about drivers, in the order in which they are asked."""

from __future__ import annotations

from chargehub.drivers import api, inbox_api, logins_api, me_api, staff_api, vehicles_api
from chargehub.drivers.credentials import api as credentials_api
from chargehub.drivers.credentials import reviews_api

routers = (
    api.router,
    logins_api.router,
    me_api.router,
    vehicles_api.router,
    staff_api.router,
    inbox_api.router,
    credentials_api.router,
    reviews_api.router,
)
