"""What counts as a secret, and that copies hold none while everything else stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehub.kit.secrets import REDACTED, hide_in_text, is_secret_name, redacted, shown_token

MARK = "marker-7d1f"


@pytest.mark.parametrize(
    "path",
    [
        ["AuthorizationKey"],
        ["authorizationkey"],
        [" AUTHORIZATION KEY"],
        ["BasicAuthPassword"],
        ["SecurityCtrlr", "BasicAuthPassword"],
        ["apnPassword"],
        ["FtpPasswd"],
        ["WebUI.password"],
        ["vpn", "key"],
        ["VpnKey"],
        ["simPin"],
        ["Wifi_PSK"],
        ["session_token"],
        ["X-CSRF-Token"],
        ["api-key"],
        ["wifiPwd"],
        ["adminPwd"],
        ["FtpPwd"],
    ],
)
def test_secret_names(path: list[str]) -> None:
    assert is_secret_name(*path)


@pytest.mark.parametrize(
    "path",
    [
        ["HeartbeatInterval"],
        ["key"],
        ["apn", "key"],
        ["idToken"],
        ["AuthorizationCacheEnabled"],
        ["AuthorizeRemoteTxRequests"],
        ["authorization_status"],
        ["SecurityProfile"],
        ["epsk"],
        [""],
    ],
)
def test_innocent_names(path: list[str]) -> None:
    assert not is_secret_name(*path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"ftp://user:{MARK}@host/file.bin", f"ftp://user:{REDACTED}@host/file.bin"),
        (f"ftps://:{MARK}@host", f"ftps://:{REDACTED}@host"),
        (f"at ftp://user:{MARK}@{MARK}@host.", f"at ftp://user:{REDACTED}@host."),
        (f"ftp://user:a/{MARK}@host/b", f"ftp://user:{REDACTED}@host/b"),
        (f"get ftp://user:1a/{MARK}@host now@home", f"get ftp://user:{REDACTED}@host now@home"),
        (f"https://h/x?pwd={MARK}&b=2", f"https://h/x?pwd={REDACTED}&b=2"),
        (f"https://h/x?user_pwd={MARK}", f"https://h/x?user_pwd={REDACTED}"),
        (
            f"https://h/x?a=1&X-Amz-Signature={MARK}#b",
            f"https://h/x?a=1&X-Amz-Signature={REDACTED}#b",
        ),
        (f"https://h/x?token={MARK}&b=2", f"https://h/x?token={REDACTED}&b=2"),
        (
            f"violates check\nDETAIL:  Failing row contains (1, (x)\n{MARK}, (x)).\nMore (more).",
            f"violates check\nDETAIL:  Failing row contains {REDACTED}.\nMore (more).",
        ),
        (
            f"DETAIL:  Key (lower(login), b)=({MARK}) already exists.",
            f"DETAIL:  Key (lower(login), b)={REDACTED} already exists.",
        ),
        (
            f"password={MARK}; AuthorizationKey: {MARK}, next",
            f"password={REDACTED}; AuthorizationKey: {REDACTED}, next",
        ),
        (f"Authorization: Basic {MARK} was sent", f"Authorization: Basic {REDACTED} was sent"),
        (f"'authorization' = bearer {MARK}", f"'authorization' = bearer {REDACTED}"),
        (f'WIFI_PWD : "{MARK}"', f'WIFI_PWD : "{REDACTED}"'),
        (f"https://h/x?secret={MARK}#b", f"https://h/x?secret={REDACTED}#b"),
        ("Authorization: Accepted", "Authorization: Accepted"),
        ("the password is wrong: try=again", "the password is wrong: try=again"),
        ("https://host:8443/a@b?c=d", "https://host:8443/a@b?c=d"),
        ("ftp://user@host", "ftp://user@host"),
        ("12:30@noon", "12:30@noon"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    assert hide_in_text(text) == shown


@pytest.mark.parametrize(
    "value",
    [
        {"key": "AuthorizationKey", "value": MARK},
        {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": MARK}]},
        {"setVariableData": [{"variable": {"name": "BasicAuthPassword"}, "attributeValue": MARK}]},
        {
            "reportData": [
                {
                    "variable": {"name": "BasicAuthPassword"},
                    "variableAttribute": [{"type": "Actual", "value": MARK}],
                }
            ]
        },
        {"eventData": [{"variable": {"name": "VpnPassword"}, "actualValue": MARK}]},
        {"location": f"ftp://user:{MARK}@host/firmware.bin", "retrieveDate": "now"},
        {"log": {"remoteLocation": f"ftp://user:{MARK}@host/"}, "logType": "DiagnosticsLog"},
        {
            "configurationSlot": 1,
            "connectionData": {
                "ocppCsmsUrl": f"wss://cs:{MARK}@host",
                "basicAuthPassword": MARK,
                "apn": {"apn": "x", "apnUserName": "u", "apnPassword": MARK, "simPin": 4711},
                "vpn": {"server": "v", "user": "u", "password": MARK, "key": MARK},
            },
        },
        {"idToken": {"idToken": MARK, "type": "KeyCode"}, "remoteStartId": 1},
        {"id_token": MARK, "id_token_type": "KeyCode"},
        {"password": {"deep": [MARK]}},
        {"password": [MARK]},
        {"idToken": {"idToken": MARK, "type": "KEYCODE"}},
        {"data": f'{{"password": "{MARK}"}}'},
        {"data": f' [{{"key": "AuthorizationKey", "value": "{MARK}"}}]'},
        {"data": f'{{"pass\\u0077ord": "{MARK}"}}'},
        {"data": f'{{"password": "{MARK}"'},
        {"data": f"password={MARK}"},
        {"techInfo": f"Authorization: Basic {MARK}"},
    ],
)
def test_copies_hold_no_secret(value: dict[str, Any]) -> None:
    before = str(value)
    copy = redacted(value)
    assert MARK not in str(copy)
    assert "4711" not in str(copy)
    assert REDACTED in str(copy)
    assert str(value) == before


def test_everything_else_stays() -> None:
    value = {
        "idToken": {"idToken": "0476AB12", "type": "ISO14443"},
        "configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}],
        "key": "HeartbeatInterval",
        "connectionData": {"apn": {"apn": "x"}, "vpn": {"server": "v", "type": "IKEv2"}},
        "unset": {"password": None, "has_password": True},
        "numbers": [1, 2.5, None, True],
    }
    assert redacted(value) == value


def test_depth_has_an_end() -> None:
    value: Any = MARK
    for _ in range(5_000):
        value = [value]
    assert MARK not in str(redacted(value))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(_json)
def test_twice_is_once(value: Any) -> None:
    once = redacted(value)
    assert redacted(once) == once


def test_statement_17_pins_are_hidden_and_cards_are_not() -> None:
    for kind in ("KeyCode", "KEYCODE", "keycode"):
        assert shown_token("4711", kind) == REDACTED
    assert shown_token("0476ab12", "ISO14443") == "0476ab12"
    assert shown_token("0476ab12", None) == "0476ab12"
    assert shown_token(None, "KeyCode") is None
