"""How a simulated station answers the messages of smart charging, in both version families."""

from __future__ import annotations

from collections.abc import Callable

from simulators.cabinet import CABINET_W
from simulators.client import Payload, Refusal, Reply
from simulators.clock import rfc3339
from simulators.gun import Gun, Transaction
from simulators.misbehaviour import Misbehaviour
from simulators.outbox import Message
from simulators.profiles import DEFAULT, MAX, PHASES, SUPPLY_V, TX, Profile, parse_profile
from simulators.station import SimulatedStation

REPORT_PAGE = 2
"""Profiles in a message."""

Handlers = dict[str, Callable[[Payload], Reply]]


class _Answers:
    """What is the same in both families."""

    def __init__(self, station: SimulatedStation) -> None:
        self._station = station

    def refuse_if_unable(self) -> None:
        if Misbehaviour.NO_SMART_CHARGING in self._station.quirks:
            raise Refusal("NotSupported", "there is no smart charging here")

    def start_profile(self, told: Payload | None) -> Profile | None:
        """Read a remote start's profile; stations without smart charging ignore it (K05.FR.04)."""
        if told is None or Misbehaviour.NO_SMART_CHARGING in self._station.quirks:
            return None
        return parse_profile(told, 0)

    def acceptable(self, profile: Profile) -> bool:
        """Say whether the station takes the profile, by what it reports of itself."""
        configuration = self._station.configuration
        units = configuration.text("ChargingScheduleAllowedChargingRateUnit")
        word = {"A": "Current", "W": "Power"}[profile.unit]
        if word not in units or (
            profile.unit == "A" and Misbehaviour.WATTS_ONLY in self._station.quirks
        ):
            return False
        if profile.evse_no != 0 and self._gun(profile.evse_no) is None:
            return False
        held = self._station.charging.profiles.held
        new = profile.number not in held
        full = len(held) >= configuration.integer("MaxChargingProfilesInstalled")
        return (
            profile.level <= configuration.integer("ChargeProfileMaxStackLevel")
            and len(profile.periods) <= configuration.integer("ChargingScheduleMaxPeriods")
            and not (new and full)
            and (profile.purpose != MAX or profile.evse_no == 0)
            and profile.purpose in {MAX, DEFAULT, TX}
        )

    def install(self, profile: Profile) -> Callable[[], None]:
        def act() -> None:
            self._station.charging.profiles.install(profile)
            self._station.charging.limits_changed()

        return act

    def clear(self, wanted: Callable[[Profile], bool]) -> str:
        profiles = self._station.charging.profiles
        found = [number for number, profile in profiles.held.items() if wanted(profile)]
        for number in found:
            del profiles.held[number]
        self._station.charging.limits_changed()
        return "Accepted" if found else "Unknown"

    def composite(self, evse_no: int, duration_s: int, unit: str) -> Payload | None:
        """Return the schedule's fields that are the same in both families."""
        charging = self._station.charging
        guns = [gun for gun in charging.guns if evse_no in {0, gun.evse_no}]
        if not guns:
            return None
        now = float(int(self._station.clock.now()))
        found = charging.profiles.composite(guns, now, duration_s, CABINET_W)
        volts = 1.0 if unit == "W" else SUPPLY_V * PHASES
        periods = [
            {"startPeriod": start, "limit": int(power_w / volts * 10) / 10}
            for start, power_w in found
        ]
        return {
            "duration": duration_s,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        }

    def now(self) -> str:
        return rfc3339(float(int(self._station.clock.now())))

    def _gun(self, evse_no: int) -> Gun | None:
        return next((gun for gun in self._station.guns if gun.evse_no == evse_no), None)


class Answers16(_Answers):
    @property
    def handlers(self) -> Handlers:
        return {
            "SetChargingProfile": self._set,
            "ClearChargingProfile": self._clear,
            "GetCompositeSchedule": self._get_composite,
        }

    def _set(self, payload: Payload) -> Reply:
        self.refuse_if_unable()
        told = payload["csChargingProfiles"]
        profile = parse_profile(told, int(payload["connectorId"]))
        if not self.acceptable(profile):
            return Reply({"status": "Rejected"})
        if profile.purpose == TX:
            gun = self._gun(profile.evse_no)
            running = None if gun is None else gun.transaction
            if running is None or told.get("transactionId", running.number) != running.number:
                return Reply({"status": "Rejected"})  # 16 3.13.1
            profile.transaction = running
        return Reply({"status": "Accepted"}, self.install(profile))

    def _clear(self, payload: Payload) -> Reply:
        self.refuse_if_unable()
        purpose = payload.get("chargingProfilePurpose")
        purpose = MAX if purpose == "ChargePointMaxProfile" else purpose

        def wanted(profile: Profile) -> bool:
            if "id" in payload:
                return profile.number == int(payload["id"])
            return bool(
                payload.get("connectorId", profile.evse_no) == profile.evse_no
                and purpose in {None, profile.purpose}
                and payload.get("stackLevel", profile.level) == profile.level
            )

        return Reply({"status": self.clear(wanted)})

    def _get_composite(self, payload: Payload) -> Reply:
        self.refuse_if_unable()
        evse_no = int(payload["connectorId"])
        unit = payload.get("chargingRateUnit", "W")
        schedule = self.composite(evse_no, int(payload["duration"]), unit)
        if schedule is None:
            return Reply({"status": "Rejected"})
        return Reply(
            {
                "status": "Accepted",
                "connectorId": evse_no,
                "scheduleStart": self.now(),
                "chargingSchedule": schedule,
            }
        )


class Answers201(_Answers):
    @property
    def handlers(self) -> Handlers:
        return {
            "SetChargingProfile": self._set,
            "ClearChargingProfile": self._clear,
            "GetChargingProfiles": self._get,
            "GetCompositeSchedule": self._get_composite,
        }

    def _set(self, payload: Payload) -> Reply:
        self.refuse_if_unable()
        told = payload["chargingProfile"]
        profile = parse_profile(told, int(payload["evseId"]))
        if not self.acceptable(profile) or self._is_duplicate(profile):
            return Reply({"status": "Rejected"})
        if profile.purpose == TX:
            running = self._running(profile.evse_no, told["transactionId"])
            if running is None:
                return Reply({"status": "Rejected"})  # K01.FR.09/33
            profile.transaction = running
        return Reply({"status": "Accepted"}, self.install(profile))

    def _is_duplicate(self, profile: Profile) -> bool:
        """K01.FR.52/53: a default for all and one for an EVSE of the same level."""
        return profile.purpose == DEFAULT and any(
            other.purpose == DEFAULT
            and other.level == profile.level
            and other.number != profile.number
            and 0 in {other.evse_no, profile.evse_no}
            for other in self._station.charging.profiles.held.values()
        )

    def _running(self, evse_no: int, reference: str) -> Transaction | None:
        gun = self._gun(evse_no)
        running = None if gun is None else gun.transaction
        return running if running is not None and running.reference == reference else None

    def _clear(self, payload: Payload) -> Reply:
        self.refuse_if_unable()
        number = payload.get("chargingProfileId")
        criteria = payload.get("chargingProfileCriteria", {})

        def wanted(profile: Profile) -> bool:
            if number is not None:
                return profile.number == int(number)
            return bool(criteria) and _matches(profile, criteria, criteria.get("evseId"))

        return Reply({"status": self.clear(wanted)})

    def _get(self, payload: Payload) -> Reply:
        self.refuse_if_unable()
        criteria = payload["chargingProfile"]
        numbers = criteria.get("chargingProfileId")
        found = [
            profile
            for profile in self._station.charging.profiles.held.values()
            if "CSO" in criteria.get("chargingLimitSource", ["CSO"])
            and (numbers is None or profile.number in numbers)
            and _matches(profile, criteria, payload.get("evseId"))
        ]
        if not found:
            return Reply({"status": "NoProfiles"})
        messages = self._reports(int(payload["requestId"]), found)
        return Reply({"status": "Accepted"}, lambda: self._station.uplink.send_now(messages))

    def _reports(self, request_id: int, found: list[Profile]) -> list[Message]:
        """K09.FR.01/02: pages of one EVSE each, all but the last to be continued."""
        pages: list[tuple[int, list[Payload]]] = []
        for evse_no in sorted({profile.evse_no for profile in found}):
            told = [profile.told for profile in found if profile.evse_no == evse_no]
            pages += [
                (evse_no, told[i : i + REPORT_PAGE]) for i in range(0, len(told), REPORT_PAGE)
            ]
        payloads = [
            {
                "requestId": request_id,
                "chargingLimitSource": "CSO",
                "evseId": evse_no,
                "chargingProfile": told,
                "tbc": number < len(pages),
            }
            for number, (evse_no, told) in enumerate(pages, start=1)
        ]
        return [_message(payload) for payload in payloads]

    def _get_composite(self, payload: Payload) -> Reply:
        self.refuse_if_unable()
        evse_no = int(payload["evseId"])
        unit = payload.get("chargingRateUnit", "W")
        schedule = self.composite(evse_no, int(payload["duration"]), unit)
        if schedule is None:
            return Reply({"status": "Rejected"})
        whole = {"evseId": evse_no, "scheduleStart": self.now(), **schedule}
        return Reply({"status": "Accepted", "schedule": whole})


def _matches(profile: Profile, criteria: Payload, evse_no: int | None) -> bool:
    return bool(
        evse_no in {None, profile.evse_no}
        and criteria.get("chargingProfilePurpose", profile.purpose) == profile.purpose
        and criteria.get("stackLevel", profile.level) == profile.level
    )


def _message(payload: Payload) -> Message:
    return Message("ReportChargingProfiles", lambda: payload)
