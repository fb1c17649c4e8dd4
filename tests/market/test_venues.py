"""Venues, publisher ids and fees."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from databento.common.publishers import Publisher
from hypothesis import given
from hypothesis import strategies as st

from venuewise import cli
from venuewise.errors import ConfigError, DataError
from venuewise.market.venues import DEFAULT_MAKER_REBATE, DEFAULT_TAKER_FEE, fees, load_venues

NEW = '[[venue]]\nname = "DARK"\npublisher_ids = [900]\ntaker_fee = 0.001\nmaker_rebate = 0\n'


def write(directory: Path, text: str) -> Path:
    path = directory / "fees.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_packaged_ids_are_exactly_those_that_databento_gives_each_market() -> None:
    known: dict[str, set[int]] = {}
    for publisher in Publisher:
        known.setdefault(publisher.venue.value, set()).add(publisher.to_int())
    table = load_venues()
    assert len(table.venues) == 16
    for venue in table.venues:
        assert set(venue.publisher_ids) == known[venue.mic], venue.name


def test_classic_feed_ids_resolve_to_their_markets() -> None:
    expected = {
        2: "XNAS", 3: "XBOS", 4: "XPSX", 5: "BATS", 6: "BATY", 7: "EDGA", 8: "EDGX", 9: "XNYS", 10: "XCIS",
        11: "XASE", 12: "XCHI", 15: "MEMX", 16: "EPRL", 38: "IEXG", 43: "ARCX",
    }  # fmt: skip
    assert [venue.mic for venue in load_venues().resolve(expected)] == list(expected.values())


def test_every_packaged_fee_names_its_source_and_stays_under_the_access_fee_cap() -> None:
    for venue in load_venues().venues:
        assert venue.source
        assert venue.taker_fee <= 3_000_000  # Rule 610(c) of Regulation NMS: 0.0030 a share
        assert venue.taker_fee >= venue.maker_rebate  # no exchange pays out more than it takes


def test_unknown_publisher_becomes_a_venue_named_by_its_number_that_says_so() -> None:
    (venue,) = load_venues().resolve([60_000])
    assert venue.name == "60000"
    assert (venue.taker_fee, venue.maker_rebate) == (DEFAULT_TAKER_FEE, DEFAULT_MAKER_REBATE)
    assert venue.source.startswith("unknown publisher id")


def test_resolve_keeps_order_and_repeats() -> None:
    assert [venue.name for venue in load_venues().resolve((8, 2, 8))] == ["EDGX", "NASDAQ", "EDGX"]


def test_fees_are_integers_of_a_billionth_of_a_dollar() -> None:
    taker, rebate = fees(load_venues().resolve([16, 3]))
    assert taker.dtype == rebate.dtype == np.int64
    assert taker.tolist() == [2_850_000, 700_000]
    assert rebate.tolist() == [2_000_000, -3_000_000]


def test_venues_are_found_by_name_or_market_code_in_any_case() -> None:
    table = load_venues()
    assert table.by_name("byx") is table.by_name("BATY") is table.by_name(" BYX ")


def test_unknown_name_lists_the_near_ones() -> None:
    with pytest.raises(ConfigError, match="found 'NASDAK'; expected a known name: perhaps NASDAQ"):
        load_venues().by_name("NASDAK")
    with pytest.raises(ConfigError, match="one of NASDAQ, BX"):
        load_venues().by_name("Q")


def test_override_replaces_what_it_states_and_keeps_the_rest(tmp_path: Path) -> None:
    table = load_venues(write(tmp_path, '[[venue]]\nname = "nasdaq"\ntaker_fee = 0.0029\n'))
    before, after = load_venues().by_name("NASDAQ"), table.by_name("NASDAQ")
    assert after.taker_fee == 2_900_000
    assert (after.mic, after.publisher_ids, after.maker_rebate) == (
        before.mic, before.publisher_ids, before.maker_rebate,
    )  # fmt: skip
    assert "fees.toml" in after.source
    assert len(table.venues) == len(load_venues().venues)


def test_override_adds_a_venue(tmp_path: Path) -> None:
    venue = load_venues(write(tmp_path, NEW)).resolve([900])[0]
    assert (venue.name, venue.mic, venue.taker_fee, venue.maker_rebate) == ("DARK", "XXXX", 1_000_000, 0)


def test_a_publisher_id_can_move_when_both_venues_are_stated(tmp_path: Path) -> None:
    text = NEW.replace("[900]", "[6]") + '[[venue]]\nname = "BYX"\npublisher_ids = [71]\n'
    with pytest.raises(DataError, match="publisher id 71 at BZX and at BYX"):
        load_venues(write(tmp_path, text))
    table = load_venues(write(tmp_path, text.replace("[71]", "[72]")))
    assert [venue.name for venue in table.resolve([6, 72])] == ["DARK", "BYX"]


@given(st.integers(-999_999_999, 999_999_999))
def test_any_fee_is_read_to_the_last_billionth(tmp_path_factory: pytest.TempPathFactory, nanos: int) -> None:
    text = format(Decimal(nanos).scaleb(-9), "f")
    path = tmp_path_factory.mktemp("fees") / "fees.toml"
    path.write_text(NEW.replace("0.001", text if "." in text else f"{text}.0"), encoding="utf-8")
    venue = load_venues(path).by_name("DARK")
    assert venue.taker_fee == nanos
    assert venue.taker_fee_dollars == float(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("venue = [", "bad TOML"),
        ("", "no \\[\\[venue\\]\\] table"),
        ("venue = 3", "no \\[\\[venue\\]\\] table"),
        ("venue = [3]", "venue 1: found 3"),
        ("other = 1\n" + NEW, "key 'other'"),
        (NEW + "colour = 3\n", "venue 1: found key 'colour'; expected one of name, mic"),
        (NEW + NEW, "venue 'DARK' twice"),
        (NEW.replace("[900]", "[2]"), "publisher id 2 at NASDAQ and at DARK"),
        (NEW.replace("[900]", "[900, 900]"), "a publisher id twice"),
        (NEW.replace("[900]", "[]"), "a list of publisher ids"),
        (NEW.replace("[900]", "900"), "a list of publisher ids"),
        (NEW.replace("[900]", "[1.5]"), "found 1.5; expected whole numbers"),
        (NEW.replace("[900]", "[true]"), "found True"),
        (NEW.replace("[900]", "[0]"), "found 0; expected whole numbers from 1"),
        (NEW.replace("0.001", '"cheap"'), "venue DARK, taker_fee: found 'cheap'; expected a number"),
        (NEW.replace("0.001", "inf"), "found Infinity; expected dollars per share"),
        (NEW.replace("0.001", "nan"), "found NaN"),
        (NEW.replace("0.001", "30"), "found 30; expected dollars per share, between -1 and 1"),
        (NEW.replace("0.001", "0.00000000005"), "whole multiples"),
        (NEW.replace("0.001", "0.0010000000000000000000000000000000001"), "whole multiples"),
        (NEW.replace("0.001", "1e-999999999999"), "whole multiples|bad TOML"),
        (NEW.replace("0.001", "true"), "found True; expected a number"),
        (NEW.replace("0.001", "9" * 5000), "bad TOML"),
        (NEW.replace('"DARK"', '""'), "printable characters"),
        (NEW.replace('"DARK"', "7"), "found 7; expected 1 to 40"),
        (NEW.replace('name = "DARK"\n', ""), "venue 1, name: found nothing"),
        (NEW.replace("publisher_ids = [900]\n", ""), "venue DARK: found no publisher_ids"),
        (NEW.replace("taker_fee = 0.001\n", ""), "found no taker_fee"),
        (NEW + "mic = 3\n", "venue DARK, mic: found 3"),
        (NEW + "source = 3\n", "venue DARK, source: found 3; expected text"),
    ],
)
def test_bad_fee_files_get_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_venues(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "fees.toml" in str(caught.value)


def test_unreadable_fee_files_get_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_venues(tmp_path / "none.toml")
    with pytest.raises(DataError, match="directory"):
        load_venues(tmp_path)
    (tmp_path / "junk.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        load_venues(tmp_path / "junk.toml")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["venuewise", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_command_prints_the_table_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "venues", "--fees", str(write(tmp_path, NEW))) == 0
    printed = json.loads(capsys.readouterr().out)["venues"]
    assert {venue["name"]: venue["taker_fee"] for venue in printed}["DARK"] == 0.001
    assert len(printed) == len(load_venues().venues) + 1


def test_command_refuses_a_bad_file_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "venues", "--fees", str(tmp_path / "none.toml")) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "no such file" in err
