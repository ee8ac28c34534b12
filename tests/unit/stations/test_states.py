"""What an EVSE is said to be doing."""

from __future__ import annotations

import pytest

from chargehub.stations.reports import ConnectorStatus, RegistrationStatus
from chargehub.stations.states import Charge, EvseState, evse_state, out_of_use


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


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({}, None),
        ({"status": ConnectorStatus.CHARGING}, None),
        ({"station_status": ConnectorStatus.UNKNOWN}, None),
        ({"status": ConnectorStatus.FAULTED}, EvseState.FAULTED),
        ({"status": ConnectorStatus.UNAVAILABLE}, EvseState.UNAVAILABLE),
        ({"station_status": ConnectorStatus.FAULTED}, EvseState.FAULTED),
        ({"station_status": ConnectorStatus.UNAVAILABLE}, EvseState.UNAVAILABLE),
        ({"operative": False}, EvseState.UNAVAILABLE),
        ({"registration": RegistrationStatus.PENDING}, EvseState.UNAVAILABLE),
        ({"registration": RegistrationStatus.REJECTED}, EvseState.UNAVAILABLE),
        ({"online": False}, EvseState.OFFLINE),
        ({"online": False, "status": ConnectorStatus.FAULTED}, EvseState.OFFLINE),
        ({"operative": False, "station_status": ConnectorStatus.FAULTED}, EvseState.FAULTED),
    ],
)
def test_why_a_gun_serves_nobody(told: dict[str, object], why: EvseState | None) -> None:
    facts: dict[str, object] = {
        "status": ConnectorStatus.AVAILABLE,
        "station_status": ConnectorStatus.AVAILABLE,
        "online": True,
        "registration": RegistrationStatus.ACCEPTED,
        "operative": True,
        **told,
    }
    assert out_of_use(**facts) is why  # type: ignore[arg-type]  # A table.
