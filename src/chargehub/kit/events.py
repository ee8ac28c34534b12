"""Domain events: facts that were just committed, told to whoever listens in this process.

Published only after COMMIT. An event that anyone must act on is an outbox row as well; what is
published here may be missed by a restart and only feeds views that can be rebuilt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

log = structlog.get_logger(__name__)

EventT = TypeVar("EventT")


class EventBus:
    def __init__(self) -> None:
        self._listeners: dict[type[Any], list[Callable[[Any], None]]] = defaultdict(list)

    def subscribe(self, kind: type[EventT], listener: Callable[[EventT], None]) -> None:
        self._listeners[kind].append(listener)

    def publish(self, event: object) -> None:
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception:
                log.exception("event_listener_failed", event_kind=type(event).__name__)
