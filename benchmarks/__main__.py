"""`python -m benchmarks`: runs ChargeHub and both baselines under the same load, writes the tables.

Every run is a fresh server process on loopback, the load generator is a process apart, ChargeHub's
PostgreSQL is the embedded one with fsync on. See `plan` for what runs and `report` for the output.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks import report
from benchmarks.database import bench_database
from benchmarks.plan import full_plan, quick_plan
from benchmarks.runner import Bench, Failed
from chargehub.settings import Settings, station_key
from chargehub.stations.credentials import generate_credential, hash_credential

HERE = Path(__file__).resolve().parent
SEEDED_STATIONS = 5000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about two minutes, rougher figures")
    parser.add_argument("--only", metavar="NAME", help="only runs whose name contains this")
    parser.add_argument("--subject", metavar="NAME", help="only this server")
    parser.add_argument("--list", action="store_true", help="list the runs and stop")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the results there instead")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the database lies")
    chosen = parser.parse_args()
    plan = [
        run
        for run in (quick_plan() if chosen.quick else full_plan())
        if (chosen.only is None or chosen.only in run.name)
        and (chosen.subject is None or chosen.subject == run.subject)
    ]
    if chosen.list or not plan:
        print("\n".join(f"{run.subject:14} {run.name}" for run in plan) or "No such run.")
        return 0 if plan else 2
    partial = chosen.only is not None or chosen.subject is not None
    began = time.time()
    # So that what was started is stopped and removed then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chargehub-bench-logs")))
        secret, password = secrets.token_urlsafe(48), generate_credential()
        settings = Settings(secret_key=secret)
        credential_hash = hash_credential(station_key(settings), password.encode())
        database = stack.enter_context(
            bench_database(chosen.data_dir, SEEDED_STATIONS, credential_hash)
        )
        bench = Bench(database, logs, secret, password)
        try:
            for number, run in enumerate(plan, start=1):
                bench.execute(run, f"{number}/{len(plan)}")
        except Failed as failure:
            print(f"\nFailed: {failure}", file=sys.stderr)
            return 1
        facts = bench.facts()
    results = report.summarise(bench.records, facts, time.time() - began)
    print("\n" + report.render(results))
    if chosen.keep is not None or not partial:
        report.write(results, chosen.keep or HERE)
    return 1 if results["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
