"""Every setting of the server: name, meaning, default, limit. Read from `CHARGEHUB_...` variables.

Only app.py, features.py, cli.py and what stands beside them import this; others are handed values.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from chargehub.kit.errors import ChargeHubError
from chargehub.kit.fields import TimeZoneName
from chargehub.limits import Limits

PREFIX = "CHARGEHUB_"
SECRET_LENGTH = 32
LOOPBACK = ("127.0.0.1", "::1", "localhost")
GUN_LINKS = "[?&](?i:connectorId|gunCode|pileCode)=(?P<code>[^&#]+)"
PLACEHOLDERS = ("change-me", "changeme", "secret", "example", "demo", "test", "password")
DEMO_KEY = "chargehub demo, not a secret: never with real stations"


class SettingsInvalid(ChargeHubError):
    """The settings do not allow a start."""

    code = "settings-invalid"


class TlsSettings(BaseModel):
    """The listener of OCPP over TLS; there is one when there is a certificate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address charging stations connect to over TLS.")
    port: int = Field(9443, ge=0, le=65_535, description="Their port; 0 takes a free one.")
    rsa_chain: Path | None = Field(
        None, description="PEM file: RSA certificate of the server and those above it."
    )
    rsa_key: Path | None = Field(None, description="PEM file: its key, without a passphrase.")
    ecdsa_chain: Path | None = Field(
        None,
        description="PEM file: ECDSA certificate of the server and those above it. With both kinds "
        "every station finds its own.",
    )
    ecdsa_key: Path | None = Field(None, description="PEM file: its key, without a passphrase.")
    client_ca: Path | None = Field(
        None,
        description="PEM file: the authorities whose client certificates count (security profile "
        "3). Unset: none does.",
    )
    organisation: str | None = Field(
        None, description="The operator's name, which must be the O of client certificates."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for kind in ("rsa", "ecdsa"):
            chain, key = getattr(self, f"{kind}_chain"), getattr(self, f"{kind}_key")
            if (chain is None) != (key is None):
                raise ValueError(f"{kind}_chain and {kind}_key belong together")
        if self.client_ca is not None and self.organisation is None:
            raise ValueError("client_ca needs organisation")
        if self.client_ca is not None and not self.chains:
            raise ValueError("client_ca needs a certificate of the server")
        return self

    @property
    def chains(self) -> tuple[tuple[Path, Path], ...]:
        pairs = ((self.rsa_chain, self.rsa_key), (self.ecdsa_chain, self.ecdsa_key))
        return tuple((chain, key) for chain, key in pairs if chain is not None and key is not None)


class FindingSettings(BaseModel):
    """What drivers are told of places to charge."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fast_from_w: int = Field(
        30_000, ge=1, description="A gun of this power counts as fast (快充), a weaker one as slow."
    )
    super_from_w: int = Field(
        120_000, ge=1, description="A gun of this power counts as super (超充)."
    )
    battery_wh: int = Field(
        60_000, ge=1_000, le=2_000_000, description="Battery that is assumed of a car."
    )
    leaves_at_percent: int = Field(
        95, ge=50, le=100, description="State of charge at which cars are assumed to leave."
    )
    requests_per_minute: int = Field(
        600,
        ge=1,
        description="Requests that one address may make, which many phones may share: there is no "
        "login.",
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.fast_from_w >= self.super_from_w:
            raise ValueError("fast_from_w must be less than super_from_w")
        return self


class BayGateway(BaseModel):
    """The gateway of a Location's ground locks and bay sensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://[^\s?#]+$", description="Its base URL.")
    key: SecretStr = Field(description="What it and the hub sign with.")

    @field_validator("key")
    @classmethod
    def _long_enough(cls, key: SecretStr) -> SecretStr:
        if len(key.get_secret_value()) < SECRET_LENGTH:
            raise ValueError(f"needs at least {SECRET_LENGTH} characters")
        return key


class LogSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is written."
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: coloured lines on a terminal, else JSON."
    )


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(
        None,
        description="postgresql://user:password@host/name. Unset: an embedded PostgreSQL in "
        "data_dir is started.",
    )
    data_dir: Path = Field(
        Path("var"), description="Where the embedded PostgreSQL and the demo keep their files."
    )
    api_host: str = Field("127.0.0.1", description="Address the API and the pages listen on.")
    api_port: int = Field(8000, ge=0, le=65_535, description="Their port; 0 takes a free one.")
    ocpp_host: str = Field("127.0.0.1", description="Address charging stations connect to.")
    ocpp_port: int = Field(9000, ge=0, le=65_535, description="Their port; 0 takes a free one.")
    ocpp_path_prefix: str = Field(
        "/ocpp",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="A station's URL is ws://host:port{prefix}/{identity}.",
    )
    public_url: str | None = Field(
        None,
        description="Address of the pages as drivers see it, printed on QR labels. Unset: "
        "api_host and api_port.",
    )
    operator_id: str = Field(
        "",
        pattern=r"^[A-Za-z0-9]{0,20}$",
        description="Our organisation code (9 characters in China), as in QR codes of the form "
        "hlht://ConnectorID.OperatorID/. Empty: such codes are not read, and drivers are told so.",
    )
    gun_links: str = Field(
        GUN_LINKS,
        description="Links on guns that are not our labels: regular expressions separated by "
        "blanks, each with a group (?P<code>...) for the gun code and, if the link names one, "
        "(?P<operator>...) for the organisation code. They count at the host of public_url and at "
        "gun_link_hosts.",
    )
    gun_link_hosts: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.\s-]*$",
        description="Hosts, separated by blanks, whose links on guns are ours too: of vendors' QR "
        "codes, of labels printed under an earlier public_url. Links to others are refused.",
    )
    demo: bool = Field(
        default=False,
        description="A demonstration: unknown stations register themselves, the clock may run "
        "fast, secrets are made up. Never with real stations.",
    )
    clock_rate: float = Field(
        1.0, gt=0, le=1_000, description="Hub seconds per wall second. Other than 1 in a demo only."
    )
    time_zone: TimeZoneName = Field(
        "Asia/Shanghai",
        validate_default=True,
        description="Where the hub stands: by it a driver's credential ends.",
    )
    supply_voltage_v: int = Field(
        220,
        ge=100,
        le=1_000,
        description="Voltage of one phase of the stations' supply; turns amperes of charging "
        "profiles into watts.",
    )
    secret_key: SecretStr | None = Field(
        None,
        description=f"Server key of the stations' passwords, at least {SECRET_LENGTH} characters, "
        "random. Changing it invalidates every station's password.",
    )
    personal_data_key: SecretStr | None = Field(
        None,
        description=f"Server key of drivers' personal data, at least {SECRET_LENGTH} characters, "
        "random. Unset: secret_key. Without it nothing of them can be read any more, and no driver "
        "is known by their phone.",
    )
    secure_cookies: bool = Field(
        default=False, description="Send cookies over HTTPS only. True behind a TLS proxy."
    )
    heartbeat_interval_s: int = Field(
        300, ge=10, le=86_400, description="Heartbeat interval that stations are given at boot."
    )
    frame_log: bool = Field(
        default=True,
        description="Keep every frame to and from stations, without secrets, for operators to "
        "search.",
    )
    conformance_adapter: bool = Field(
        default=False,
        description="Let outside conformance suites drive this server under /api/octt. In a demo "
        "on a loopback address only.",
    )
    bay_gateways: Annotated[dict[str, BayGateway], NoDecode] = Field(
        {},
        description="Gateways of ground locks and bay sensors by Location, as JSON: "
        '{"QZ-HUB": {"url": "https://gateway.example", "key": "..."}}; a key has at least '
        f"{SECRET_LENGTH} characters.",
    )
    limits: Limits = Field(default_factory=Limits, description="Limits.")
    tls: TlsSettings = Field(default_factory=TlsSettings, description="OCPP over TLS.")
    finding: FindingSettings = Field(
        default_factory=FindingSettings, description="What drivers are told."
    )
    log: LogSettings = Field(default_factory=LogSettings, description="Logging.")

    @field_validator("database_url")
    @classmethod
    def _postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        schemes = ("postgresql://", "postgres://", "postgresql+psycopg://")
        if url is not None and not url.get_secret_value().startswith(schemes):
            raise ValueError("must begin with postgresql://; no other database can be used")
        return url

    @property
    def gateways_of_bays(self) -> dict[str, tuple[str, str]]:
        """URL and key of each gateway, by Location."""
        return {
            place: (gateway.url, gateway.key.get_secret_value())
            for place, gateway in self.bay_gateways.items()
        }

    @field_validator("bay_gateways", mode="before")
    @classmethod
    def _json(cls, told: Any) -> Any:
        if not isinstance(told, str):
            return told
        try:
            return json.loads(told)
        except ValueError:
            raise ValueError("is no JSON") from None

    @field_validator("gun_links")
    @classmethod
    def _patterns(cls, patterns: str) -> str:
        for text in patterns.split():
            try:
                groups = re.compile(text).groupindex
            except re.error as error:
                raise ValueError(f"{text} is no regular expression: {error}") from None
            if "code" not in groups:
                raise ValueError(f"{text} has no group (?P<code>...)")
        return patterns

    @model_validator(mode="after")
    def _no_demo_in_production(self) -> Self:
        problems = []
        if self.conformance_adapter and self.api_host not in LOOPBACK:
            problems.append(f"api_host: {' or '.join(LOOPBACK)} with the conformance adapter")
        if not self.demo:
            if self.conformance_adapter:
                problems.append("conformance_adapter: in a demo only (set demo to true)")
            if self.clock_rate != 1:
                problems.append("clock_rate: other than 1 in a demo only (set demo to true)")
            problem = secret_problem(self.secret_key)
            if problem is not None:
                problems.append(f"secret_key: {problem}")
            own = self.personal_data_key
            problem = None if own is None else secret_problem(own)
            if problem is not None:
                problems.append(f"personal_data_key: {problem}")
        if problems:
            raise ValueError("\n".join(problems))
        return self


def secret_problem(secret: SecretStr | None) -> str | None:
    """Say why a secret will not do outside a demo, or None."""
    if secret is None:
        return "is required (try: openssl rand -base64 48)"
    value = secret.get_secret_value()
    if len(value) < SECRET_LENGTH:
        return f"needs at least {SECRET_LENGTH} characters (try: openssl rand -base64 48)"
    if len(set(value)) < 10 or value.lower().startswith(PLACEHOLDERS):
        return "is a placeholder, not a secret (try: openssl rand -base64 48)"
    return None


def station_key(settings: Settings) -> bytes:
    """Return the key under which stations' passwords are hashed."""
    secret = settings.secret_key.get_secret_value() if settings.secret_key else DEMO_KEY
    return hashlib.sha256(secret.encode()).digest()


def personal_data_key(settings: Settings) -> bytes:
    """Return the secret under which drivers' personal data are sealed."""
    secret = settings.personal_data_key or settings.secret_key
    return (secret.get_secret_value() if secret else DEMO_KEY).encode()


def load(**given: Any) -> Settings:
    """Read the settings; `given` (command line) wins over variables. Raises SettingsInvalid."""
    known = {name for name, _ in variables()}
    ours = (name for name in os.environ if name.startswith(PREFIX))
    lines = [f"{name}: there is no such setting" for name in sorted(ours) if name not in known]
    settings = None
    try:
        settings = Settings(**given)
    except ValidationError as error:
        lines = [*_complaints(error), *lines]
    if settings is None or lines:
        raise SettingsInvalid("Settings are wrong:\n" + "\n".join(f"  - {line}" for line in lines))
    return settings


def _complaints(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_input=False, include_url=False):
        message = fault["msg"].removeprefix("Value error, ")
        if fault["loc"]:
            place = "__".join(str(part) for part in fault["loc"])
            yield f"{PREFIX}{place.upper()}: {message}"
            continue
        for line in message.splitlines():
            name, _, rest = line.partition(": ")
            yield f"{PREFIX}{name.upper()}: {rest}"


def variables() -> Iterator[tuple[str, FieldInfo]]:
    """Yield each environment variable with its field, nested ones too."""
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for inner, inner_field in kind.model_fields.items():
                yield f"{PREFIX}{name}__{inner}".upper(), inner_field
        else:
            yield f"{PREFIX}{name}".upper(), field


def render_example() -> str:
    """Write the `.env.example` of these settings."""
    lines = ["# Copy to .env and edit. Written by: python -m chargehub.settings > .env.example"]
    for name, field in variables():
        shown = "" if field.default is None else str(field.default)
        shown = shown.lower() if isinstance(field.default, bool) else shown
        meaning = textwrap.wrap(field.description or "", 96)
        lines += ["", *(f"# {line}" for line in meaning), f"#{name}={shown}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(render_example(), end="")  # noqa: T201  This is its output.
