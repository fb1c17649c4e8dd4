"""The image installs what was tested, keeps to good practice, and knows a live service from a stalled one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import tomllib

import pytest

pytest.importorskip("confluent_kafka", reason="needs the kafka extra: pip install venuewise[kafka]")


from tests.deployments import (
    ECS,
    POD,
    ROOT,
    image_environment,
    instructions,
)
from venuewise.kafka.metrics import Metrics


def test_the_dockerfile_keeps_to_good_practice() -> None:
    named = instructions()
    assert not [rest for name, rest in named if name == "ADD"]
    users = [rest for name, rest in named if name == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]), "a user without rights, by number"
    user = int(users[-1].split(":")[0])
    assert POD["spec"]["securityContext"]["runAsUser"] == user
    assert POD["spec"]["securityContext"]["runAsNonRoot"]
    for name, rest in named:
        for part in rest.split("&&") if name == "RUN" else ():
            assert not re.search(r"\b(curl|wget|sudo)\b", part)
            if "pip install" in part:
                assert "--no-cache-dir" in part
                assert "--require-hashes" in part or "--no-deps" in part
            if "apt-get install" in part:
                assert "--no-install-recommends" in part
                assert "rm -rf /var/lib/apt/lists" in rest
        if name in ("CMD", "ENTRYPOINT"):
            assert isinstance(json.loads(rest), list), "as a list: no shell between signals and the program"
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert json.loads(dict(named)["ENTRYPOINT"])[0] in scripts


def test_what_the_image_copies_is_there_and_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    copied: set[str] = set()
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from"):
            copied.update(rest.split()[:-1])
    assert copied == let_through
    for path in copied:
        assert (ROOT / path).exists(), path


def test_the_image_installs_the_versions_that_are_tested() -> None:
    pins = {
        name: pinned(name)
        for name in (
            "requirements.lock",
            "requirements-run.lock",
            "requirements-dev.lock",
            "requirements-build.lock",
        )
    }
    every = pins["requirements.lock"]
    assert (
        pins["requirements-run.lock"] | pins["requirements-build.lock"]
        <= pins["requirements-dev.lock"]
        <= every
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["kafka"]
    installed = {pin.split("==")[0] for pin in pins["requirements-run.lock"]}
    assert {re.split(r"[>=<]", need)[0] for need in needed} <= installed
    assert not installed & {"pytest", "mypy", "quixstreams", "mkdocs", "databento"}
    for name in pins:
        text = (ROOT / name).read_text()
        assert not [mark for mark in ("://", "--index", "--find-links") if mark in text]
        requirements = re.findall(r"^\w[^\n]*\\\n +(\S+)", text, re.MULTILINE)
        assert len(requirements) == len(re.findall(r"^\w", text, re.MULTILINE))
        assert all(following.startswith("--hash=sha256:") for following in requirements)


def pinned(lock: str) -> set[str]:
    """Return what a lock pins, as name==version."""
    return set(re.findall(r"^\w\S*==\S+", (ROOT / lock).read_text(), re.MULTILINE))


def health_command() -> list[str]:
    return list(json.loads(dict(instructions())["HEALTHCHECK"].partition("CMD ")[2]))


@pytest.mark.parametrize("where", ["Dockerfile", "router-task.json"])
def test_the_health_check_tells_a_live_service_from_a_stalled_one(where: str) -> None:
    command = health_command() if where == "Dockerfile" else ECS["healthCheck"]["command"][1:]
    metrics = Metrics()
    port = str(metrics.serve(0))
    command = [
        sys.executable,
        *(word.replace(image_environment()["METRICS_PORT"], port) for word in command[1:]),
    ]

    def check() -> int:
        surroundings = os.environ | {"METRICS_PORT": port}
        return subprocess.run(command, env=surroundings, capture_output=True, check=False).returncode

    assert check() == 0
    metrics.beat = time.monotonic() - 3600
    assert check() != 0


def test_the_image_holds_the_kernels_compiled_for_any_processor() -> None:
    named = instructions()
    compiling = [number for number, (name, rest) in enumerate(named) if "venuewise warm" in rest]
    assert len(compiling) == 1
    assert named[compiling[0]][0] == "RUN"
    assert image_environment()["NUMBA_CPU_NAME"] == "generic"
    users = [number for number, (name, _) in enumerate(named) if name == "USER"]
    assert users[-1] < compiling[0], "compiled by the user that runs it: the cache must be writable"
