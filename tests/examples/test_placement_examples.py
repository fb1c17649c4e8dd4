"""The examples run and draw what they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples import outflow, sensitivity

PAGE = Path(__file__).parents[2] / "docs" / "model.md"
PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def studies() -> dict[str, sensitivity.Study]:
    return {study.axis.split(",")[0]: study for study in sensitivity.studies(samples=300, points=5)}


def test_dearer_shortfalls_move_shares_to_the_market(studies: dict[str, sensitivity.Study]) -> None:
    assert np.all(np.diff(studies["lambda_u"].market()) > 0.0)
    assert np.all(np.diff(studies["lambda_u"].limit(0)) < 0.0)


def test_a_longer_queue_and_a_lower_rebate_draw_fewer_shares(studies: dict[str, sensitivity.Study]) -> None:
    assert np.all(np.diff(studies["queue at venue 1"].limit(0)) <= 0.1)
    assert studies["queue at venue 1"].limit(0)[-1] == pytest.approx(0.0, abs=0.1)
    assert np.all(np.diff(studies["rebate at venue 1"].limit(0)) >= -0.1)


def test_large_orders_go_to_the_market(studies: dict[str, sensitivity.Study]) -> None:
    assert np.all(np.diff(studies["order S"].market()) > 0.0)


def test_overbooking_fades_as_outflows_move_together() -> None:
    booked = sensitivity.overbooking_by_weight(samples=300, points=3)
    for venues in (2, 4):
        penalised = booked[f"K = {venues}, penalise"].overbooking()
        cancelled = booked[f"K = {venues}, cancel"].overbooking()
        assert penalised[0] > 30.0
        assert penalised[-1] == pytest.approx(0.0, abs=0.5)
        assert np.all(np.array(cancelled) >= np.array(penalised) - 0.5)


def test_the_sensitivity_page_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "page.png"
    sensitivity.main([str(file), "--quick"])
    assert file.read_bytes().startswith(PNG)
    assert "largest gap" in capsys.readouterr().out


def test_the_outflow_page_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "outflow.png"
    outflow.main([f"--out={file}", "--quick"])
    assert file.read_bytes().startswith(PNG)
    said = capsys.readouterr().out
    assert "NASDAQ: " in said
    assert said.count("gamma") == 2


def test_the_documentation_shows_the_overbooking_that_is_printed() -> None:
    text = PAGE.read_text()
    lines = sensitivity.overbooking_lines(sensitivity.overbooking_by_weight())
    assert len(lines) == 4
    for line in lines:
        assert line.strip() in text


def test_the_documentation_shows_what_the_real_day_gives(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outflow.main([str(real_data / "aapl_xnas_20241021_mbp10.csv"), f"--out={tmp_path / 'outflow.png'}"])
    printed = capsys.readouterr().out.splitlines()[:-1]
    assert len(printed) == 7
    text = PAGE.read_text()
    for line in printed:
        assert line in text
