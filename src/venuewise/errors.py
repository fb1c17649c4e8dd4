"""The errors that venuewise raises on purpose.

Everything a user can cause (a bad file, a bad option, an impossible request) is a `VenuewiseError`; the
command line prints its one line and exits with code 2. Anything else that escapes is a fault of ours and
exits with code 1.
"""

from __future__ import annotations


class VenuewiseError(Exception):
    """Base of all errors that the user can mend. The message is one line and says what to do."""


class DataError(VenuewiseError):
    """Market data that cannot be read.

    Parameters
    ----------
    file : str
        File the problem is in.
    found, expected : str
        What stands there, and what should.
    row : int, optional
        Row of the data, counted as an editor counts lines: the header of a CSV is line 1.
    column : str, optional
        Column name.
    """

    def __init__(
        self, file: str, found: str, expected: str, *, row: int | None = None, column: str | None = None
    ) -> None:
        self.file, self.row, self.column, self.found, self.expected = file, row, column, found, expected
        place = file
        if row is not None:
            place += f", row {row}"
        if column is not None:
            place += f", column {column}"
        super().__init__(f"{place}: found {found}; expected {expected}")


class ConfigError(VenuewiseError):
    """An option, parameter or settings file that makes no sense, alone or together with another."""


class NoQuotesError(ConfigError):
    """A parent order in whose time no venue shows a usable quote, or no mid is to be had."""


class AccountingError(Exception):
    """Shares or money that do not reconcile: a fault of ours, never of the user's data."""
