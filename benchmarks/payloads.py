"""What the load stations say: OCPP 1.6 payloads as text, distinct in time and register.

Pure. Times are Unix milliseconds; the register rises with time at about 100 kW, so no reading is
implausible and no two are equal.
"""

from __future__ import annotations

import time

REGISTER_MWH_PER_MS = 28
"""28 mWh a millisecond is 100.8 kW."""

BOOT = (
    '{"chargePointVendor":"Bench","chargePointModel":"DC-120-2",'
    '"chargePointSerialNumber":"%s","firmwareVersion":"1.0.0"}'
)
BOOT_2 = (
    '{"reason":"PowerUp","chargingStation":{"vendorName":"Bench","model":"DC-120-2",'
    '"serialNumber":"%s","firmwareVersion":"1.0.0"}}'
)
STATUS = '{"connectorId":1,"errorCode":"NoError","status":"%s","timestamp":"%s"}'
AUTHORIZE = '{"idTag":"%s"}'
START = '{"connectorId":1,"idTag":"%s","meterStart":%d,"timestamp":"%s"}'
STOP = '{"transactionId":%s,"idTag":"%s","meterStop":%d,"timestamp":"%s","reason":"Local"}'

_COMMON = '"context":"Sample.Periodic","format":"Raw"'
_FIVE_VALUES = (
    '{"timestamp":"%s","sampledValue":['
    '{"value":"%s",' + _COMMON + ',"measurand":"Energy.Active.Import.Register",'
    '"location":"Outlet","unit":"Wh"},'
    '{"value":"100.8",' + _COMMON + ',"measurand":"Power.Active.Import",'
    '"location":"Outlet","unit":"kW"},'
    '{"value":"612.4",' + _COMMON + ',"measurand":"Voltage","location":"Outlet","unit":"V"},'
    '{"value":"164.6",' + _COMMON + ',"measurand":"Current.Import",'
    '"location":"Outlet","unit":"A"},'
    '{"value":"47",' + _COMMON + ',"measurand":"SoC","location":"EV","unit":"Percent"}]}'
)
_ONE_VALUE = (
    '{"timestamp":"%s","sampledValue":[{"value":"%s",' + _COMMON + ","
    '"measurand":"Energy.Active.Import.Register","location":"Outlet","unit":"Wh"}]}'
)

_EVENT = (
    '{"eventType":"%s","timestamp":"%s","triggerReason":"%s","seqNo":%d,'
    '"transactionInfo":{"transactionId":"%s","chargingState":"Charging"},'
    '"evse":{"id":1,"connectorId":1}%s}'
)
_TOKEN = ',"idToken":{"idToken":"%s","type":"ISO14443"}'
_FIVE_VALUES_2 = (
    ',"meterValue":[{"timestamp":"%s","sampledValue":['
    '{"value":%s,"context":"Sample.Periodic","measurand":"Energy.Active.Import.Register",'
    '"location":"Outlet","unitOfMeasure":{"unit":"Wh"}},'
    '{"value":100.8,"context":"Sample.Periodic","measurand":"Power.Active.Import",'
    '"location":"Outlet","unitOfMeasure":{"unit":"kW"}},'
    '{"value":612.4,"context":"Sample.Periodic","measurand":"Voltage",'
    '"location":"Outlet","unitOfMeasure":{"unit":"V"}},'
    '{"value":164.6,"context":"Sample.Periodic","measurand":"Current.Import",'
    '"location":"Outlet","unitOfMeasure":{"unit":"A"}},'
    '{"value":47,"context":"Sample.Periodic","measurand":"SoC",'
    '"location":"EV","unitOfMeasure":{"unit":"Percent"}}]}]'
)

_BEGIN_VALUE_2 = (
    ',"meterValue":[{"timestamp":"%s","sampledValue":['
    '{"value":%s,"context":"Transaction.Begin","measurand":"Energy.Active.Import.Register",'
    '"location":"Outlet","unitOfMeasure":{"unit":"Wh"}}]}]'
)

_second_texts: dict[int, str] = {}


def timestamp(at_ms: int) -> str:
    second, ms = divmod(at_ms, 1000)
    text = _second_texts.get(second)
    if text is None:
        _second_texts.clear()
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _second_texts[second] = text
    return f"{text}.{ms:03d}Z"


def register(mwh: int) -> str:
    return f"{mwh // 1000}.{mwh % 1000:03d}"


def five_values(transaction_id: str, at_ms: int, register_mwh: int) -> str:
    """MeterValues as a DC station sends it: one moment, five sampled values (one stored row)."""
    moment = _FIVE_VALUES % (timestamp(at_ms), register(register_mwh))
    return f'{{"connectorId":1,"transactionId":{transaction_id},"meterValue":[{moment}]}}'


def five_moments(transaction_id: str, at_ms: int, register_mwh: int) -> str:
    """MeterValues of five moments, one register each (five stored rows)."""
    moments = ",".join(
        _ONE_VALUE
        % (timestamp(at_ms + index), register(register_mwh + index * REGISTER_MWH_PER_MS))
        for index in range(5)
    )
    return f'{{"connectorId":1,"transactionId":{transaction_id},"meterValue":[{moments}]}}'


def event_started(
    transaction_id: str, at_ms: int, seq_no: int, id_token: str, register_mwh: int
) -> str:
    """TransactionEvent of 2.x that begins a transaction with a token and the register then."""
    stamp = timestamp(at_ms)
    more = _TOKEN % id_token + _BEGIN_VALUE_2 % (stamp, register(register_mwh))
    return _EVENT % ("Started", stamp, "Authorized", seq_no, transaction_id, more)


def event_sampled(transaction_id: str, at_ms: int, seq_no: int, register_mwh: int) -> str:
    """TransactionEvent of 2.x with the same five values as `five_values`."""
    more = _FIVE_VALUES_2 % (timestamp(at_ms), register(register_mwh))
    stamp = timestamp(at_ms)
    return _EVENT % ("Updated", stamp, "MeterValuePeriodic", seq_no, transaction_id, more)


def event_ended(transaction_id: str, at_ms: int, seq_no: int) -> str:
    return _EVENT % ("Ended", timestamp(at_ms), "StopAuthorized", seq_no, transaction_id, "")
