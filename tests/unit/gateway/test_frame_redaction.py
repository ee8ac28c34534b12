"""No secret in what the frame log may keep of a frame, and nothing else taken away."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.gateway.frame_redaction import is_plain, without_echo, without_secrets
from chargehub.kit.secrets import REDACTED

MARK = "zq8fKx"
PEM = f"-----BEGIN EC PRIVATE KEY-----\n{MARK}\n-----END EC PRIVATE KEY-----"
PASSWORD_VARIABLE = {
    "component": {"name": "SecurityCtrlr"},
    "variable": {"name": "BasicAuthPassword"},
}


def call(action: str, payload: Any) -> list[Any]:
    return [2, "id-1", action, payload]


def sealed(payload: Any) -> dict[str, str]:
    text = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return {"protected": "e30", "payload": text, "signature": "AA"}


PIN = {"idToken": MARK, "type": "KeyCode"}
SECRET = {
    "write 1.6": call("ChangeConfiguration", {"key": "AuthorizationKey", "value": MARK}),
    "read 1.6": [3, "id-1", {"configurationKey": [{"value": MARK, "key": "AuthorizationKey"}]}],
    "write 2.x": call(
        "SetVariables", {"setVariableData": [{**PASSWORD_VARIABLE, "attributeValue": MARK}]}
    ),
    "read 2.x": [3, "i", {"getVariableResult": [{**PASSWORD_VARIABLE, "attributeValue": MARK}]}],
    "PIN": call("TransactionEvent", {"eventType": "Started", "idToken": PIN}),
    "additional PIN": call(
        "Authorize",
        {
            "idToken": {
                "idToken": "CARD",
                "type": "ISO14443",
                "additionalInfo": [{"additionalIdToken": MARK, "type": "PIN"}],
            }
        },
    ),
    "vendor's": call("MeterValues", {"customData": {"vendorId": "v", "wifiPassword": MARK}}),
    "URL": call("GetDiagnostics", {"location": f"ftp://me:{MARK}@host/"}),
    "private key": call("DataTransfer", {"vendorId": "v", "data": PEM}),
    "error": [4, "id-1", "InternalError", f"no ftp://me:{MARK}@host/", {"password": MARK}],
    "beside the payload": [3, "id-1", {}, {"password": MARK}],
    "no OCPP at all": {"password": MARK},
    "signed": call("TransactionEvent-Signed", sealed({"idToken": PIN})),
    "sealed for nobody": call("Authorize-Signed", {"payload": f"!{MARK}!"}),
}


@pytest.mark.parametrize("message", SECRET.values(), ids=SECRET.keys())
def test_a_secret_is_hidden_and_the_rest_is_there(message: Any) -> None:
    text = json.dumps(message)
    action = message[2] if isinstance(message, list) and message[0] == 2 else ""
    assert not is_plain(action, text)
    shown = without_secrets(text)
    assert MARK not in shown
    assert base64.urlsafe_b64encode(MARK.encode()).decode()[:6] not in shown
    assert REDACTED in shown
    if isinstance(message, list):
        assert json.loads(shown)[:2] == message[:2]


def test_what_a_name_spelt_with_escapes_hides_is_found() -> None:
    text = json.dumps(call("TransactionEvent", {"idToken": PIN})).replace(
        "KeyCode", "KeyC\\u006fde"
    )
    assert not is_plain("TransactionEvent", text)
    assert MARK not in without_secrets(text)


@pytest.mark.parametrize(
    "torn",
    [
        f'[2,"id-1","ChangeConfiguration",{{"key":"AuthorizationKey","value":"{MARK}"',
        f'[3,"id-1",{{"configurationKey":[{{"value":"{MARK}","readonly":false,"key":"Authoriz',
        f'[2,"id-1","TransactionEvent",{{"idToken":{{"idToken":"{MARK}","type":"KeyC',
        f'[2,"id-1","SetVariables",{{"setVariableData":[{{"attributeValue":"{MARK}","component',
        f'[2,"id-1","UpdateFirmware",{{"location":"ftp://me:{MARK}@host/"',
        f"basic_auth_password={MARK}",
        "[" * 100 + f'{{"password":"{MARK}"}}',
    ],
)
def test_a_torn_text_keeps_no_secret(torn: str) -> None:
    assert MARK not in without_secrets(torn)
    assert MARK not in without_secrets(torn.encode())


def test_a_torn_text_keeps_its_head() -> None:
    torn = f'[2,"id-1","SetVariables",{{"password":"{MARK}"'
    assert without_secrets(torn) == f'[2,"id-1","SetVariables",{REDACTED}'


@pytest.mark.parametrize(
    "text",
    [
        '[2, "id-1", "MeterValues", {"connectorId": 1, "meterValue": []}]',
        '[2,"id-1","Authorize",{"idToken":{"idToken":"CARD","type":"ISO14443"}}]',
        '[3,"id-1",{"configurationKey":[{"key":"HeartbeatInterval","value":"300"}]}]',
        json.dumps(call("TransactionEvent-Signed", sealed({"eventType": "Started"}))),
        '[2,"id-1","StatusNotification",{"connectorId":1,',
        "[1,2,3]",
        "",
    ],
)
def test_what_holds_no_secret_stays_to_the_letter(text: str) -> None:
    assert without_secrets(text) == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@given(st.one_of(st.text(), st.binary(), json_values.map(json.dumps)))
def test_any_text_can_be_kept(text: str | bytes) -> None:
    shown = without_secrets(text)
    assert without_secrets(shown) in {shown, REDACTED} or REDACTED in shown


SECRET_ECHO = "zq8fKx0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f'[3,"1",{{"status":"Accepted","value":"{SECRET_ECHO}"}}]',
        f'[3,"1",{{"status":"Accepted","anything":["{SECRET_ECHO}"]}}]',
        f'[3,"1","{SECRET_ECHO}"]',
        f'[4,"1","InternalError","it was {SECRET_ECHO}",{{"echo":"{SECRET_ECHO}"}}]',
        f'[3,"1",{{"status":"Accepted","value":"{SECRET_ECHO}',
    ],
)
def test_an_answer_to_a_secret_keeps_only_words_of_the_standard(text: str) -> None:
    assert SECRET_ECHO not in without_echo(text)


def test_what_such_an_answer_says_in_words_stays() -> None:
    item = '{"component":{"name":"SecurityCtrlr"},"attributeStatus":"Accepted"}'
    text = f'[3,"1",{{"setVariableResult":[{item}]}}]'
    assert without_echo(text) == text
    error = '[4,"1","NotSupported","why",{}]'
    assert without_echo(error) == '[4,"1","NotSupported","(redacted)",{}]'
