"""What an EVSE is said to be doing."""

from __future__ import annotations

import pytest

from chargehub.stations.reports import ConnectorStatus
from chargehub.stations.states import Charge, EvseState, evse_state


@pytest.mark.parametrize(
    ("status", "charge", "online", "state"),
    [
        (ConnectorStatus.AVAILABLE, None, True, EvseState.RESERVED),
        (ConnectorStatus.RESERVED, None, True, EvseState.RESERVED),
        (ConnectorStatus.FAULTED, None, True, EvseState.FAULTED),
        (ConnectorStatus.PREPARING, None, True, EvseState.PREPARING),
        (ConnectorStatus.OCCUPIED, Charge("Charging"), True, EvseState.CHARGING),
        (ConnectorStatus.AVAILABLE, None, False, EvseState.OFFLINE),
    ],
)
def test_a_held_evse_is_reserved_while_it_is_free(
    status: ConnectorStatus, charge: Charge | None, online: bool, state: EvseState
) -> None:
    assert evse_state(status, charge, online=online, held=True) is state
