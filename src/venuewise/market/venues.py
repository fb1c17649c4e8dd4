"""Who trades, under which publisher ids, and what they charge.

The packaged table (`venues.toml`, dated and sourced) covers the US equity exchanges; a user's TOML file of
the same form overrides venues by name or adds new ones. Fees are read as exact decimals and held as integers
of 1e-9 dollars per share, so that accounting never rounds. See docs/venues.md.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, Inexact, localcontext
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np

from venuewise.data.events import PRICE_SCALE, Int64
from venuewise.errors import ConfigError, DataError
from venuewise.files import read_text_file, shown

DEFAULT_TAKER_FEE: Final = 3_000_000
"""Taker fee of a publisher that no table names: 0.0030 dollars per share."""
DEFAULT_MAKER_REBATE: Final = 2_000_000
"""Maker rebate of a publisher that no table names: 0.0020 dollars per share."""
NO_MIC: Final = "XXXX"
"""ISO 10383 code for "no market"."""

_KEYS: Final = ("name", "mic", "publisher_ids", "taker_fee", "maker_rebate", "source")
_MAX_PUBLISHER: Final = 65_535  # DBN holds publisher ids in 16 bits
_MAX_NAME: Final = 40
_UNIT: Final = Decimal("0.000000001")


@dataclass(frozen=True, slots=True)
class Venue:
    """A place to trade.

    Attributes
    ----------
    name : str
        Short name, unique in a table: "NASDAQ", "BYX".
    mic : str
        ISO 10383 market identifier; "XXXX" where there is none.
    publisher_ids : tuple of int
        Databento publisher ids of every dataset that carries the venue.
    taker_fee : int
        What a marketable order pays, in 1e-9 dollars per share; negative on an inverted venue, which pays it.
    maker_rebate : int
        What a resting order is paid when it fills, in 1e-9 dollars per share; negative where it pays.
    source : str
        Where the fees come from.
    """

    name: str
    mic: str
    publisher_ids: tuple[int, ...]
    taker_fee: int
    maker_rebate: int
    source: str = ""

    @property
    def taker_fee_dollars(self) -> float:
        """Taker fee in dollars per share."""
        return self.taker_fee / PRICE_SCALE

    @property
    def maker_rebate_dollars(self) -> float:
        """Maker rebate in dollars per share."""
        return self.maker_rebate / PRICE_SCALE

    def to_dict(self) -> dict[str, object]:
        """Return the venue as plain types, fees in dollars per share."""
        return {
            "name": self.name,
            "mic": self.mic,
            "publisher_ids": list(self.publisher_ids),
            "taker_fee": self.taker_fee_dollars,
            "maker_rebate": self.maker_rebate_dollars,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class VenueTable:
    """Venues by publisher id and by name; names and publisher ids are unique.

    Attributes
    ----------
    venues : tuple of Venue
        In the order of the table, user's additions last.
    """

    venues: tuple[Venue, ...]

    def resolve(self, publisher_ids: Iterable[int]) -> tuple[Venue, ...]:
        """Return the venue of each publisher id.

        An id that no venue claims becomes a venue named by its number, with `DEFAULT_TAKER_FEE` and
        `DEFAULT_MAKER_REBATE`, and its `source` says so.

        Examples
        --------
        >>> [venue.name for venue in load_venues().resolve([2, 6, 60000])]
        ['NASDAQ', 'BYX', '60000']
        """
        owners = {publisher: venue for venue in self.venues for publisher in venue.publisher_ids}
        return tuple(owners.get(publisher) or _unknown(publisher) for publisher in publisher_ids)

    def by_name(self, name: str) -> Venue:
        """Return the venue with this name or MIC; case does not matter.

        Raises
        ------
        ConfigError
            If there is none; the message lists the names nearest to it.
        """
        wanted = name.strip().upper()
        for venue in self.venues:
            if wanted == venue.name.upper():
                return venue
        for venue in self.venues:
            if wanted == venue.mic.upper() != NO_MIC:
                return venue
        known = [venue.name for venue in self.venues]
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
        hint = f"perhaps {' or '.join(near)}" if near else f"one of {', '.join(known)}"
        raise ConfigError(f"venue: found {name!r}; expected a known name: {hint}")


def fees(venues: Sequence[Venue]) -> tuple[Int64, Int64]:
    """Return taker fees and maker rebates as arrays for kernels.

    Parameters
    ----------
    venues : sequence of Venue
        K venues, usually `table.resolve(events.publishers)`.

    Returns
    -------
    taker_fee, maker_rebate : ndarray of int64, shape (K,)
        In 1e-9 dollars per share.

    Examples
    --------
    >>> taker_fee, maker_rebate = fees(load_venues().resolve([6, 8]))
    >>> taker_fee.tolist(), maker_rebate.tolist()
    ([-200000, 3000000], [-2000000, 1600000])
    """
    return (
        np.array([venue.taker_fee for venue in venues], dtype=np.int64),
        np.array([venue.maker_rebate for venue in venues], dtype=np.int64),
    )


def load_venues(path: str | Path | None = None) -> VenueTable:
    """Return the packaged venue table, with a user's file laid over it.

    Parameters
    ----------
    path : str or Path, optional
        TOML file of `[[venue]]` tables. One whose name is in the packaged table replaces what it states and
        keeps the rest; any other adds a venue, and must state ids and both fees.

    Raises
    ------
    DataError
        If the file cannot be read, is not TOML, or states something that makes no sense.
    """
    packaged = _packaged()
    return packaged if path is None else _overlay(packaged, Path(path))


@cache
def _packaged() -> VenueTable:
    text = files("venuewise.market").joinpath("venues.toml").read_text(encoding="utf-8")
    return _merge(VenueTable(()), text, "venues.toml")


def _overlay(base: VenueTable, path: Path) -> VenueTable:
    return _merge(base, read_text_file(path, "a TOML file of [[venue]] tables"), shown(path))


def _merge(base: VenueTable, text: str, file: str) -> VenueTable:
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise DataError(file, f"bad TOML ({error})", "a TOML file of [[venue]] tables") from None
    for key in document:
        if key != "venue":
            raise DataError(file, f"key {key!r}", "only [[venue]] tables")
    entries = document.get("venue", [])
    if not isinstance(entries, list) or not entries:
        raise DataError(file, "no [[venue]] table", "one [[venue]] table or more")
    table = {venue.name: venue for venue in base.venues}
    seen: set[str] = set()
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            raise DataError(file, repr(entry), "a [[venue]] table", column=f"venue {number}")
        venue = _venue(file, number, entry, table)
        if venue.name in seen:
            raise DataError(file, f"venue {venue.name!r} twice", "each venue once")
        seen.add(venue.name)
        table[venue.name] = venue
    owners: dict[int, str] = {}
    for venue in table.values():
        for publisher in venue.publisher_ids:
            other = owners.setdefault(publisher, venue.name)
            if other != venue.name:
                raise DataError(
                    file,
                    f"publisher id {publisher} at {other} and at {venue.name}",
                    "each publisher id at one venue",
                )
    return VenueTable(tuple(table.values()))


def _venue(file: str, number: int, entry: dict[str, object], known: dict[str, Venue]) -> Venue:
    for key in entry:
        if key not in _KEYS:
            raise DataError(file, f"key {key!r}", f"one of {', '.join(_KEYS)}", column=f"venue {number}")
    name = _text(file, f"venue {number}, name", entry.get("name"))
    old = next((venue for venue in known.values() if venue.name.upper() == name.upper()), None)
    if old is None:
        for key in ("publisher_ids", "taker_fee", "maker_rebate"):
            if key not in entry:
                raise DataError(file, f"no {key}", "it stated for a new venue", column=f"venue {name}")
        old = Venue(name, NO_MIC, (), 0, 0)
    where = f"venue {name}"
    fees_stated = "taker_fee" in entry or "maker_rebate" in entry
    return Venue(
        name=old.name,
        mic=_text(file, f"{where}, mic", entry["mic"]) if "mic" in entry else old.mic,
        publisher_ids=(
            _publishers(file, where, entry["publisher_ids"])
            if "publisher_ids" in entry
            else old.publisher_ids
        ),
        taker_fee=_fee(file, where, "taker_fee", entry["taker_fee"])
        if "taker_fee" in entry
        else old.taker_fee,
        maker_rebate=(
            _fee(file, where, "maker_rebate", entry["maker_rebate"])
            if "maker_rebate" in entry
            else old.maker_rebate
        ),
        source=_source(file, where, entry, f"stated in {file}" if fees_stated else old.source),
    )


def _source(file: str, where: str, entry: dict[str, object], default: str) -> str:
    source = entry.get("source", default)
    if not isinstance(source, str):
        raise DataError(file, repr(source), "text", column=f"{where}, source")
    return source


def _text(file: str, where: str, value: object) -> str:
    if value is None:
        raise DataError(file, "nothing", "a name", column=where)
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value.strip()) <= _MAX_NAME:
        raise DataError(file, _shown(value), f"1 to {_MAX_NAME} printable characters", column=where)
    return value.strip()


def _publishers(file: str, where: str, value: object) -> tuple[int, ...]:
    column = f"{where}, publisher_ids"
    if not isinstance(value, list) or not value:
        raise DataError(file, _shown(value), "a list of publisher ids", column=column)
    for item in value:
        if not isinstance(item, int) or isinstance(item, bool) or not 0 < item <= _MAX_PUBLISHER:
            raise DataError(file, _shown(item), f"whole numbers from 1 to {_MAX_PUBLISHER}", column=column)
    if len(set(value)) != len(value):
        raise DataError(file, "a publisher id twice", "each publisher id once", column=column)
    return tuple(value)


def _fee(file: str, where: str, key: str, value: object) -> int:
    column = f"{where}, {key}"
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise DataError(file, _shown(value), "a number of dollars per share", column=column)
    amount = Decimal(value)
    if not amount.is_finite() or abs(amount) >= 1:
        raise DataError(file, _shown(value), "dollars per share, between -1 and 1", column=column)
    with localcontext() as exact:
        exact.traps[Inexact] = True
        try:
            return int(amount.quantize(_UNIT).scaleb(9))
        except Inexact:
            expected = "whole multiples of 0.000000001 dollars"
            raise DataError(file, _shown(value), expected, column=column) from None


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _unknown(publisher: int) -> Venue:
    return Venue(
        name=str(publisher),
        mic=NO_MIC,
        publisher_ids=(publisher,),
        taker_fee=DEFAULT_TAKER_FEE,
        maker_rebate=DEFAULT_MAKER_REBATE,
        source="unknown publisher id: default fees 0.0030 taker, 0.0020 rebate; state its own in a fees file",
    )
