"""The device model of a simulated station of OCPP 2.x: its variables read, written and reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from simulators.client import Payload, Refusal, Reply
from simulators.configuration import MAX_READS, MAX_WRITES, Setting
from simulators.dialect import FIRMWARE, MODEL, VENDOR, Timestamps
from simulators.gun import GunState
from simulators.outbox import Message
from simulators.station import SimulatedStation

REPORT_PAGE = 8
"""Variables in a message."""


class DeviceModel:
    def __init__(
        self, station: SimulatedStation, stamp: Timestamps, word: Callable[[GunState], str]
    ) -> None:
        self._station = station
        self._word = word
        self._stamp = stamp

    @property
    def handlers(self) -> dict[str, Callable[[Payload], Reply]]:
        return {
            "GetVariables": self._get_variables,
            "SetVariables": self._set_variables,
            "GetBaseReport": self._get_base_report,
        }

    def _get_variables(self, payload: Payload) -> Reply:
        wanted = payload["getVariableData"]
        _check_count(wanted, MAX_READS)
        return Reply({"getVariableResult": [self._read(item) for item in wanted]})

    def _read(self, wanted: Payload) -> Payload:
        result: Payload = {"component": wanted["component"], "variable": wanted["variable"]}
        setting = self._setting(wanted)
        if isinstance(setting, str):
            return {"attributeStatus": setting, **result}
        if not setting.readable:
            return {"attributeStatus": "Rejected", **result}  # B06.FR.09: it is write-only.
        return {"attributeStatus": "Accepted", "attributeValue": setting.as_variable, **result}

    def _set_variables(self, payload: Payload) -> Reply:
        changed: list[Callable[[], None]] = []
        results = []
        _check_count(payload["setVariableData"], MAX_WRITES)
        for wanted in payload["setVariableData"]:
            setting = self._setting(wanted)
            if isinstance(setting, str):
                status = setting
            else:
                status = self._station.configuration.write(setting, wanted["attributeValue"])
                if status == "Accepted":
                    changed.append(self._station.requests.setting_changed(setting))
            results.append(
                {
                    "attributeStatus": status,
                    "component": wanted["component"],
                    "variable": wanted["variable"],
                }
            )

        def afterwards() -> None:
            for act in changed:
                act()

        return Reply({"setVariableResult": results}, afterwards)

    def _setting(self, wanted: Payload) -> Setting | str:
        """Find a setting, or the status word that says why there is none."""
        component, variable = wanted["component"]["name"], wanted["variable"]["name"]
        if wanted.get("attributeType", "Actual") != "Actual":
            return "NotSupportedAttributeType"
        instance = wanted["variable"].get("instance")
        setting = self._station.configuration.find_variable(component, variable, instance)
        if setting is not None:
            return setting
        known = self._station.configuration.knows_component(component)
        return "UnknownVariable" if known else "UnknownComponent"

    def _get_base_report(self, payload: Payload) -> Reply:
        request_id = int(payload["requestId"])
        if payload["reportBase"] == "SummaryInventory":
            return Reply({"status": "NotSupported"})
        station = self._station
        entries = list(self._report())
        pages = [entries[i : i + REPORT_PAGE] for i in range(0, len(entries), REPORT_PAGE)]
        messages = [
            self._page(request_id, number, page, is_last=number == len(pages) - 1)
            for number, page in enumerate(pages)
        ]
        return Reply({"status": "Accepted"}, lambda: station.uplink.send_now(messages))

    def _page(
        self, request_id: int, number: int, entries: list[Payload], *, is_last: bool
    ) -> Message:
        payload = {
            "requestId": request_id,
            "generatedAt": self._stamp(self._station.clock.now()),
            "seqNo": number,
            "tbc": not is_last,
            "reportData": entries,
        }
        return Message("NotifyReport", lambda: payload)

    def _report(self) -> Iterator[Payload]:
        for setting in self._station.configuration:
            mutability = "ReadWrite" if setting.writable else "ReadOnly"
            yield _entry(
                {"name": setting.component},
                setting.variable,
                setting.as_variable if setting.readable else None,
                mutability if setting.readable else "WriteOnly",
                setting.data_type,
                setting=setting,
            )
        for name, value in (
            ("Model", MODEL),
            ("VendorName", VENDOR),
            ("SerialNumber", f"SN-{self._station.identity}"),
            ("FirmwareVersion", FIRMWARE),
        ):
            yield _entry({"name": "ChargingStation"}, name, value, "ReadOnly", "string")
        for gun in self._station.guns:
            evse = {"name": "EVSE", "evse": {"id": gun.evse_no}}
            yield _entry(evse, "AvailabilityState", self._word(gun.state), "ReadOnly", "OptionList")
            yield _entry(evse, "Power", "120000", "ReadOnly", "decimal")
            connector = {"name": "Connector", "evse": {"id": gun.evse_no, "connectorId": 1}}
            yield _entry(connector, "ConnectorType", "cGBT-DC", "ReadOnly", "string")


def _check_count(items: list[Payload], most: int) -> None:
    if len(items) > most:  # B06.FR.16
        raise Refusal("OccurrenceConstraintViolation", f"more than {most} items")


def _entry(
    component: Payload,
    variable: str,
    value: str | None,
    mutability: str,
    data_type: str,
    *,
    setting: Setting | None = None,
) -> Payload:
    attribute: Payload = {"type": "Actual", "mutability": mutability}
    if value is not None:
        attribute["value"] = value
    name: Payload = {"name": variable}
    characteristics: Payload = {"dataType": data_type, "supportsMonitoring": False}
    if setting is not None:
        if setting.instance is not None:
            name["instance"] = setting.instance
        if setting.unit is not None:
            characteristics["unit"] = setting.unit
        if setting.low is not None:
            characteristics["minLimit"] = setting.low
        if setting.high is not None:
            characteristics["maxLimit"] = setting.high
    return {
        "component": component,
        "variable": name,
        "variableAttribute": [attribute],
        "variableCharacteristics": characteristics,
    }
