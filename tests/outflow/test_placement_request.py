"""`venuewise place`: JSON in, decision out; what is wrong with a request is told in one line."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import venuewise as vw
from venuewise.cli import main
from venuewise.errors import ConfigError
from venuewise.outflow.placement_request import decide_placement, decode_placement

COSTS: dict[str, Any] = {
    "half_spread": 0.02,
    "taker_fee": 0.003,
    "theta": 0.0005,
    "lambda_under": 0.05,
    "lambda_over": 0.05,
}
POISSON = {"family": "poisson", "mean": 2200}


def venue(**fields: Any) -> dict[str, Any]:
    return {"venue": "NASDAQ", "queue": 2000, "rebate": 0.002, **fields}


def decide(request: dict[str, Any]) -> dict[str, Any]:
    return decide_placement(decode_placement(json.dumps(request).encode()))


def test_joint_samples_give_the_decision_of_place() -> None:
    outflow = np.random.default_rng(1).poisson(2200, (60, 2))
    decision = decide(
        {
            "order_size": 1000, **COSTS, "symbol": "AAPL", "outflow": outflow.tolist(),
            "venues": [venue(), venue(venue=5, rebate=0.001, adverse_selection=0.0005, cap=150)],
        }
    )  # fmt: skip
    placed = vw.place(
        1000, **COSTS, rebate=[0.002, 0.001], queue=[2000, 2000], outflow=outflow,
        adverse_selection=[0.0, 0.0005], cap=[1000, 150],
    )  # fmt: skip
    assert decision["market"] == placed.market
    assert decision["limit"] == list(placed.limit)
    assert decision["certificate"]["cost"] == placed.cost
    assert decision["certificate"]["lower_bound"] == placed.lower_bound
    assert decision["certificate"]["within_gap"]
    assert [entry["venue"] for entry in decision["venues"]] == ["NASDAQ", 5]
    assert decision["symbol"] == "AAPL"


def test_samples_by_venue_are_rows_taken_together() -> None:
    outflow = np.random.default_rng(1).poisson(2200, (40, 2))
    request = {"order_size": 1000, **COSTS}
    together = decide({**request, "venues": [venue(), venue()], "outflow": outflow.tolist()})
    by_venue = decide({**request, "venues": [venue(outflow=outflow[:, k].tolist()) for k in (0, 1)]})
    assert by_venue == together


@pytest.mark.parametrize(
    "distribution",
    [POISSON, {"family": "exponential", "mean": 2500}, {"family": "gamma", "mean": 2300, "shape": 40}],
)
def test_distributions_can_be_given(distribution: dict[str, Any]) -> None:
    request = {"order_size": 800, **COSTS, "venues": [venue(outflow=distribution)]}
    sampled = decide({**request, "samples": 4000})
    closed = decide({**request, "method": "closed_form"})
    assert sampled["certificate"]["cost"] == pytest.approx(closed["certificate"]["cost"], rel=0.05)
    assert closed["algorithm"] == "placement:closed_form"


def test_market_data_supply_outflow_queue_spread_and_fees(tmp_path: Path) -> None:
    events = vw.generate(venues=[2, 6], duration="60s", seed=9)
    file = tmp_path / "day.csv"
    events.to_csv(file)
    request: dict[str, Any] = {
        "order_size": 500, "lambda_under": 0.05, "lambda_over": 0.05,
        "outflow": {"file": str(file), "horizon": "2s", "lookback": "40s"},
    }  # fmt: skip
    decision = decide(request)
    at = int(events.ts[-1])
    known = vw.estimate_outflow(events, horizon="2s").known_at(at, lookback="40s")
    assert [entry["venue"] for entry in decision["venues"]] == ["NASDAQ", "BYX"]
    assert [entry["queue"] for entry in decision["venues"]] == vw.queues_at(events, at).tolist()
    assert decision["estimate"]["windows"] == len(known)
    assert decision["estimate"]["mean_executed"] == known.executed.mean(axis=0).tolist()
    assert decision["estimate"]["synthetic"]
    assert 0.0 < decision["estimate"]["half_spread"] < 0.05
    assert decision["certificate"]["within_gap"]
    # What the request gives goes before what the data show; venues go by name or publisher id.
    chosen = decide({**request, "half_spread": 0.01, "venues": [{"venue": 6, "queue": 40, "rebate": 0.001}]})
    assert chosen["estimate"]["half_spread"] == 0.01
    assert chosen["estimate"]["rebate"] == [0.001]
    assert [(entry["venue"], entry["queue"]) for entry in chosen["venues"]] == [("BYX", 40)]
    estimate = {**request["outflow"], "time_of_day": "15s"}
    assert 2 <= decide({**request, "outflow": estimate})["estimate"]["windows"] < len(known)
    lost = vw.adverse_selection(events, delay="500ms").tolist()
    estimate = {**request["outflow"], "adverse_after": "500ms"}
    measured = decide({**request, "outflow": estimate})
    assert decision["estimate"]["adverse_selection"] == [0.0, 0.0]
    assert measured["estimate"]["adverse_selection"] == lost
    told = [{"venue": 2}, {"venue": 6, "adverse_selection": 0.01}]
    partly = decide({**request, "outflow": estimate, "venues": told})
    assert partly["estimate"]["adverse_selection"] == [lost[0], 0.01]
    sold = decide({**request, "side": "sell"})
    assert [entry["queue"] for entry in sold["venues"]] == vw.queues_at(events, at, side="sell").tolist()


def test_the_requests_that_the_documentation_shows_are_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "model.md").read_text()
    given, estimated = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    decision = decide(json.loads(given))
    assert [entry["venue"] for entry in decision["venues"]] == ["XNAS", "BATS"]
    monkeypatch.chdir(tmp_path)
    vw.generate(venues=2, duration="60s", seed=3).to_csv("day.csv")
    decision = decide(json.loads(estimated))
    assert decision["estimate"]["windows"] >= 2
    assert decision["certificate"]["within_gap"]


def refused(**change: Any) -> dict[str, Any]:
    return {"order_size": 1000, **COSTS, "venues": [venue(outflow=POISSON)], **change}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"order_size": 1}, "request: found no lambda_under; expected one"),
        (refused(order_size="many"), "request: $.order_size: found str; expected float"),
        (refused(venue=1), "request: found a field venue; expected none of that name"),
        (refused(venues=[]), "request: $.venues: found none; expected at least one venue"),
        (
            refused(venues=[venue(outflow=[1, "z"])]),
            "request: $.venues[0].outflow[1]: found str; expected float",
        ),
        (
            refused(venues=[venue()]),
            "request: $.venues[0].outflow: found none; expected numbers or a distribution",
        ),
        (
            refused(venues=[{"venue": 2, "outflow": POISSON}]),
            "request: $.venues[0].queue: found none; expected a number (only market data can supply it)",
        ),
        (
            refused(half_spread=None),
            "request: $.half_spread: found none; expected a number (only market data can supply it)",
        ),
        (
            refused(outflow=[[1.0]]),
            "request: $.outflow: found here and at the venues; expected at one of the two",
        ),
        (
            refused(venues=[venue()], outflow=[[1.0, 2.0]]),
            "request: $.outflow: found rows of 2 numbers; expected 1, one for each venue",
        ),
        (
            refused(venues=[venue()], outflow=[]),
            "request: $.outflow: found rows of no numbers; expected 1, one for each venue",
        ),
        (
            refused(venues=[venue(outflow=[1.0]), venue(outflow=[1.0, 2.0])]),
            "request: $.venues[*].outflow: found samples of different lengths; expected as many at each venue",
        ),
        (
            refused(venues=[venue(outflow=[1.0]), venue(outflow=POISSON)]),
            "request: $.venues[*].outflow: found both numbers and distributions; expected one kind at all venues",
        ),
        (
            refused(venues=[venue(outflow={"family": "poisson", "mean": -1})]),
            "request: $.venues[0].outflow.mean: found -1.0; expected a number from 1e-09 to 1e+15",
        ),
        (
            refused(venues=[venue(outflow={"family": "gamma", "mean": 1})]),
            "request: $.venues[0].outflow.shape: found none; expected a number from 1e-09 to 1e+15",
        ),
        (
            refused(venues=[venue(outflow={**POISSON, "shape": 2})]),
            "request: $.venues[0].outflow.shape: found 2.0; expected none, only a gamma distribution has one",
        ),
        (
            refused(venues=[venue(outflow={"family": "poisson", "mean": 1e19})]),
            "request: $.venues[0].outflow.mean: found 1e+19; expected a number from 1e-09 to 1e+15",
        ),
        (
            refused(method="closed_form", order_size=1e14, venues=[venue(outflow={**POISSON, "mean": 1e14})]),
            "expected at most 10,000,000 for closed_form",
        ),
        (refused(order_size=2**70), "order: found"),
        (
            refused(method="magic"),
            "request: $.method: found 'magic'; expected sample_average or closed_form or robbins_monro",
        ),
        (refused(side="short"), "request: $.side: found 'short'; expected buy or sell"),
        (
            refused(venues=[venue(outflow={"family": "cauchy", "mean": 1})]),
            "request: $.venues[0].outflow.family: found 'cauchy'; expected poisson or exponential or gamma",
        ),
        (refused(seed=-1), "seed: found -1; expected a whole number from 0 to 9,223,372,036,854,775,807"),
        (
            refused(venues=[venue(outflow=[-1.0])]),
            "outflow: found a negative number or NaN; expected numbers of at least 0",
        ),
        (refused(lambda_under=-1), "lambda_under: found -1.0; expected a number from 0 to 1e+15"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        decide(request_)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"venues": [{"venue": "IEX"}]},
            "request: $.venues[0].venue: found 'IEX'; expected one of NASDAQ, each once",
        ),
        (
            {"venues": [{"venue": 2}, {"venue": "nasdaq"}]},
            "request: $.venues[1].venue: found 'nasdaq'; expected one of NASDAQ, each once",
        ),
        (
            {"venues": [{"venue": 2, "outflow": [1.0]}]},
            "request: $.venues[0].outflow: found one; expected none, it is estimated from the data",
        ),
        (
            {"outflow": {"horizon": "10m"}},
            "request: $.outflow: found 0 windows of 10m with quotes at all venues; expected 2 or more: a longer",
        ),
        (
            {"outflow": {"adverse_after": "1h"}},
            "request: venue NASDAQ: found no trade that shows its adverse selection; expected it to be given, or",
        ),
    ],
)
def test_market_data_that_do_not_match_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    file = tmp_path / "day.csv"
    vw.generate(venues=[2], duration="5s", seed=9).to_csv(file)
    outflow = {"file": str(file), "horizon": "1s", **change.pop("outflow", {})}
    with pytest.raises(ConfigError) as raised:
        decide({"order_size": 500, "lambda_under": 0.05, "lambda_over": 0.05, "outflow": outflow, **change})
    assert message in str(raised.value)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: bytes = b"") -> int:
    monkeypatch.setattr(sys, "argv", ["venuewise", *arguments])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_prints_the_decision_from_a_file_or_stdin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = json.dumps(refused()).encode()
    file = tmp_path / "request.json"
    file.write_bytes(text)
    assert run(monkeypatch, "place", str(file)) == 0
    from_file = capsys.readouterr()
    for arguments in (("place",), ("place", "-")):
        assert run(monkeypatch, *arguments, stdin=text) == 0
        assert capsys.readouterr().out == from_file.out
    assert from_file.err == ""
    assert json.loads(from_file.out)["market"] == pytest.approx(786, abs=6)


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("place",), b"", "request: found nothing; expected one JSON object, whole"),
        (
            ("place",),
            b"\xff\x00",
            "request: found no JSON (invalid character (byte 0)); expected one JSON object",
        ),
        (("place",), b"[]", "request: found array; expected object"),
        (
            ("place", "no-such-file.json"),
            b"",
            "no-such-file.json: found no such file; expected a JSON file",
        ),
        (
            ("place",),
            b'{"order_size":1,"lambda_under":1,"lambda_over":1,"outflow":{"file":"no-such-file.csv"}}',
            "no-such-file.csv: found no such file",
        ),
        (
            ("place",),
            b'{"order_size":1,"lambda_under":1,"lambda_over":1,"outflow":{"file":"a\\u0000b"}}',
            "a\\0b: found a name that no file can have",
        ),
        (("place", "."), b"", ".: found a directory; expected a JSON file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    stdin: bytes,
    message: str,
) -> None:
    assert run(monkeypatch, *arguments, stdin=stdin) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"venuewise: {message}")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("order_size", [0.1, 1, 1000])
@pytest.mark.parametrize("method", ["sample_average", "robbins_monro"])
def test_what_is_nothing_is_printed_as_nothing(order_size: float, method: str) -> None:
    venues = [venue(queue=queue, outflow=POISSON) for queue in (2000, 1800)]
    for taker_fee in (0.003, 0.1):
        request = refused(venues=venues, taker_fee=taker_fee, method=method, order_size=order_size)
        decision = decide({**request, "samples": 50, "seed": 1})
        for shares in (decision["market"], *decision["limit"], decision["overbooking"]):
            assert shares == 0.0 or shares > 1e-12 * order_size


def two_days(path: Path, symbols: list[str], venues: int = 2) -> list[str]:
    """Write two days of a minute each, a day apart; the second has half-spread and prices of its own."""
    files = []
    for day in (21, 22):
        made = vw.generate(
            venues=venues, symbols=symbols, duration="60s", seed=day, start=f"2024-10-{day}T14:00:00Z"
        )
        made.to_csv(path / f"{day}.csv")
        files.append(str(path / f"{day}.csv"))
    return files


def test_over_several_days_all_windows_lie_in_one(tmp_path: Path) -> None:
    files = two_days(tmp_path, ["AAPL"])
    request = {
        "order_size": 500, "lambda_under": 0.05, "lambda_over": 0.05, "symbol": "AAPL",
        "outflow": {"file": files, "horizon": "2s"},
    }  # fmt: skip
    decision = decide(request)
    alone = [decide({**request, "outflow": {"file": file, "horizon": "2s"}})["estimate"] for file in files]
    assert decision["estimate"]["windows"] == sum(day["windows"] for day in alone) > 40
    last = decide({**request, "outflow": {"file": files[1], "horizon": "2s"}})
    assert [v["venue"] for v in decision["venues"]] == [v["venue"] for v in last["venues"]]
    assert decision["estimate"]["half_spread"] == last["estimate"]["half_spread"]


def test_one_symbol_of_a_file_of_several_is_placed(tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    vw.generate(venues=2, symbols=["AAA", "BBB"], duration="30s", seed=3).to_csv(file)
    vw.read(file, symbols="BBB").to_csv(tmp_path / "alone.csv")
    request = {"order_size": 500, "lambda_under": 0.05, "lambda_over": 0.05, "symbol": "BBB"}
    alone = decide({**request, "outflow": {"file": str(tmp_path / "alone.csv"), "horizon": "2s"}})
    for about in ({"symbol": "BBB"}, {}):
        found = decide({**request, "outflow": {"file": str(file), "horizon": "2s", **about}})
        for decision in (found, alone):
            decision["estimate"]["file"] = []
        assert found == alone
    with pytest.raises(ConfigError, match="expected a choice of one"):
        decide({**request, "symbol": None, "outflow": {"file": str(file), "horizon": "2s"}})
