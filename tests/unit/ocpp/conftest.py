"""A session as the gateway would open it, with short ids so that frames can be written out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from chargehub.ocpp import OcppSession, OcppVersion

SUPPORTED = frozenset(
    {
        "BootNotification",
        "Heartbeat",
        "Authorize",
        "StatusNotification",
        "MeterValues",
        "StartTransaction",
        "StopTransaction",
        "TransactionEvent",
        "NotifyReport",
        "DataTransfer",
        "NotifyPeriodicEventStream",
    }
)
TOLERANT = frozenset(
    {"StatusNotification", "MeterValues", "StartTransaction", "StopTransaction", "TransactionEvent"}
)
UNLOCKED_BY = {
    "TriggerMessage": frozenset({"StatusNotification", "MeterValues", "Heartbeat"}),
    "GetBaseReport": frozenset({"NotifyReport"}),
}
OpenSession = Callable[..., OcppSession]


def open_session(version: OcppVersion = OcppVersion.V16, **options: Any) -> OcppSession:
    numbers = count(1)
    options.setdefault("new_id", lambda: f"ours-{next(numbers)}")
    return OcppSession(
        version, supported=SUPPORTED, tolerant=TOLERANT, unlocked_by=UNLOCKED_BY, **options
    )


@pytest.fixture(name="session")
def session_factory() -> OpenSession:
    return open_session
