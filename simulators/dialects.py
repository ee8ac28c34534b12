"""The OCPP versions a simulated station can speak, by the subprotocol's name."""

from __future__ import annotations

from collections.abc import Mapping

from simulators.dialect16 import Dialect16
from simulators.dialect21 import Dialect21
from simulators.dialect201 import Dialect201

V16, V201, V21 = Dialect16.subprotocol, Dialect201.subprotocol, Dialect21.subprotocol

DIALECTS: Mapping[str, type[Dialect16 | Dialect201]] = {
    V16: Dialect16,
    V201: Dialect201,
    V21: Dialect21,
}
