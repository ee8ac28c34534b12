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
from benchmarks.plan import CHARGEHUB, ECHO_OTHER_LOOP, OCPP_PACKAGE, Run
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


class Failed(Exception):
    """A run could not be finished."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    server_cpu_s: float
    postgres_cpu_s: float


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
        self.database.checkpoint()
        since_ms = int(time.time() * 1000)
        with self._server(run.subject) as (process, port):
            record, kept = self._drive(run, process.pid, port)
        if run.subject == CHARGEHUB:
            self._verify(record, kept, since_ms)
        self.records.append(record)
        print(one_line(record), flush=True)

    def facts(self) -> Record:
        loop = "uvloop" if self.uvloop else "asyncio"
        return {**machine(), "event_loop": loop, "postgres": self.database.facts()}

    @contextmanager
    def _server(self, subject: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        port = free_port()
        log_path = self.logs / f"{subject}.log"
        if subject == CHARGEHUB:
            env = {
                "CHARGEHUB_DATABASE_URL": self.database.url,
                "CHARGEHUB_SECRET_KEY": self.secret,
                "CHARGEHUB_API_PORT": "0",
                "CHARGEHUB_OCPP_PORT": str(port),
                # A closed loop is a flood by design.
                "CHARGEHUB_LIMITS__MESSAGES_PER_S": "1000000",
                "CHARGEHUB_LIMITS__MESSAGES_BURST": "1000000",
            }
            with running(["chargehub", "serve"], port, log_path, env) as process:
                self.uvloop = uses_uvloop(process.pid)
                yield process, port
            return
        module = "baseline_ocpp_package" if subject == OCPP_PACKAGE else "baseline_echo"
        command = [f"benchmarks.{module}", str(port)]
        if self.uvloop != (subject == ECHO_OTHER_LOOP):
            command.append("--uvloop")
        with running(command, port, log_path) as process:
            yield process, port

    def _snapshot(self, pid: int, run: Run) -> Snapshot:
        if run.subject == CHARGEHUB:
            return Snapshot(cpu_seconds(pid), cpu_seconds(self.database.postmaster_pid))
        return Snapshot(cpu_seconds(pid), 0.0)

    def _drive(self, run: Run, pid: int, port: int) -> tuple[Record, dict[str, dict[str, int]]]:
        first = last = self._snapshot(pid, run)
        memory = {"server_rss_at_start_mb": resident_mb(pid)}
        some, some_mb = 0, 0.0
        command = [
            *(sys.executable, "-m", "benchmarks.load", "--scenario", run.scenario),
            *("--port", str(port), "--stations", str(run.stations)),
            *("--warm-up-s", str(run.warm_up_s), "--window-s", str(run.window_s)),
            *("--rate-per-s", str(run.rate_per_s), "--password", self.password),
        ]
        done: Record | None = None
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
            assert generator.stdout is not None
            for line in generator.stdout:
                told = json.loads(line)
                match told["event"]:
                    case "some_connected":
                        some, some_mb = told["stations"], resident_mb(pid)
                    case "window_begin":
                        first = self._snapshot(pid, run)
                    case "window_end":
                        last = self._snapshot(pid, run)
                        memory |= self._memory(pid, run)
                        if some:
                            grown_mb = memory["server_rss_mb"] - some_mb
                            price_kb = grown_mb * 1024 / (run.stations - some)
                            memory["rss_kb_per_connection"] = round(price_kb, 1)
                    case "done":
                        done = told
                    case _:
                        pass
        if done is None:
            words = (self.logs / f"{run.subject}.log").read_text(errors="replace")[-2000:]
            raise Failed(f"{run.subject} {run.name}: the generator gave up.\n{words}")
        return make_record(run, done, first, last) | memory, done["kept"]

    def _memory(self, pid: int, run: Run) -> Record:
        figures = {"server_rss_mb": resident_mb(pid)}
        if run.subject == CHARGEHUB:
            figures["postgres_memory_mb"] = proportional_mb(self.database.postmaster_pid)
        return figures

    def _verify(self, record: Record, kept: dict[str, dict[str, int]], since_ms: int) -> None:
        verdict = self.database.verify(kept, since_ms)
        record |= {
            "acknowledged_rows": verdict.rows,
            "lost": verdict.lost,
            "beyond": verdict.beyond,
            "flagged": verdict.flagged,
        }
        if verdict.example:
            record["lost_example"] = verdict.example


def make_record(run: Run, done: Record, first: Snapshot, last: Snapshot) -> Record:
    # In a storm the messages are the boots, and every one is connected for.
    messages = done["messages"]
    server_s = last.server_cpu_s - first.server_cpu_s
    postgres_s = last.postgres_cpu_s - first.postgres_cpu_s
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
    return record


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
