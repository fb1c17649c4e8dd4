"""`venuewise warm`: what it runs covers what users run first."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import SOURCE, call
from venuewise.cli.warm import LIVE_USES, USES

README = (Path(__file__).parents[1] / "README.md").read_text()

FIRST_USES = """
import contextlib, os, sys
from pathlib import Path
from numba.core import event
from venuewise.cli import app
from venuewise.cli.warm import LIVE_USES, USES, run

compiled = []

class Listener(event.Listener):
    def on_start(self, it):
        compiled.append(str(it.data["dispatcher"]))
    def on_end(self, it):
        pass

def command(*arguments):
    app(list(arguments), standalone_mode=False)

if __name__ == "__main__":
    for use in (*USES, *LIVE_USES):
        run(use)
    event.register("numba:compile", Listener())
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        command("generate", "day.csv", "--duration", "30s", "--venues", "4", "--symbols", "AAPL")
        command("inspect", "day.csv")
        command("backtest", "day.csv", "--order-size", "1000", "--side", "sell")
        command("route", "--from", "day.csv", "--out", "decisions.jsonl", "--algorithm", "vwap")
        for block in Path("blocks").read_text().split("#####"):
            exec(block, {})
    print(sorted(set(compiled)), file=sys.stderr)
    sys.exit(bool(compiled))
"""


def test_first_uses_compile_nothing_after_it(tmp_path: Path) -> None:
    pytest.importorskip("confluent_kafka", reason="needs the kafka extra: pip install venuewise[kafka]")
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 2
    (tmp_path / "blocks").write_text("#####".join(blocks))
    (tmp_path / "uses.py").write_text(FIRST_USES)
    done = subprocess.run(
        [sys.executable, "uses.py"], cwd=tmp_path, env={"PYTHONPATH": str(SOURCE), "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_it_runs_every_use_in_processes_of_its_own(tmp_path: Path) -> None:
    done = call("warm", "--jobs", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    uses = [*USES, *LIVE_USES]
    assert json.loads(done.stdout)["compiled"] == uses
    assert len(done.stderr.splitlines()) == len(uses)
    assert not list(tmp_path.iterdir())
