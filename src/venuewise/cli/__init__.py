"""The command line: parse, call, print.

Results go to stdout and nothing else does, as a summary on a terminal, as JSON anywhere else; notes and
progress go to stderr. Exit code 0: done, 2: bad input or usage (one line on stderr), 1: a fault of ours.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

import typer

from venuewise.cli import backtests, decisions, live, market_data, orders, placements, routing, warm
from venuewise.cli.app import app
from venuewise.errors import VenuewiseError
from venuewise.printable import printable

__all__ = [
    "app", "backtests", "decisions", "live", "main", "market_data", "orders", "placements", "routing", "warm",
]  # fmt: skip

_LONGEST_LINE = 600


def main() -> None:
    """Run the command line; turn the user's errors into one line and exit code 2."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup, say, has set another
            signal.signal(number, _leave)
    try:
        status = app(standalone_mode=False)
    except VenuewiseError as error:
        typer.echo(f"venuewise: {_in_one_line(str(error))}", err=True)
        sys.exit(2)
    except typer.TyperException as error:
        typer.echo(f"venuewise: {_in_one_line(error.format_message())} (see --help)", err=True)
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)


def _leave(number: int, _frame: FrameType | None) -> None:
    """Leave as if by an error, so that temporary files and child processes are cleared away."""
    sys.exit(128 + number)


def _in_one_line(message: str) -> str:
    """Join the lines of a message, and cut out its middle if it is long: what it quotes may be of any form.

    What a terminal would obey is escaped: it may quote a file name, a cell, a key.
    """
    line = printable(" ".join(message.splitlines()))
    return (
        line
        if len(line) <= _LONGEST_LINE
        else f"{line[: _LONGEST_LINE // 2]} ... {line[-_LONGEST_LINE // 2 :]}"
    )
