"""What the documentation shows is what the code does: examples run, and print what stands below them."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import textwrap
from pathlib import Path

import pytest

import venuewise as vw
from venuewise.cli import main
from venuewise.cli.backtest_summary import backtest_summary
from venuewise.cli.backtests import demo_result
from venuewise.cli.terminal import drawn

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def examples(page: str) -> list[tuple[str, str | None]]:
    """Return the Python blocks of a page, each with the text block that follows it."""
    blocks = BLOCK.findall((ROOT / page).read_text())
    return [
        (code, blocks[i + 1][1] if i + 1 < len(blocks) and blocks[i + 1][0] == "text" else None)
        for i, (language, code) in enumerate(blocks)
        if language == "python" and not code.startswith(">>>")  # those are doctests, and run as such
    ]


@pytest.mark.parametrize("page", PAGES)
def test_examples_run_and_print_what_the_page_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start = "2024-08-01T13:40:00"
    vw.generate(venues=3, duration="10s", start=start, seed=1).to_csv("day.csv")
    for publisher, name in ((2, "xnas"), (5, "bats")):
        vw.generate(venues=[publisher], duration="2s", start=start, seed=publisher).to_csv(f"{name}.csv.zst")
    for code, expected in examples(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page, "exec"), {})
        if expected is not None:
            assert printed.getvalue() == expected


def shown(name: str) -> str:
    """Return what the README shows between two marks of this name."""
    text = (ROOT / "README.md").read_text()
    block = re.search(rf"<!-- {name}:begin -->\n```\w+\n(.*?)```\n<!-- {name}:end -->", text, re.DOTALL)
    assert block is not None
    return block.group(1)


def test_readme_shows_what_the_demo_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(demo_result(seed=7).to_json())
    assert json.loads(shown("demo")) == shorten(found)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    files = (Path("output.json"), Path("results.png"))
    assert shown("summary") == drawn(backtest_summary(found, files)).decode() + "\n"


DEMO_KEYS = ("best_parameters", "optimized", "baselines", "savings_vs_baselines_bps", "synthetic")
CLASSIC = ("total_cash", "avg_fill_px", "total_cost", "shares_filled", "total_fill")


def shorten(found: dict[str, object]) -> object:
    """Return the part of a result that the README shows: classic keys, floats with four decimals."""

    def rounded(value: object) -> object:
        if isinstance(value, dict):
            kept = {k: v for k, v in value.items() if "total_cash" not in value or k in CLASSIC}
            return {k: rounded(v) for k, v in kept.items()}
        return round(value, 4) if isinstance(value, float) else value

    return {key: rounded(found[key]) for key in DEMO_KEYS}


def test_the_page_of_the_data_shows_what_inspect_prints(
    real_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "data.md").read_text()
    shown = re.search(r"    \$ venuewise inspect --json (\S+)\n((?:    .*\n)+)", page)
    assert shown is not None
    monkeypatch.chdir(real_data)
    monkeypatch.setattr(sys, "argv", ["venuewise", "inspect", "--json", shown.group(1)])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out == textwrap.dedent(shown.group(2))


def test_the_version_is_the_same_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{vw.__version__}"' in project
    assert f"## {vw.__version__}" in (ROOT / "CHANGELOG.md").read_text()
