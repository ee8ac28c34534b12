"""The figures that the README quotes: medians of the runs, ratios to the baselines, two files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.plan import (
    CHARGEHUB,
    ECHO,
    ECHO_OTHER_LOOP,
    EVENTS_21,
    EVENTS_201,
    FIXED_RATE,
    HEADLINE,
    IDLE,
    LOGGED,
    OCPP_PACKAGE,
    OURS,
    STORM,
    SUBJECTS,
    TITLES,
)

Record = dict[str, Any]
NAMES = {
    CHARGEHUB: "ChargeHub",
    LOGGED: "ChargeHub with its frame log",
    ECHO: "bare echo",
    OCPP_PACKAGE: "`ocpp` package",
}


def summarise(records: Sequence[Record], facts: Record, seconds: float) -> Record:
    """Return what is written to results.json; a figure whose run was left out is None."""

    def middle(subject: str, name: str, field: str) -> float | None:
        values = [
            record[field]
            for record in records
            if record["subject"] == subject and record["name"] == name and field in record
        ]
        return round(median(values), 3) if values else None

    cpu = "server_cpu_us_per_message"
    ours, logged, echo, package = (middle(subject, HEADLINE, cpu) for subject in SUBJECTS)
    events_201, events_21 = (middle(LOGGED, name, cpu) for name in (EVENTS_201, EVENTS_21))
    durable = [record for record in records if record["subject"] in OURS]
    return {
        "durable_cpu_us_per_message": ours,
        "echo_cpu_us_per_message": echo,
        "ocpp_package_cpu_us_per_message": package,
        "postgres_cpu_us_per_message": middle(CHARGEHUB, HEADLINE, "postgres_cpu_us_per_message"),
        "ratio_to_echo": ratio(ours, echo),
        "ratio_to_ocpp_package": ratio(ours, package),
        "logged_cpu_us_per_message": logged,
        "ratio_to_echo_with_frame_log": ratio(logged, echo),
        "frame_log_share": ratio(logged and ours and logged - ours, logged),
        "events_2_0_1_ratio_to_metering": ratio(events_201, logged),
        "events_2_1_ratio_to_metering": ratio(events_21, logged),
        "echo_other_loop_cpu_us_per_message": middle(ECHO_OTHER_LOOP, HEADLINE, cpu),
        "throughput_per_s": middle(CHARGEHUB, HEADLINE, "throughput_per_s"),
        "p99_ms_at_1000_per_s": middle(CHARGEHUB, FIXED_RATE, "p99_ms"),
        "storm_2000_s": middle(CHARGEHUB, STORM, "connect_s"),
        "idle_kb_per_connection": middle(CHARGEHUB, IDLE, "rss_kb_per_connection"),
        "acknowledged": sum(record["acknowledged"] for record in durable),
        "acknowledged_rows": sum(record["acknowledged_rows"] for record in durable),
        "lost": sum(record["lost"] for record in durable),
        "machine": facts,
        "seconds": round(seconds),
        "runs": list(records),
    }


def ratio(ours: float | None, theirs: float | None) -> float | None:
    return round(ours / theirs, 3) if ours is not None and theirs else None


def medians(records: Iterable[Record], name: str) -> list[Record]:
    """Return one record for each subject of a run, its numbers the medians of the repeats."""
    found = []
    for subject in SUBJECTS:
        repeats = [r for r in records if r["subject"] == subject and r["name"] == name]
        if repeats:
            merged = dict(repeats[0])
            for field, value in repeats[0].items():
                if isinstance(value, int | float):
                    merged[field] = median(r[field] for r in repeats)
            merged["connect_p99_ms"] = median(r["connect"].get("p99_ms", 0.0) for r in repeats)
            found.append(merged)
    return found


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def render(results: Record) -> str:
    """Return the Markdown that stands in RESULTS.md."""
    records = results["runs"]
    parts = [heading(results)]
    for name, title in TITLES.items():
        merged = medians(records, name)
        if merged:
            head, row = SHAPES.get(name, (LOAD_HEAD, load_row))
            parts.append(f"## {title}\n\n{table(head, map(row, merged))}")
    return "\n\n".join(parts) + "\n"


LOAD_HEAD = (
    "",
    "messages/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "server CPU µs a message",
    "PostgreSQL CPU µs a message",
    "server RSS MB",
)
STORM_HEAD = ("", "all accepted in s", "p99 of one station s", "server CPU s", "retries")
IDLE_HEAD = ("", "kB a connection", "server RSS MB", "still connected")


def load_row(record: Record) -> Sequence[str]:
    durable = record["subject"] in OURS
    return (
        NAMES[record["subject"]],
        f"{record['throughput_per_s']:,.0f}",
        *(f"{record.get(field, 0):,.1f}" for field in ("p50_ms", "p95_ms", "p99_ms")),
        f"{record.get('server_cpu_us_per_message', 0):,.0f}",
        f"{record['postgres_cpu_us_per_message']:,.0f}" if durable else "none",
        f"{record['server_rss_mb']:,.0f}",
    )


def storm_row(record: Record) -> Sequence[str]:
    return (
        NAMES[record["subject"]],
        f"{record['connect_s']:.2f}",
        f"{record['connect_p99_ms'] / 1000:.2f}",
        f"{record['server_cpu_s']:.2f}",
        f"{record['retries']:.0f}",
    )


def idle_row(record: Record) -> Sequence[str]:
    return (
        NAMES[record["subject"]],
        f"{record['rss_kb_per_connection']:.1f}",
        f"{record['server_rss_mb']:,.0f}",
        f"{record['standing']:,}",
    )


SHAPES: dict[str, tuple[Sequence[str], Callable[[Record], Sequence[str]]]] = {
    STORM: (STORM_HEAD, storm_row),
    IDLE: (IDLE_HEAD, idle_row),
}


def heading(results: Record) -> str:
    facts = results["machine"]
    postgres = facts["postgres"]
    figures = [
        ("CPU of the server a durable MeterValues", "durable_cpu_us_per_message", "µs", ""),
        ("CPU of the bare echo", "echo_cpu_us_per_message", "µs", ""),
        ("ratio to the echo", "ratio_to_echo", "", "at most 3"),
        ("ratio to the `ocpp` package", "ratio_to_ocpp_package", "", "at most 0.25"),
        (
            "ratio to the echo with the frame log on",
            "ratio_to_echo_with_frame_log",
            "",
            "at most 3.5",
        ),
        ("the frame log's share of a message", "frame_log_share", "", "at most 0.25"),
        (
            "a TransactionEvent of 2.0.1 to MeterValues, both logged",
            "events_2_0_1_ratio_to_metering",
            "",
            "at most 1.3",
        ),
        ("the same of 2.1", "events_2_1_ratio_to_metering", "", "at most 1.3"),
        ("durable MeterValues a second", "throughput_per_s", "", "at least 8,000"),
        ("p99 reply at 1,000 a second", "p99_ms_at_1000_per_s", "ms", "at most 50"),
        ("acknowledged messages", "acknowledged", "", ""),
        ("acknowledged rows not in the database", "lost", "", "0"),
    ]
    rows = [
        (text, "not run" if results[key] is None else f"{results[key]:,} {unit}".strip(), aim)
        for text, key, unit, aim in figures
    ]
    return (
        "# Measured by `make bench`\n\n"
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB, Linux {facts['kernel']},"
        f" Python {facts['python']} ({facts['event_loop']}), PostgreSQL"
        f" {postgres['server_version']} (fsync {postgres['fsync']}, synchronous_commit"
        f" {postgres['synchronous_commit']}). Server, PostgreSQL and load generator share the"
        " cores. MeterValues carry five sampled values; the bare echo parses nothing and stores"
        " nothing, the `ocpp` package parses and validates and stores nothing.\n\n"
        + table(("MeterValues at 1,000 stations", "", "aim"), rows)
    )


def write(results: Record, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (place / "results.json").write_text(text + "\n")
    (place / "RESULTS.md").write_text(render(results))
    print(f"Written: {place / 'results.json'} and RESULTS.md")
