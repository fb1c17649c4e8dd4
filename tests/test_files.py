"""Files are read with one line for what is wrong, and written whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import SOURCE
from venuewise.errors import ConfigError, DataError
from venuewise.files import read_bytes, read_text_file, whole_file, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert write_whole({folder / "a": b"{}", folder / "b": b"1"}) == (folder / "a", folder / "b")
    assert names(folder) == ["a", "b"]
    assert (folder / "a").read_bytes() == b"{}"
    with pytest.raises(ConfigError, match=r"a/file\.json: found .*; expected a file that can be written"):
        write_whole({folder / "a" / "file.json": b"{}"})
    (folder / "directory").mkdir()
    with pytest.raises(ConfigError, match="directory: found a directory; expected"):
        write_whole({folder / "c": b"2", folder / "directory": b"3"})
    assert names(folder) == ["a", "b", "directory"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, BrokenPipeError])
def test_a_block_that_ends_early_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a").write_text("yesterday")

    def write_half() -> None:
        with whole_file(tmp_path / "a") as file:
            file.write(b"half")
            file.flush()
            raise error

    with pytest.raises(error):
        write_half()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "yesterday"


def test_a_name_as_long_as_a_name_may_be_is_written(tmp_path: Path) -> None:
    write_whole({tmp_path / ("a" * 255): b"1"})
    assert names(tmp_path) == ["a" * 255]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    write_whole({tmp_path / "link": b"1"})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"1"


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a" * 256, "pipe"])
def test_places_that_cannot_hold_a_file_are_told_in_one_line(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r": found .*; expected a file that can be written"):
        write_whole({tmp_path / name: b"1"})
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("none", "no such file"),
        (".", "a directory"),
        ("loop", "a file that cannot be read"),
        ("a\0b", "a name that no file can have"),
        ("\ud800", "a name that no file can have"),
        ("a" * 256, "a file that cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match=rf": found {found}.*; expected a list$") as error:
        read_bytes(tmp_path / name, "a list")
    assert str(error.value).isprintable()


def test_bytes_that_are_no_text_are_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc\xff")
    with pytest.raises(DataError, match="a: found byte 0xff, which is not UTF-8 text; expected a list"):
        read_text_file(tmp_path / "a", "a list")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_a_file_is_written_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ["generate", "new/day.csv", "--duration", "60m", "--rate", "2000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "venuewise", *arguments],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("new/.*")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert (out, err) == (b"", b"")
    assert names(tmp_path / "new") == []
