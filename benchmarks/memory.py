"""Resident memory of the whole live side: broker, producer and router, on one machine of 1 GiB.

The three run as a user would start them, as processes of their own; their memory is read from /proc twenty times a
second. The peak of the sum is what the machine must hold. RSS counts pages that processes share in each of them,
PSS counts them once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.table import Table
from venuewise.data.reader import read
from venuewise.kafka import broker
from venuewise.kafka.settings import load
from venuewise.kafka.topics import ensure_topic
from venuewise.synthetic.generate import generate

REAL_FILE = Path(__file__).resolve().parents[2] / "shared" / "data" / "aapl_xnas_20241021_mbp10.csv"
PACED_SECONDS = 20.0
SAMPLE_SECONDS = 0.05
LIMIT_MIB = 1024
DONE_SECONDS = 300.0
NAMES = ("broker", "producer", "router")


@dataclass
class Peaks:
    """Largest readings so far, MiB: of each process (RSS), and of all together."""

    each: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    rss: float = 0.0
    pss: float = 0.0

    def note(self, processes: Mapping[str, int]) -> None:
        """Read all processes once."""
        found = {name: memory(pid) for name, pid in processes.items()}
        for name, (rss, _) in found.items():
            self.each[name] = max(self.each[name], rss)
        self.rss = max(self.rss, sum(rss for rss, _ in found.values()))
        self.pss = max(self.pss, sum(pss for _, pss in found.values()))


def memory(pid: int) -> tuple[float, float]:
    """Return RSS and PSS of a process in MiB; zeros once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    sizes = {line.split()[0]: int(line.split()[1]) / 1024 for line in lines[1:]}
    return sizes.get("Rss:", 0.0), sizes.get("Pss:", 0.0)


def measure(file: Path, rows: int, speed: str, environment: Mapping[str, str]) -> Peaks:
    """Start a broker, a router and a producer; watch them until every row is decided."""
    peaks = Peaks()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "broker"
        state = broker.up(directory, port=0)
        assert state.pid is not None, "the broker must be a process of this machine, not a container"
        settings = load(flags={"kafka_bootstrap_servers": state.bootstrap_servers})
        ensure_topic(
            settings, settings.topic, 1
        )  # the router does not wait for it as long as compiling takes
        command = [sys.executable, "-m", "venuewise"]
        surroundings = {
            **os.environ,
            **environment,
            "KAFKA_BOOTSTRAP_SERVERS": state.bootstrap_servers,
        }
        produce = [*command, "produce", str(file), "--speed", speed]
        route = [*command, "route", "--limit", str(rows), "--metrics-port", "0"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": surroundings}
        began = time.monotonic()
        running = {}
        try:
            running["producer"] = subprocess.Popen(produce, **quiet)  # type: ignore[call-overload]
            running["router"] = subprocess.Popen(route, **quiet)  # type: ignore[call-overload]
            while any(process.poll() is None for process in running.values()):
                pids = {name: process.pid for name, process in running.items()}
                peaks.note({"broker": state.pid, **pids})
                if time.monotonic() - began > DONE_SECONDS:
                    raise TimeoutError(f"{rows} rows were not routed in {DONE_SECONDS:.0f} s")
                time.sleep(SAMPLE_SECONDS)
            for name, process in running.items():
                if process.returncode != 0:
                    raise RuntimeError(f"the {name} ended with exit code {process.returncode}")
        finally:
            for process in running.values():
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    process.wait(60)
            broker.down(directory, wipe=True)
    return peaks


def run() -> Table:
    """Measure the AAPL file (a generated one where it is not there) paced, and a larger one at full speed."""
    with tempfile.TemporaryDirectory() as scratch:
        day = Path(scratch) / "day.csv"
        generated = generate(venues=5, symbols=["AAPL"], duration="10m", seed=7)
        generated.to_csv(day)
        file, what = (REAL_FILE, "AAPL of 2024-10-21") if REAL_FILE.exists() else (day, "generated AAPL")
        events = read(file)
        span = float(events.ts[-1] - events.ts[0]) / 1e9
        first_start = {"NUMBA_CACHE_DIR": str(Path(scratch) / "kernels")}
        pace = str(span / PACED_SECONDS)
        runs: list[tuple[str, Path, int, str, dict[str, str]]] = [
            (f"{what}, {len(events):,} rows in {PACED_SECONDS:.0f} s", file, len(events), pace, {}),
            ("the same, first start: kernels compiled", file, len(events), pace, first_start),
            (f"generated, {len(generated):,} rows at once", day, len(generated), "max", {}),
        ]
        table = []
        for title, path, rows, speed, environment in runs:
            peaks = measure(path, rows, speed, environment)
            each = (f"{peaks.each[name]:.0f}" for name in NAMES)
            share = f"{100 * peaks.rss / LIMIT_MIB:.0f} %"
            table.append((title, *each, f"{peaks.rss:.0f}", f"{peaks.pss:.0f}", share))
    return Table(
        title="Resident memory of broker, producer and router together",
        header=("run", *NAMES, "sum RSS", "sum PSS", "RSS of 1 GiB"),
        rows=table,
        notes=(
            "MiB, peaks; the sums are peaks of the sum. Broker with its default heap of 256 MB.",
            "RSS counts pages shared between processes in each of them, PSS once.",
        ),
    )
