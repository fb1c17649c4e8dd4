"""Files in the MBP-10 layout: exact, whole, the same bytes each time."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import zstandard

from venuewise.data.events import UNDEFINED_PRICE, Events
from venuewise.errors import ConfigError
from venuewise.synthetic.generate import generate


@pytest.fixture(scope="module")
def events() -> Events:
    return generate(venues=3, symbols=("AAPL", "BRK.B"), duration="3s", seed=12)


def as_strings(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)


def units(texts: pl.Series) -> list[int]:
    return [UNDEFINED_PRICE if text is None else int(Decimal(text).scaleb(9)) for text in texts]


def nanoseconds(text: str) -> int:
    assert len(text) == len("2024-10-21T14:00:00.000000000Z")
    assert text.endswith("Z")
    return int(datetime.fromisoformat(text[:19] + "+00:00").timestamp()) * 10**9 + int(text[20:29])


def test_columns_stand_as_in_the_real_feed_with_synthetic_last(
    events: Events, tmp_path: Path, real_data: Path
) -> None:
    events.to_csv(tmp_path / "day.csv")
    real = as_strings(real_data / "aapl_xnas_20241021_mbp10.csv").columns
    assert as_strings(tmp_path / "day.csv").columns == [*real, "synthetic"]


def test_every_value_is_written_exactly(events: Events, tmp_path: Path) -> None:
    events.to_csv(tmp_path / "day.csv")
    frame = as_strings(tmp_path / "day.csv")
    assert units(frame["price"]) == events.price.tolist()
    for level in range(10):
        for name in ("bid", "ask"):
            for kind in ("sz", "ct"):
                column = getattr(events, f"{name}_{kind}")[:, level]
                assert frame[f"{name}_{kind}_{level:02}"].cast(pl.Int64).to_list() == column.tolist()
            assert units(frame[f"{name}_px_{level:02}"]) == getattr(events, f"{name}_px")[:, level].tolist()
    for name in ("ts_event", "ts_recv"):
        assert [nanoseconds(text) for text in frame[name]] == getattr(events, name).tolist()
    for name in ("size", "depth", "sequence"):
        assert frame[name].cast(pl.Int64).to_list() == getattr(events, name).tolist()
    for name in ("action", "side"):
        assert frame[name].to_list() == [chr(code) for code in getattr(events, name)]
    assert frame["publisher_id"].to_list() == [str(events.publishers[v]) for v in events.venue]
    assert frame["symbol"].to_list() == [events.symbols[code] for code in events.symbol]
    assert frame["instrument_id"].to_list() == [str(code + 1) for code in events.symbol]
    assert frame["ts_in_delta"].cast(pl.Int64).to_list() == (events.ts_recv - events.ts_event).tolist()
    assert set(frame["rtype"]) == {"10"}
    assert set(frame["synthetic"]) == {"true"}


def test_flags_mark_the_last_row_of_each_event(events: Events, tmp_path: Path) -> None:
    events.to_csv(tmp_path / "day.csv")
    frame = as_strings(tmp_path / "day.csv")
    assert set(frame["flags"]) == {"0", "130"}
    assert set(frame.filter(pl.col("action") == "T")["flags"]) == {"0"}
    assert set(frame.filter(pl.col("action") == "A")["flags"]) == {"130"}


def test_compressed_files_hold_the_same_text(events: Events, tmp_path: Path) -> None:
    for ending in ("csv", "csv.gz", "csv.zst", "CSV.GZ"):
        events.to_csv(str(tmp_path / f"day.{ending}"))
    text = (tmp_path / "day.csv").read_bytes()
    assert gzip.decompress((tmp_path / "day.csv.gz").read_bytes()) == text
    assert gzip.decompress((tmp_path / "day.CSV.GZ").read_bytes()) == text
    with (
        (tmp_path / "day.csv.zst").open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as reader,
    ):
        assert reader.read() == text


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "csv.zst", "parquet"])
def test_the_same_rows_give_the_same_bytes(events: Events, tmp_path: Path, ending: str) -> None:
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    events.to_csv(first)
    events.to_csv(second)
    assert first.read_bytes() == second.read_bytes()


def test_slices_do_not_show(events: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events.to_csv(tmp_path / "whole.csv")
    monkeypatch.setattr("venuewise.data.write._ROWS_A_SLICE", 100)
    events.to_csv(tmp_path / "slices.csv")
    assert (tmp_path / "slices.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_parquet_holds_exact_integers(events: Events, tmp_path: Path) -> None:
    events.to_csv(tmp_path / "day.parquet")
    frame = pl.read_parquet(tmp_path / "day.parquet")
    assert (frame["ts_event"].to_numpy() == events.ts_event).all()
    assert (frame["ask_px_09"].to_numpy() == events.ask_px[:, 9]).all()
    assert frame["synthetic"].all()


def test_missing_prices_are_left_empty(events: Events, tmp_path: Path) -> None:
    rows = events.take(slice(0, 3))
    ask_px = rows.ask_px.copy()
    ask_px[1, 9] = UNDEFINED_PRICE
    ask_px[:, 8] = UNDEFINED_PRICE
    replace(rows, ask_px=ask_px).to_csv(tmp_path / "day.csv")
    frame = as_strings(tmp_path / "day.csv")
    assert frame["ask_px_09"].is_null().to_list() == [False, True, False]
    assert frame["ask_px_08"].null_count() == 3
    replace(rows, ask_px=ask_px).to_csv(tmp_path / "day.parquet")
    assert pl.read_parquet(tmp_path / "day.parquet")["ask_px_09"].null_count() == 1


@pytest.mark.parametrize("price", [1, 100, 999_999_999_999_999, 10**15, 1_234_567_890_123_456_789, -5])
def test_prices_of_any_size_are_written_to_the_last_billionth(
    events: Events, tmp_path: Path, price: int
) -> None:
    rows = replace(events.take(slice(0, 1)), price=np.array([price]))
    rows.to_csv(tmp_path / "day.csv")
    text = as_strings(tmp_path / "day.csv")["price"][0]
    assert "e" not in text.lower()
    assert Decimal(text).scaleb(9) == price


def test_data_that_is_real_has_no_synthetic_column(events: Events, tmp_path: Path) -> None:
    bare = replace(
        events,
        synthetic=False,
        bid_ct=np.empty((len(events), 0), np.int64),
        ask_ct=np.empty((len(events), 0), np.int64),
    )
    bare.to_csv(tmp_path / "day.csv")
    columns = as_strings(tmp_path / "day.csv").columns
    assert columns[-1] == "symbol"
    assert "bid_ct_00" not in columns


def test_no_rows_give_a_header(events: Events, tmp_path: Path) -> None:
    events.take(slice(0, 0)).to_csv(tmp_path / "day.csv")
    assert (tmp_path / "day.csv").read_text().count("\n") == 1


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_csv", fail)


@pytest.mark.usefixtures("full_disk")
def test_a_file_appears_whole_or_not_at_all(events: Events, tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("yesterday")
    with pytest.raises(ConfigError, match=r"day\.csv: found No space left on device; expected"):
        events.to_csv(tmp_path / "day.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["day.csv"]
    assert (tmp_path / "day.csv").read_text() == "yesterday"


@pytest.mark.parametrize("name", ["day", "day.txt", "day.csv.bz2", ".csv", "csv"])
def test_other_endings_are_refused(events: Events, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"found another ending; expected one of \.csv, \.csv\.gz"):
        events.to_csv(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_missing_folders_are_made(events: Events, tmp_path: Path) -> None:
    events.to_csv(tmp_path / "not" / "yet" / "day.csv")
    assert [path.name for path in (tmp_path / "not" / "yet").iterdir()] == ["day.csv"]


def test_the_last_row_of_an_event_is_flagged_wherever_a_slice_ends(events: Events) -> None:
    whole = events.to_frame()["flags"]
    assert 0 < (whole == 130).sum() < len(events)
    for end in range(1, 60):
        assert (events.to_frame(slice(0, end))["flags"] == whole[:end]).all()
