"""`python -m tests.days`: 600 drivers for 182 guns on one day, and a table of what it came to."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from chargehub.kit import logging, migrate
from chargehub.kit.postgres import EmbeddedPostgres
from tests.days.ledger import Ledger
from tests.days.whole_day import FULL, SMALL, Size, live_a_day


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.days", description=__doc__)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--small", action="store_true", help="20 guns and 66 drivers")
    chosen = parser.parse_args()
    logging.configure("critical", "json")
    size = SMALL if chosen.small else FULL
    with tempfile.TemporaryDirectory(prefix="chargehub-day") as scratch:
        place = Path(scratch)
        place.chmod(0o711)
        with EmbeddedPostgres(place / "data", settings={"fsync": "off"}) as server:
            migrate.upgrade(server.url)
            began = time.monotonic()
            ledger = asyncio.run(live_a_day(server.url, size, chosen.seed))
    show(ledger, size, chosen.seed, time.monotonic() - began)
    return 1 if ledger.faults else 0


def show(ledger: Ledger, size: Size, seed: int, took_s: float) -> None:
    print(
        f"{size.drivers} drivers, {2 * size.stations} guns, seed {seed}:"
        f" a day in {took_s:.0f} seconds"
    )
    for name, figure in ledger.table():
        print(f"{name:<44}{figure:>24}")
    for fault in ledger.faults:
        print(fault)


if __name__ == "__main__":
    sys.exit(main())
