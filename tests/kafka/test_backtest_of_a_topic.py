"""A backtest reads a topic as it reads the file that was played onto it."""

from __future__ import annotations

from pathlib import Path

import pytest

import venuewise as vw
from tests.kafka.helpers import run
from venuewise.errors import ConfigError

OPTIONS = (
    "--order-size", 900, "--start", "every:4s", "--horizon", "3s", "--grid", "lambda_under=0.002:0.02:3",
)  # fmt: skip


def both(file: Path, topic: str, bootstrap: str, tmp_path: Path, *options: object) -> tuple[bytes, bytes]:
    produced = run("produce", file, "--topic", topic, "--speed", "max", "--partitions", 2,
                   "--kafka-bootstrap-servers", bootstrap)  # fmt: skip
    assert produced.returncode == 0, produced.stderr
    results = []
    for source, folder in ((file, "file"), (f"kafka://{topic}", "topic")):
        out = tmp_path / folder
        done = run("backtest", source, "--out", out, *options, KAFKA_BOOTSTRAP_SERVERS=bootstrap)
        assert done.returncode == 0, done.stderr
        assert (out / "output.json").read_text() == done.stdout
        results.append(done.stdout.encode())
    return results[0], results[1]


def test_the_result_is_the_same_to_the_byte(kafka_bootstrap: str, topic: str, tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    vw.generate(venues=4, symbols=["AAPL", "MSFT"], duration="30s", seed=4).to_csv(file)
    from_file, from_topic = both(file, topic, kafka_bootstrap, tmp_path, "--symbol", "MSFT", *OPTIONS)
    assert from_file == from_topic
    again = run("backtest", f"kafka://{topic}", "--out", tmp_path, "--symbol", "AAPL", "--window", "14:00:05-14:00:25",
                *OPTIONS, KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap)  # fmt: skip
    assert again.returncode == 0, again.stderr
    windowed = vw.backtest(
        file, symbol="AAPL", window="14:00:05-14:00:25", order_size=900, start="every:4s", horizon="3s",
        grid="lambda_under=0.002:0.02:3",
    )  # fmt: skip
    assert again.stdout == windowed.to_json() + "\n"


def test_the_real_day_gives_the_same_result(
    kafka_bootstrap: str, topic: str, tmp_path: Path, real_data: Path
) -> None:
    file = real_data / "aapl_xnas_20241021_mbp10.csv"
    from_file, from_topic = both(file, topic, kafka_bootstrap, tmp_path, "--venues", "levels")
    assert from_file == from_topic


def test_a_topic_is_read_alone_and_windows_must_hit_it(
    kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="found a topic among 2 sources"):
        vw.backtest([f"kafka://{topic}", "day.csv"])
    missing = run("backtest", f"kafka://{topic}", KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert f"topic {topic}: found none; expected it to be there" in missing.stderr
