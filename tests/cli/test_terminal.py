"""On a terminal the commands print summaries; in a pipe, or with --json, the JSON and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import venuewise as vw
from tests.command import SOURCE, call

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are a matter of POSIX", allow_module_level=True)

import fcntl
import pty
import termios

VENUEWISE = (sys.executable, "-m", "venuewise")
ROOT = SOURCE.parent
BOOK: dict[str, Any] = {
    "symbol": "AAPL", "order_size": 500, "mid": 222.105, "lambda_over": 0.4, "lambda_under": 0.6, "theta_queue": 0.3,
    "venues": [{"venue": "XNAS", "ask": 222.11, "ask_size": 2000, "fee": 0.003, "rebate": 0.002}],
}  # fmt: skip


def on_terminal(
    *command: str, cwd: Path, width: int = 80, extra: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run a command whose stdout is a terminal; return its exit code, what it printed there, and its stderr."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    inherited = {
        key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR", "COLORTERM")
    }
    with subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE,
        env={**inherited, "PYTHONPATH": str(SOURCE), "TERM": "xterm-256color", **(extra or {})},
    ) as process:  # fmt: skip
        os.close(slave)
        printed = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # Linux says so when the other end is closed.
                break
            if not part:
                break
            printed += part
        assert process.stderr is not None
        notes = process.stderr.read().decode()
    os.close(master)
    return process.returncode, printed.decode().replace("\r\n", "\n"), notes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a directory with a book, a placement request and a day of market data."""
    (tmp_path / "book.json").write_text(json.dumps(BOOK))
    day = tmp_path / "day.csv"
    vw.generate(venues=2, duration="1m", seed=7).to_csv(day)
    outflow = {"file": "day.csv", "horizon": "10s"}
    request = {"order_size": 500, "lambda_under": 0.05, "lambda_over": 0.05, "outflow": outflow}
    (tmp_path / "request.json").write_text(json.dumps(request))
    return tmp_path


@pytest.mark.parametrize("width", [60, 80])
def test_the_demo_prints_its_verdict_on_a_terminal(tmp_path: Path, width: int) -> None:
    status, text, notes = on_terminal(*VENUEWISE, "demo", cwd=tmp_path, width=width, extra={"NO_COLOR": "1"})
    assert status == 0
    assert "bps against best ask" in " ".join(text.split()) or "No difference from best ask" in text
    assert "Synthetic data: 240,521 rows, 5 venues" in text
    assert "54 orders of 30 s, one every 5 s" in text
    assert "Files: output.json, results.png" in text
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert {"wrote output.json", "wrote results.png"} <= set(notes.splitlines())


COMMANDS = [
    (("backtest", "day.csv"), "AAPL: buy 5,000 shares"),
    (("allocate", "book.json"), "Buy 500 shares of AAPL"),
    (("place", "request.json"), "Buy 500 shares"),
    (("inspect", "day.csv"), "rows of synthetic data"),
    (("venues",), "maker rebate"),
    (("generate", "new.csv", "--duration", "1s"), "Wrote new.csv"),
]


@pytest.mark.parametrize(("arguments", "expected"), COMMANDS)
def test_a_summary_on_a_terminal_and_the_same_json_in_a_pipe_or_where_asked_for(
    arguments: tuple[str, ...], expected: str, folder: Path
) -> None:
    status, summary, _ = on_terminal(*VENUEWISE, *arguments, cwd=folder)
    assert status == 0
    assert expected in summary
    piped = call(*arguments, cwd=folder)
    assert piped.returncode == 0
    assert isinstance(json.loads(piped.stdout), dict)
    assert on_terminal(*VENUEWISE, *arguments, "--json", cwd=folder)[:2] == (0, piped.stdout)


def test_colour_is_for_terminals_that_have_it_and_no_one_who_said_no(folder: Path) -> None:
    def printed(**environment: str) -> str:
        return on_terminal(*VENUEWISE, "inspect", "day.csv", cwd=folder, extra=environment)[1]

    coloured, plain = printed(), printed(NO_COLOR="1")
    assert "\x1b[32mRows are in order" in coloured
    assert "\x1b" not in plain
    assert printed(TERM="dumb") == plain
    assert "\x1b" not in call("inspect", "day.csv", cwd=folder).stdout


def test_a_mistake_on_a_terminal_is_one_line_on_stderr(folder: Path) -> None:
    status, text, notes = on_terminal(*VENUEWISE, "inspect", "none.csv", cwd=folder)
    assert (status, text) == (2, "")
    assert len(notes.splitlines()) == 1


def test_a_closed_stdout_is_no_terminal(folder: Path) -> None:
    command = ("sh", "-c", f"{sys.executable} -m venuewise allocate book.json >&-")
    assert on_terminal(*command, cwd=folder) == (0, "", "")


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_make_demo_shows_the_summary_on_a_terminal_and_only_json_in_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # of the make that runs the tests
        monkeypatch.delenv(name, raising=False)
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "venuewise"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m venuewise "$@"\n')
    command.chmod(0o755)
    make = ("make", "--old-file=setup", "BIN=bin", "demo")
    status, text, _ = on_terminal(*make, cwd=tmp_path)
    assert status == 0
    assert text.startswith("AAPL: buy 5,000 shares")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    piped = subprocess.run(make, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert piped.stdout == (tmp_path / "output.json").read_bytes()


def test_help_loads_nothing_that_summaries_are_drawn_with() -> None:
    code = "import sys, venuewise.cli; print([name for name in sys.modules if name.startswith('rich')])"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"
