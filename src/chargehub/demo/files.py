"""The demo's private files in the data directory: server key, logins, the fleet's passwords.

They are made up once and kept, so that the second start fits the database of the first.
"""

from __future__ import annotations

import csv
import io
import os
import secrets
from collections.abc import Mapping
from pathlib import Path


class DemoFiles:
    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    @property
    def stations_path(self) -> Path:
        """The CSV of identities and passwords that the fleet reads."""
        return self._data_dir / "demo-stations.csv"

    @property
    def profiles_path(self) -> Path:
        """The CSV of the fleet's security profiles."""
        return self._data_dir / "demo-profiles.csv"

    @property
    def bays_path(self) -> Path:
        """The CSV of the gun codes with a bay, and of the bays' devices."""
        return self._data_dir / "demo-bays.csv"

    @property
    def bay_gateway_path(self) -> Path:
        """The URL of the bays' gateway, at which a person parks cars."""
        return self._data_dir / "demo-bay-gateway"

    @property
    def certificates_dir(self) -> Path:
        return self._data_dir / "demo-certificates"

    @property
    def logins_path(self) -> Path:
        return self._data_dir / "demo-logins.csv"

    def secret_key(self) -> str:
        path = self._data_dir / "demo-secret-key"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(48) + "\n")
        return path.read_text().strip()

    def read_stations(self) -> dict[str, str]:
        return _read(self.stations_path)

    def write_stations(self, passwords: Mapping[str, str]) -> None:
        write_private(self.stations_path, _table(("identity", "password"), passwords))

    def write_profiles(self, profiles: Mapping[str, int]) -> None:
        rows = {identity: str(profile) for identity, profile in profiles.items()}
        write_private(self.profiles_path, _table(("identity", "security_profile"), rows))

    def write_bays(self, devices: Mapping[str, str], gateway_url: str) -> None:
        write_private(self.bays_path, _table(("identity", "device"), devices))
        write_private(self.bay_gateway_path, gateway_url + "\n")

    def read_logins(self) -> dict[str, str]:
        return _read(self.logins_path)

    def write_logins(self, passwords: Mapping[str, str]) -> None:
        write_private(self.logins_path, _table(("login", "password"), passwords))


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    fresh.replace(path)


def _table(header: tuple[str, str], rows: Mapping[str, str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows.items())
    return text.getvalue()


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {row[0]: row[1] for row in rows if len(row) == 2}
