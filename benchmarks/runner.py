"""One run: a fresh server, the generator beside it, and what both say.

CPU time is read where the generator's window opens and closes; ChargeHub's database is counted
afterwards. What is run is `plan`'s business.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.database import BenchDatabase
from benchmarks.plan import ECHO_OTHER_LOOP, LOGGED, OCPP_PACKAGE, OURS, Run
from benchmarks.processes import (
    cpu_seconds,
    free_port,
    machine,
    proportional_mb,
    resident_mb,
    running,
    uses_uvloop,
)

Record = dict[str, Any]
CALM_DEADLINE_S = 60.0
SETTLEMENTS = 300


class Failed(Exception):
    """A run could not be finished."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    server_cpu_s: float
    postgres_cpu_s: float


@dataclass(slots=True)
class Observer:
    """Watches a server, and its database if it has one, while the generator is at work."""

    pid: int
    database: BenchDatabase | None
    figures: Record = field(default_factory=dict)
    first: Snapshot = Snapshot(0.0, 0.0)
    last: Snapshot = Snapshot(0.0, 0.0)
    _some: int = 0
    _some_mb: float = 0.0

    def snapshot(self) -> Snapshot:
        if self.database is None:
            return Snapshot(cpu_seconds(self.pid), 0.0)
        return Snapshot(cpu_seconds(self.pid), cpu_seconds(self.database.postmaster_pid))

    def window_begins(self) -> None:
        self.first = self.snapshot()

    def window_ends(self, stations: int) -> None:
        self.last = self.snapshot()
        now_mb = self.figures["server_rss_mb"] = resident_mb(self.pid)
        if self.database is not None:
            self.figures["postgres_memory_mb"] = proportional_mb(self.database.postmaster_pid)
        if self._some:
            price_kb = (now_mb - self._some_mb) * 1024 / (stations - self._some)
            self.figures["rss_kb_per_connection"] = round(price_kb, 1)

    def some_connected(self, stations: int) -> None:
        self._some, self._some_mb = stations, resident_mb(self.pid)

    def await_calm(self) -> None:
        """Wait until what the boots set going is worked off: it is not the load's."""
        deadline = time.monotonic() + CALM_DEADLINE_S
        while self.database is not None and self.database.waiting_events():
            if time.monotonic() > deadline:
                raise Failed(f"Events of the boots still wait after {CALM_DEADLINE_S:.0f} s.")
            time.sleep(0.2)

    def settle(self, limit: int) -> None:
        """Price the settlement of ended transactions, which otherwise comes a minute later."""
        assert self.database is not None
        before, began = self.snapshot(), time.monotonic()
        settled = self.database.make_settlements_due(limit)
        while self.database.waiting_settlements():
            if time.monotonic() > began + CALM_DEADLINE_S:
                raise Failed(f"{limit} settlements take over {CALM_DEADLINE_S:.0f} s.")
            time.sleep(0.1)
        seconds, after = time.monotonic() - began, self.snapshot()
        if settled:
            server_s = after.server_cpu_s - before.server_cpu_s
            postgres_s = after.postgres_cpu_s - before.postgres_cpu_s
            self.figures["settlements_per_s"] = round(settled / seconds, 1)
            self.figures["settlement_cpu_us"] = round(server_s / settled * 1e6)
            self.figures["settlement_postgres_cpu_us"] = round(postgres_s / settled * 1e6)


@dataclass(slots=True)
class Bench:
    database: BenchDatabase
    logs: Path
    secret: str
    password: str
    records: list[Record] = field(default_factory=list)
    uvloop: bool = True

    def execute(self, run: Run, progress: str) -> None:
        print(f"[{progress}] {run.subject}: {run.name} ...", end=" ", flush=True)
        if run.subject in OURS:
            with self.database.copied() as database:
                since_ms = int(time.time() * 1000)
                with self._chargehub(run.subject, database) as (pid, port):
                    observer = Observer(pid, database)
                    done = self._drive(run, observer, port)
                    if run.scenario == "sessions":
                        observer.settle(SETTLEMENTS)
                    record = make_record(run, done, observer)
                record |= verify(database, done["kept"], since_ms)
        else:
            with self._baseline(run.subject) as (pid, port):
                observer = Observer(pid, None)
                record = make_record(run, self._drive(run, observer, port), observer)
        self.records.append(record)
        print(one_line(record), flush=True)

    def facts(self) -> Record:
        loop = "uvloop" if self.uvloop else "asyncio"
        return {**machine(), "event_loop": loop, "postgres": self.database.facts()}

    @contextmanager
    def _chargehub(self, subject: str, database: BenchDatabase) -> Iterator[tuple[int, int]]:
        port = free_port()
        env = {
            "CHARGEHUB_DATABASE_URL": database.url,
            "CHARGEHUB_SECRET_KEY": self.secret,
            "CHARGEHUB_API_PORT": "0",
            "CHARGEHUB_OCPP_PORT": str(port),
            "CHARGEHUB_FRAME_LOG": str(subject == LOGGED),
            # A closed loop is a flood by design.
            "CHARGEHUB_LIMITS__MESSAGES_PER_S": "1000000",
            "CHARGEHUB_LIMITS__MESSAGES_BURST": "1000000",
        }
        log_path = self.logs / f"{subject}.log"
        with running(["chargehub", "serve"], port, log_path, env) as process:
            self.uvloop = uses_uvloop(process.pid)
            yield process.pid, port

    @contextmanager
    def _baseline(self, subject: str) -> Iterator[tuple[int, int]]:
        port = free_port()
        module = "baseline_ocpp_package" if subject == OCPP_PACKAGE else "baseline_echo"
        command = [f"benchmarks.{module}", str(port)]
        # The same event loop as ChargeHub's, but for the one run that is about the other.
        if self.uvloop != (subject == ECHO_OTHER_LOOP):
            command.append("--uvloop")
        with running(command, port, self.logs / f"{subject}.log") as process:
            yield process.pid, port

    def _drive(self, run: Run, observer: Observer, port: int) -> Record:
        """Run the generator to its end and return what it says."""
        command = [
            *(sys.executable, "-m", "benchmarks.load", "--scenario", run.scenario),
            *("--port", str(port), "--stations", str(run.stations)),
            *("--warm-up-s", str(run.warm_up_s), "--window-s", str(run.window_s)),
            *("--rate-per-s", str(run.rate_per_s), "--password", self.password),
        ]
        observer.figures["server_rss_at_start_mb"] = resident_mb(observer.pid)
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as generator:
            assert generator.stdin is not None
            assert generator.stdout is not None
            for line in generator.stdout:
                told: Record = json.loads(line)
                match told["event"]:
                    case "some_connected":
                        observer.some_connected(told["stations"])
                    case "connected" if run.scenario != "storm":
                        observer.await_calm()
                        generator.stdin.write("go\n")
                        generator.stdin.flush()
                    case "window_begin":
                        observer.window_begins()
                    case "window_end":
                        observer.window_ends(run.stations)
                    case "done":
                        return told
                    case _:
                        pass
        words = (self.logs / f"{run.subject}.log").read_text(errors="replace")[-2000:]
        raise Failed(f"{run.subject} {run.name}: the generator gave up.\n{words}")


def verify(database: BenchDatabase, kept: dict[str, dict[str, int]], since_ms: int) -> Record:
    verdict = database.verify(kept, since_ms)
    found: Record = {
        "acknowledged_rows": verdict.rows,
        "lost": verdict.lost,
        "beyond": verdict.beyond,
        "flagged": verdict.flagged,
    }
    if verdict.example:
        found["lost_example"] = verdict.example
    return found


def make_record(run: Run, done: Record, observer: Observer) -> Record:
    # In a storm the messages are the boots, and every one is connected for.
    messages = done["messages"]
    server_s = observer.last.server_cpu_s - observer.first.server_cpu_s
    postgres_s = observer.last.postgres_cpu_s - observer.first.postgres_cpu_s
    record: Record = {
        "subject": run.subject,
        "name": run.name,
        "stations": run.stations,
        "window_s": done["window_s"],
        "messages": messages,
        "throughput_per_s": done["throughput_per_s"],
        **done["latency"],
        "server_cpu_s": round(server_s, 2),
        "postgres_cpu_s": round(postgres_s, 2),
        "connect_s": done["connect_s"],
        "connect": done["connect"],
        "retries": done["retries"],
        "acknowledged": sum(done["acknowledged"].values()),
        "unanswered": done["unanswered"],
        "standing": done["standing"],
        "errors": done["errors"],
        "generator_cpu_us_per_message": done["generator_cpu_us_per_message"],
        "generator_cpu_share": done["generator_cpu_share"],
    }
    if messages:
        record["server_cpu_us_per_message"] = round(server_s / messages * 1e6, 1)
        record["postgres_cpu_us_per_message"] = round(postgres_s / messages * 1e6, 1)
    return record | observer.figures


def one_line(record: Record) -> str:
    parts = []
    if record["throughput_per_s"]:
        parts.append(f"{record['throughput_per_s']:,.0f}/s")
        parts.append(f"p99 {record.get('p99_ms', 0):,.1f} ms")
        parts.append(f"CPU {record['server_cpu_us_per_message']:,.0f} us")
        if record["postgres_cpu_s"]:
            parts.append(f"(+ PostgreSQL {record['postgres_cpu_us_per_message']:,.0f} us)")
    if "rss_kb_per_connection" in record:
        parts.append(f"{record['rss_kb_per_connection']} kB a connection")
    if "settlement_cpu_us" in record:
        parts.append(
            f"settlement {record['settlement_cpu_us']:,} us"
            f" (+ PostgreSQL {record['settlement_postgres_cpu_us']:,} us),"
            f" {record['settlements_per_s']:,.0f}/s"
        )
    if record["name"].startswith("storm"):
        parts.append(f"all up in {record['connect_s']:.2f} s")
    if record.get("lost"):
        parts.append(f"LOST {record['lost']}: {record.get('lost_example')}")
    odd = ("beyond", "flagged", "retries", "unanswered")
    parts += [f"{name} {record[name]}" for name in odd if record.get(name)]
    if record["standing"] != record["stations"]:
        parts.append(f"only {record['standing']} stations still connected")
    if record["errors"]:
        parts.append(f"errors {json.dumps(record['errors'])[:300]}")
    return ", ".join(parts)
