"""Members of consumer groups as processes: started, killed, stopped in good order, each with a log of its own."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kafka.helpers import command, environment


@dataclass
class Processes:
    """Processes by a name that they keep when they are started again; those that are left over are killed.

    Attributes
    ----------
    bootstrap : str
        Address of the broker.
    logs : Path
        Directory of the logs, and of the settings that all of them read.
    """

    bootstrap: str
    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    began: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.logs / "kafka.toml").write_text(
            '[kafka]\n"session.timeout.ms" = "6000"\n"heartbeat.interval.ms" = "500"\n'
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def launch(self, name: str, *arguments: object, **variables: str) -> None:
        """Start `venuewise` with these arguments and variables."""
        with (self.logs / f"{name}.log").open("ab") as log:
            self.began[name] = log.tell()
            self.running[name] = subprocess.Popen(
                command(*arguments),
                env=environment(
                    KAFKA_BOOTSTRAP_SERVERS=self.bootstrap, VENUEWISE_CONFIG=str(self.logs / "kafka.toml"),
                    **variables,
                ),
                stdout=log, stderr=log,
            )  # fmt: skip

    def log(self, name: str) -> str:
        return (self.logs / f"{name}.log").read_text()

    def kill(self, name: str) -> None:
        """Kill a process that still runs, wherever it has got to."""
        process = self.running.pop(name)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL, self.log(name)

    def stop(self, name: str, seconds: float = 60) -> None:
        """Ask a process to stop once it has been given something to do since it was started; it must end well."""
        process = self.running[name]
        deadline = time.monotonic() + seconds
        while '"event": "assigned"' not in self.log(name)[self.began[name] :]:
            assert process.poll() is None, self.log(name)
            assert time.monotonic() < deadline, f"{name} was given nothing:\n{self.log(name)}"
            time.sleep(0.1)
        del self.running[name]
        process.terminate()
        assert process.wait(60) == 0, self.log(name)
