"""Stopping a service in good order: SIGINT and SIGTERM ask, the service finishes what it holds and leaves."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class StopRequest:
    """Whether the service was asked to stop.

    Attributes
    ----------
    signal_number : int
        The signal that asked, 0 while none has.
    """

    signal_number: int = 0

    def __bool__(self) -> bool:
        return self.signal_number != 0

    @property
    def exit_code(self) -> int:
        """Exit code of the process: 0, or 128 plus the signal's number as shells have it."""
        return 128 + self.signal_number if self.signal_number else 0


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Note SIGINT and SIGTERM instead of dying of them; a second SIGINT interrupts at once.

    Must be entered in the main thread. The former handlers are back in place afterwards.
    """
    request = StopRequest()

    def note(number: int, _frame: FrameType | None) -> None:
        if request and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal_number = number

    former = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
