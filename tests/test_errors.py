"""The user's errors have one form: what or where, what was found, what was expected."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from venuewise.cli import main

SOURCE = Path(__file__).parents[1] / "src" / "venuewise"
FILES = sorted(SOURCE.rglob("*.py"))


def messages(file: Path) -> list[tuple[int, str]]:
    """Texts that a `ConfigError` of this file is raised with; what is not written there is left out."""
    raised = (
        node.exc
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    )
    return [
        (call.lineno, ast.unparse(call.args[0]))
        for call in raised
        if ast.unparse(call.func) in ("ConfigError", "NoQuotesError")
        and isinstance(call.args[0], ast.JoinedStr | ast.Constant)
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_what_was_found_stands_before_what_was_expected(file: Path) -> None:
    for line, text in messages(file):
        if "{error}" in text or "_complaint" in text or "_EXPECTED" in text:
            continue  # has this form from where it comes from
        found, expected = text.find("found"), text.find("expected")
        assert 0 <= found < expected, f"{file.name}, line {line}: {text}"


def test_a_message_is_one_line_of_sensible_length_whatever_it_quotes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["venuewise", "generate", "day.csv", "--duration", "x\n" * 5000])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert said.count("\n") == 1
    assert len(said) < 700
    assert said.endswith("expected one such as 90s, 10m or 1h30m, or a number of seconds\n")
