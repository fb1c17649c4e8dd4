"""What the deployment files hold, read the way that their own programs read them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import yaml

from venuewise.cli import app

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
MANIFESTS = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / "deploy" / "k8s").glob("*.yaml")}
POD: dict[str, Any] = MANIFESTS["statefulset.yaml"]["spec"]["template"]
CONTAINER: dict[str, Any] = POD["spec"]["containers"][0]
TASK = json.loads((ROOT / "deploy" / "aws" / "router-task.json").read_text())
ECS: dict[str, Any] = TASK["containerDefinitions"][0]
PAGES = ("README.md", "docs/kafka.md", "docs/router.md", "docs/deployment.md", "compose.yaml")

# A line of a page or comment that runs the program: by its name, by its path, or as the image's entry point.
_RUN = re.compile(
    r"^(?:#|\s)*(?:\$ )?(?P<set>(?:[A-Z_]+=\S+ )*)"
    r"(?:(?:\.venv/bin/)?venuewise|docker run [^\n]*?venuewise:[\d.]+) (?P<words>[a-z-][^|#&>\n]*)",
    re.MULTILINE,
)


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their text, lines joined and comments left out."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    texts = [rest for name, rest in instructions() if name == "ENV"]
    return dict(word.split("=", 1) for text in texts for word in shlex.split(text))


def interpolated(text: str) -> str:
    """Return a value of compose.yaml with the defaults of its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def invocations() -> Iterator[tuple[str, list[str]]]:
    """Yield every run of the program that the files name: where, and its arguments."""
    for name, rest in instructions():
        if name == "RUN":
            for part in rest.split("&&"):
                words = shlex.split(part.split(">")[0])
                if words[0] == "venuewise":
                    yield "Dockerfile", words[1:]
    yield "Dockerfile", json.loads(dict(instructions())["CMD"])
    for name, service in OURS.items():
        yield f"compose.yaml, {name}", [interpolated(word) for word in service["command"]]
    yield "statefulset.yaml", CONTAINER["args"]
    yield "router-task.json", ECS["command"]
    for page in PAGES:
        for found in _RUN.finditer((ROOT / page).read_text()):
            yield page, shlex.split(found["words"])
    deployment = (ROOT / "docs" / "deployment.md").read_text()
    yield "docs/deployment.md, Cloud Run", re.findall(r"--args (\w+)", deployment)
    for line in re.findall(r'--command-line "venuewise ([^"]*)"', deployment):
        yield "docs/deployment.md, Azure", line.split()


def parse(arguments: list[str]) -> None:
    """Parse arguments as the program does, and run nothing; typer.TyperException where it would refuse them."""
    command: Any = typer.main.get_command(app)
    words, name = list(arguments), "venuewise"
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        assert name in command.commands, f"no command {name}"
        command = command.commands[name]
    if words != ["--version"]:
        command.make_context(name, words)


def variables() -> Iterator[tuple[str, str, str | None]]:
    """Yield every variable that our containers get or that a page sets: where, its name and its value."""
    for name, value in image_environment().items():
        yield "Dockerfile", name, value
    for service, settings in OURS.items():
        for name, value in settings["environment"].items():
            yield f"compose.yaml, {service}", name, None if value is None else interpolated(value)
    for name, value in MANIFESTS["configmap.yaml"]["data"].items():
        yield "configmap.yaml", name, value
    for entry in CONTAINER["env"]:
        yield "statefulset.yaml", entry["name"], None
    for entry in (*ECS["environment"], *ECS["secrets"]):
        yield "router-task.json", entry["name"], entry.get("value")
    for page in PAGES:
        for name in re.findall(r"(?<![\w-])([A-Z][A-Z_]{2,})=[\w.~/-]", (ROOT / page).read_text()):
            yield page, name, None
