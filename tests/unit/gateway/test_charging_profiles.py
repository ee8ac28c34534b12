"""Charging profiles on the wire of each version, out and in, with what field stations answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chargehub.gateway import translate_v16, translate_v201
from chargehub.gateway.translation import Context, Translator
from chargehub.gateway.translators import TRANSLATORS
from chargehub.ocpp import OcppVersion, schemas_for
from chargehub.smart_charging.reports import (
    EvNeedsReported,
    EvScheduleReported,
    LimitCleared,
    LimitReported,
    NeedsStatus,
    ProfilesReported,
)
from chargehub.stations.commands import (
    ClearChargingProfile,
    Command,
    GetChargingProfiles,
    GetCompositeSchedule,
    InvalidCommand,
    RequestStartTransaction,
    SetChargingProfile,
)
from chargehub.stations.profiles import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    ReportedSchedule,
    SchedulePeriod,
)

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
CONTEXT = Context(1, NOW)
V16, V201 = translate_v16.TRANSLATOR, translate_v201.TRANSLATOR
V2X = (OcppVersion.V201, OcppVersion.V21)
FULL = ChargingProfile(
    id=17,
    stack_level=2,
    purpose=ProfilePurpose.TX,
    kind=ProfileKind.RECURRING,
    schedules=(
        ChargingSchedule(
            RateUnit.A,
            (SchedulePeriod(0, 32.1, 3), SchedulePeriod(600, 6.0)),
            starts_at=NOW,
            duration_s=3600,
            min_charging_rate=6.0,
        ),
    ),
    recurrency=Recurrency.DAILY,
    valid_from=NOW,
    valid_to=NOW.replace(year=2027),
    transaction_ref="1042",
)
SCHEDULE = {
    "chargingRateUnit": "A",
    "chargingSchedulePeriod": [
        {"startPeriod": 0, "limit": 32.1, "numberPhases": 3},
        {"startPeriod": 600, "limit": 6.0},
    ],
    "duration": 3600,
    "startSchedule": "2026-11-23T08:00:00.000Z",
    "minChargingRate": 6.0,
}
HEAD = {
    "stackLevel": 2,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Recurring",
    "recurrencyKind": "Daily",
    "validFrom": "2026-11-23T08:00:00.000Z",
    "validTo": "2027-11-23T08:00:00.000Z",
}
WIRE16 = {"chargingProfileId": 17, **HEAD, "transactionId": 1042, "chargingSchedule": SCHEDULE}
WIRE201 = {
    "id": 17,
    **HEAD,
    "transactionId": "1042",
    "chargingSchedule": [{"id": 1, **SCHEDULE}],
}


def encoded(version: OcppVersion, command: Command) -> tuple[str, dict[str, Any]]:
    """Encode, and hold the payload against the version's schema; 2.1 says it as 2.0.1 does."""
    request = TRANSLATORS[version].encode(command)
    assert request is not None
    assert schemas_for(version).check_request(request.action, request.payload) is None
    if version is OcppVersion.V201:
        assert encoded(OcppVersion.V21, command) == (request.action, request.payload)
    return request.action, request.payload


@pytest.mark.parametrize(
    ("version", "payload"),
    [
        (OcppVersion.V16, {"connectorId": 1, "csChargingProfiles": WIRE16}),
        (OcppVersion.V201, {"evseId": 1, "chargingProfile": WIRE201}),
    ],
)
def test_statement_80_a_profile_is_worded_in_full(
    version: OcppVersion, payload: dict[str, Any]
) -> None:
    assert encoded(version, SetChargingProfile(1, FULL)) == ("SetChargingProfile", payload)


def test_statement_80_the_stations_maximum_has_two_names() -> None:
    station_max = replace(
        FULL, purpose=ProfilePurpose.STATION_MAX, transaction_ref=None, recurrency=None
    )
    command = SetChargingProfile(0, station_max)
    payload = encoded(OcppVersion.V16, command)[1]["csChargingProfiles"]
    assert payload["chargingProfilePurpose"] == "ChargePointMaxProfile"
    payload = encoded(OcppVersion.V201, command)[1]["chargingProfile"]
    assert payload["chargingProfilePurpose"] == "ChargingStationMaxProfile"


@pytest.mark.parametrize("translator", TRANSLATORS.values(), ids=TRANSLATORS)
def test_statement_80_limits_of_others_are_never_set(translator: Translator) -> None:
    external = replace(FULL, purpose=ProfilePurpose.EXTERNAL)
    with pytest.raises(InvalidCommand):
        translator.encode(SetChargingProfile(0, external))


def test_what_the_older_protocol_cannot_say_is_refused() -> None:
    for profile in (
        replace(FULL, transaction_ref="a-uuid"),
        replace(FULL, schedules=FULL.schedules * 2),
    ):
        with pytest.raises(InvalidCommand):
            V16.encode(SetChargingProfile(1, profile))
    assert V16.encode(GetChargingProfiles(1)) is None


@pytest.mark.parametrize("version", TRANSLATORS)
def test_statement_74_a_start_carries_its_profile_without_transaction(version: OcppVersion) -> None:
    profile = replace(FULL, transaction_ref=None)
    command = RequestStartTransaction("TAXI-1", None, 5, evse_no=1, charging_profile=profile)
    told = encoded(version, command)[1]["chargingProfile"]
    wire = WIRE16 if version is OcppVersion.V16 else WIRE201
    assert told == {key: value for key, value in wire.items() if key != "transactionId"}


@pytest.mark.parametrize(
    ("command", "v16", "v201"),
    [
        (ClearChargingProfile(17), {"id": 17}, {"chargingProfileId": 17}),
        (
            ClearChargingProfile(17, 1, ProfilePurpose.TX, 2),
            {"id": 17},
            {"chargingProfileId": 17},
        ),
        (
            ClearChargingProfile(None, 0, ProfilePurpose.STATION_MAX, 2),
            {
                "connectorId": 0,
                "chargingProfilePurpose": "ChargePointMaxProfile",
                "stackLevel": 2,
            },
            {
                "chargingProfileCriteria": {
                    "evseId": 0,
                    "chargingProfilePurpose": "ChargingStationMaxProfile",
                    "stackLevel": 2,
                }
            },
        ),
    ],
)
def test_statement_85_clears(
    command: ClearChargingProfile, v16: dict[str, Any], v201: dict[str, Any]
) -> None:
    assert encoded(OcppVersion.V16, command)[1] == v16
    assert encoded(OcppVersion.V201, command)[1] == v201


def test_statement_85_a_clear_without_criteria() -> None:
    assert encoded(OcppVersion.V16, ClearChargingProfile())[1] == {}
    with pytest.raises(InvalidCommand):  # K10.FR.02
        V201.encode(ClearChargingProfile())
    for translator in TRANSLATORS.values():
        with pytest.raises(InvalidCommand):  # K10.FR.06
            translator.encode(ClearChargingProfile(purpose=ProfilePurpose.EXTERNAL))


def test_statement_85_a_question_for_profiles_has_criteria() -> None:
    """K09.FR.03."""
    criteria = {"chargingLimitSource": ["EMS", "Other", "SO", "CSO"]}
    payload = encoded(OcppVersion.V201, GetChargingProfiles(3))[1]
    assert payload == {"requestId": 3, "chargingProfile": criteria}
    assert encoded(OcppVersion.V201, GetChargingProfiles(3, 0))[1] == payload | {"evseId": 0}


def test_composite_schedules_are_asked_for() -> None:
    command = GetCompositeSchedule(2, 600, RateUnit.W)
    wanted = {"duration": 600, "chargingRateUnit": "W"}
    assert encoded(OcppVersion.V16, command)[1] == {"connectorId": 2, **wanted}
    assert encoded(OcppVersion.V201, command)[1] == {"evseId": 2, **wanted}
    assert "chargingRateUnit" not in encoded(OcppVersion.V16, replace(command, unit=None))[1]


# --- Answers --------------------------------------------------------------------------------------


def composite(version: OcppVersion, **fields: Any) -> Any:
    schedule = {
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11_000.0}],
        **fields,
    }
    payload: dict[str, Any] = {"status": "Accepted"}
    if version is OcppVersion.V16:
        payload |= {"scheduleStart": "2026-11-23T08:00:00Z", "chargingSchedule": schedule}
    else:
        payload["schedule"] = {"scheduleStart": "2026-11-23T08:00:00Z", **schedule}
    return TRANSLATORS[version].told[GetCompositeSchedule](payload, CONTEXT)


@pytest.mark.parametrize("version", TRANSLATORS)
def test_composite_schedules_are_read(version: OcppVersion) -> None:
    told = composite(version)
    assert told == ReportedSchedule(
        NOW, ChargingSchedule(RateUnit.W, (SchedulePeriod(0, 11_000.0),))
    )


@pytest.mark.parametrize("version", TRANSLATORS)
def test_a_limit_of_minus_one_is_none(version: OcppVersion) -> None:
    """A answers limit -1 and numberPhases -1."""
    period = {"startPeriod": 0, "limit": -1.0, "numberPhases": -1}
    told = composite(version, chargingSchedulePeriod=[period])
    assert told.schedule.periods == (SchedulePeriod(0, None, None),)


@pytest.mark.parametrize("version", TRANSLATORS)
@pytest.mark.parametrize(
    "fields",
    [
        {"chargingSchedulePeriod": []},  # D
        {"chargingSchedulePeriod": None},
        {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": "much"}]},
        {"chargingRateUnit": "V"},
    ],
)
def test_a_schedule_that_says_nothing_is_none(version: OcppVersion, fields: dict[str, Any]) -> None:
    assert composite(version, **fields) is None


@pytest.mark.parametrize("version", TRANSLATORS)
@pytest.mark.parametrize("limit", [-5, -0.1, 1e12, 1e300])
def test_a_calculated_limit_that_is_none_is_no_evidence(version: OcppVersion, limit: float) -> None:
    periods = [{"startPeriod": 0, "limit": 11_000.0}, {"startPeriod": 60, "limit": limit}]
    assert composite(version, chargingSchedulePeriod=periods) is None


def answer_of(version: OcppVersion, asked: int | None, **head: Any) -> Any:
    """Read an answer with these fields beside its periods, to our question about an EVSE."""
    schedule = {
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11_000.0}],
    }
    place = "connectorId" if version is OcppVersion.V16 else "evseId"
    if "place" in head:
        head[place] = head.pop("place")
    if version is OcppVersion.V16:
        payload = {"status": "Accepted", **head, "chargingSchedule": schedule}
    else:
        payload = {"status": "Accepted", "schedule": {**schedule, **head}}
    context = CONTEXT._replace(asked=None if asked is None else {place: asked})
    return TRANSLATORS[version].told[GetCompositeSchedule](payload, context)


@pytest.mark.parametrize("version", TRANSLATORS)
def test_an_answer_for_another_evse_is_no_evidence(version: OcppVersion) -> None:
    assert answer_of(version, 1, place=2) is None
    assert answer_of(version, 1, place=0) is None
    assert answer_of(version, 0, place=1) is None
    assert answer_of(version, 1, place="somewhere") is None
    assert answer_of(version, 1, place=1) is not None
    assert answer_of(version, 0, place=0) is not None
    assert answer_of(version, 1) is not None


@pytest.mark.parametrize("version", TRANSLATORS)
@pytest.mark.parametrize("begin", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "now", 5])
def test_a_schedule_that_begins_at_no_time_is_no_evidence(
    version: OcppVersion, begin: object
) -> None:
    assert answer_of(version, 1, scheduleStart=begin) is None
    assert answer_of(version, 1).starts_at is None
    assert answer_of(version, 1, scheduleStart="2026-11-23T08:00:00Z").starts_at == NOW


@pytest.mark.parametrize("version", TRANSLATORS)
@pytest.mark.parametrize("payload", [{"status": "Accepted"}, {"schedule": 5}, {}])
def test_accepted_without_a_schedule_is_none(version: OcppVersion, payload: Any) -> None:
    """E answers so."""
    assert TRANSLATORS[version].told[GetCompositeSchedule](payload, CONTEXT) is None


# --- Inbound --------------------------------------------------------------------------------------


def read(action: str, payload: dict[str, Any]) -> Any:
    """Read a message that the schemas allow; return its one report, the same in 2.0.1 and 2.1."""
    reports: list[Any] = []
    for version in V2X:
        assert schemas_for(version).check_request(action, payload) is None
        reports += TRANSLATORS[version].inbound[action].read(payload, CONTEXT)
    report, same = reports
    assert report == same
    return report


def answered(action: str, *replies: object) -> Any:
    answers = []
    for version in V2X:
        build = TRANSLATORS[version].inbound[action].answer
        assert build is not None
        answers.append(build(replies, NOW))
        assert schemas_for(version).check_response(action, answers[-1]) is None
    answer, same = answers
    assert answer == same
    return answer


def test_statement_85_reports_of_profiles() -> None:
    payload = {
        "requestId": 3,
        "chargingLimitSource": "CSO",
        "evseId": 1,
        "tbc": True,
        "chargingProfile": [WIRE201],
    }
    assert read("ReportChargingProfiles", payload) == ProfilesReported(
        1, NOW, 3, 1, "CSO", (FULL,), more=True
    )
    del payload["tbc"]
    assert not read("ReportChargingProfiles", payload).more


def test_limits_of_others() -> None:
    limit = {"chargingLimitSource": "SO", "isGridCritical": True}
    payload = {"chargingLimit": limit, "chargingSchedule": [{"id": 4, **SCHEDULE}]}
    report = read("NotifyChargingLimit", payload)
    schedules = (replace(FULL.schedules[0], id=4),)
    assert report == LimitReported(1, NOW, 0, "SO", grid_critical=True, schedules=schedules)
    cleared = read("ClearedChargingLimit", {"chargingLimitSource": "SO", "evseId": 2})
    assert cleared == LimitCleared(1, NOW, 2, "SO")


@pytest.mark.parametrize("status", NeedsStatus)
def test_statement_86_needs_of_cars(status: NeedsStatus) -> None:
    needs = {
        "requestedEnergyTransfer": "DC",
        "dcChargingParameters": {"evMaxCurrent": 200, "evMaxVoltage": 750},
        "departureTime": "2026-11-23T10:00:00Z",
    }
    payload = {"evseId": 1, "maxScheduleTuples": 12, "chargingNeeds": needs}
    report = read("NotifyEVChargingNeeds", payload)
    assert report == EvNeedsReported(1, NOW, 1, 12, needs, NOW.replace(hour=10))
    assert answered("NotifyEVChargingNeeds", status) == {"status": status.value}


@pytest.mark.parametrize("within", [True, False])
def test_statement_86_schedules_of_cars(within: bool) -> None:
    payload = {
        "timeBase": "2026-11-23T09:00:00Z",
        "evseId": 1,
        "chargingSchedule": {"id": 1, **SCHEDULE},
    }
    report = read("NotifyEVChargingSchedule", payload)
    assert report == EvScheduleReported(1, NOW, 1, NOW.replace(hour=9), FULL.schedules[0])
    answer = answered("NotifyEVChargingSchedule", within)
    assert answer == {"status": "Accepted" if within else "Rejected"}


@pytest.mark.parametrize("action", ["NotifyEVChargingNeeds", "NotifyEVChargingSchedule"])
def test_what_could_not_be_read_is_answered_rejected(action: str) -> None:
    assert answered(action) == {"status": "Rejected"}
