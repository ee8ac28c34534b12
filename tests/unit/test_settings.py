"""Wrong settings stop the start with a list a person can act on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from chargehub import settings
from chargehub.settings import SettingsInvalid

GOOD_KEY = "kq3Zs8vN1pXe7RtYw2LmB5cHf9GdJ4uA"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(settings.PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_defaults_need_only_a_key() -> None:
    loaded = settings.load(secret_key=GOOD_KEY)
    assert (loaded.api_host, loaded.api_port) == ("127.0.0.1", 8000)
    assert (loaded.ocpp_host, loaded.ocpp_port) == ("127.0.0.1", 9000)
    assert loaded.secret_key is not None
    assert loaded.secret_key.get_secret_value() == GOOD_KEY


def test_variables_are_read_nested_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARGEHUB_SECRET_KEY", GOOD_KEY)
    monkeypatch.setenv("CHARGEHUB_LIMITS__MAX_FRAME_BYTES", "65536")
    monkeypatch.setenv("CHARGEHUB_PUBLIC_URL", "")
    loaded = settings.load()
    assert loaded.limits.max_frame_bytes == 65_536
    assert loaded.public_url is None


def test_every_fault_is_listed_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARGEHUB_API_PORT", "99999")
    monkeypatch.setenv("CHARGEHUB_LIMITS__PAGE_SIZE", "0")
    monkeypatch.setenv("CHARGEHUB_API_PROT", "8000")
    with pytest.raises(SettingsInvalid) as caught:
        settings.load(secret_key=GOOD_KEY)
    for name in ("CHARGEHUB_API_PORT", "CHARGEHUB_LIMITS__PAGE_SIZE", "CHARGEHUB_API_PROT"):
        assert f"- {name}: " in caught.value.detail


@pytest.mark.parametrize(
    "key",
    [None, "short", "a" * 40, "change-me-to-something-of-32-characters", "demo" + GOOD_KEY],
)
def test_production_refuses_missing_weak_and_demo_secrets(key: str | None) -> None:
    with pytest.raises(SettingsInvalid, match="CHARGEHUB_SECRET_KEY") as caught:
        settings.load(secret_key=key)
    assert key is None or key not in caught.value.detail


def test_a_weak_key_of_personal_data_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="CHARGEHUB_PERSONAL_DATA_KEY: needs at least 32"):
        settings.load(secret_key=GOOD_KEY, personal_data_key="short")
    loaded = settings.load(secret_key=GOOD_KEY, personal_data_key=GOOD_KEY[::-1])
    assert loaded.personal_data_key is not None


@pytest.mark.parametrize(
    "zone", ["Asia/Quzhou", "", "../../etc/passwd", "/etc/localtime", "x" * 999]
)
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    assert settings.load(secret_key=GOOD_KEY).time_zone == "Asia/Shanghai"
    with pytest.raises(SettingsInvalid, match="CHARGEHUB_TIME_ZONE"):
        settings.load(secret_key=GOOD_KEY, time_zone=zone)


def test_a_fast_clock_is_for_demos() -> None:
    with pytest.raises(SettingsInvalid, match="CHARGEHUB_CLOCK_RATE"):
        settings.load(secret_key=GOOD_KEY, clock_rate=60)
    assert settings.load(demo=True, clock_rate=60).clock_rate == 60


def test_the_conformance_adapter_is_for_demos_of_this_machine() -> None:
    assert not settings.load(demo=True).conformance_adapter
    with pytest.raises(SettingsInvalid, match="CHARGEHUB_CONFORMANCE_ADAPTER: in a demo only"):
        settings.load(secret_key=GOOD_KEY, conformance_adapter=True)
    for host in ("0.0.0.0", "192.0.2.1", "::", "hub.example"):  # noqa: S104  What is refused.
        with pytest.raises(SettingsInvalid, match="CHARGEHUB_API_HOST"):
            settings.load(demo=True, conformance_adapter=True, api_host=host)
    for host in ("127.0.0.1", "::1", "localhost"):
        assert settings.load(demo=True, conformance_adapter=True, api_host=host).api_host == host


def test_settings_do_not_change_and_do_not_show_secrets() -> None:
    loaded = settings.load(secret_key=GOOD_KEY, database_url="postgresql://hub:hunter2@db/hub")
    with pytest.raises(ValidationError):
        setattr(loaded, "api_port", 1)  # noqa: B010  mypy rightly refuses the plain form.
    assert GOOD_KEY not in repr(loaded)
    assert "hunter2" not in repr(loaded)


def test_every_setting_is_described() -> None:
    undescribed = [name for name, field in settings.variables() if not field.description]
    assert undescribed == []


@pytest.mark.parametrize(
    "given",
    [
        {"RSA_CHAIN": "rsa.pem"},
        {"ECDSA_KEY": "key.pem"},
        {"CLIENT_CA": "ca.pem", "RSA_CHAIN": "rsa.pem", "RSA_KEY": "key.pem"},
        {"CLIENT_CA": "ca.pem", "ORGANISATION": "Us"},
        {"PORT": "70000"},
    ],
)
def test_half_of_tls_is_refused(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"CHARGEHUB_TLS__{name}", value)
    with pytest.raises(SettingsInvalid, match="CHARGEHUB_TLS"):
        settings.load(secret_key=GOOD_KEY)


def test_tls_is_off_without_a_certificate_and_takes_two() -> None:
    assert settings.load(secret_key=GOOD_KEY).tls.chains == ()
    files = {name: Path(f"{name}.pem") for name in ("rsa_chain", "rsa_key")}
    both = files | {name: Path(f"{name}.pem") for name in ("ecdsa_chain", "ecdsa_key")}
    assert settings.TlsSettings(**files).chains == ((Path("rsa_chain.pem"), Path("rsa_key.pem")),)
    assert len(settings.TlsSettings(**both).chains) == 2
