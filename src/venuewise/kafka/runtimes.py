"""Ways to run Apache Kafka on this machine, and how to tell which of them can.

Three are known: a container where a Docker daemon answers, the local Java with the jars of Kafka resolved
through Maven (once; they stay in a cache directory), and a Kafka that the user has installed, named by
KAFKA_HOME. Each either answers with what `broker` needs to start it or says in one sentence what is missing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from venuewise.errors import ConfigError

Runtime = Literal["auto", "docker", "maven", "kafka-home"]

KAFKA_VERSION: Final = "4.2.0"
"""Release that is fetched; a broker of the 4.x line runs on Java 17 and later."""
OLDEST_KAFKA: Final = 4
OLDEST_JAVA: Final = 17
DOCKER_IMAGE: Final = f"apache/kafka:{KAFKA_VERSION}"
_LOG4J_VERSION: Final = "2.25.3"
_MAVEN_PLUGIN: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
_POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>venuewise</groupId>
  <artifactId>local-broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>{_LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


class MissingError(Exception):
    """A runtime that cannot be used here; the message says what it lacks."""


@dataclass(frozen=True, slots=True)
class Jvm:
    """Kafka on the local Java.

    Attributes
    ----------
    kind : {"maven", "kafka-home"}
        Where the jars come from.
    java : str
        Path of the java program.
    libs : Path
        Directory of the jars.
    version : str
        Version of Kafka.
    """

    kind: Literal["maven", "kafka-home"]
    java: str
    libs: Path
    version: str


@dataclass(frozen=True, slots=True)
class Docker:
    """Kafka in a container; `program` is the docker client, whose daemon has answered."""

    program: str
    version: str = KAFKA_VERSION


def cache_directory() -> Path:
    """Return the directory that keeps Kafka's jars between runs (XDG_CACHE_HOME, else ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "venuewise" / f"kafka-{KAFKA_VERSION}"


def find_runtime(wanted: Runtime = "auto") -> Docker | Jvm:
    """Find a way to run Kafka here: Docker, else Java with Maven, else Java with KAFKA_HOME.

    Raises
    ------
    ConfigError
        If none can run; the message says what each of them lacks.
    """
    tries: dict[str, Callable[[], Docker | Jvm]]
    tries = {"docker": _docker, "maven": _maven, "kafka-home": _kafka_home}
    lacking = []
    for name in tries if wanted == "auto" else (wanted,):
        try:
            return tries[name]()
        except MissingError as reason:
            lacking.append(f"{name}: {reason}")
    raise ConfigError(f"Kafka: found {', '.join(lacking)}; expected a way to run it")


def _docker() -> Docker:
    program = shutil.which("docker")
    if program is None:
        raise MissingError("no docker program on PATH")
    try:
        answer = subprocess.run(
            [program, "version", "--format", "{{.Server.Version}}"],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        raise MissingError("the docker program gives no answer") from None
    if answer.returncode != 0 or not answer.stdout.strip():
        raise MissingError("no Docker daemon answers")
    return Docker(program)


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None:
        raise MissingError(f"no java on PATH and JAVA_HOME not set (Java {OLDEST_JAVA} or later)")
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        raise MissingError(f"{java} does not run") from None
    found = re.search(r'version "(\d+)', answer.stderr)
    if found is None or int(found[1]) < OLDEST_JAVA:
        raise MissingError(
            f"{java} is Java {found[1] if found else 'of unknown version'}, not {OLDEST_JAVA} or later"
        )
    return java


def _maven() -> Jvm:
    java = _java()
    libs = cache_directory() / "libs"
    if not libs.is_dir():
        _resolve_jars(libs)
    return Jvm("maven", java, libs, KAFKA_VERSION)


def _resolve_jars(libs: Path) -> None:
    """Have Maven copy Kafka's jars, whole or not at all: a run cut short leaves no half-filled cache."""
    program = shutil.which("mvn")
    if program is None:
        raise MissingError("no mvn on PATH to fetch Kafka's jars with")
    libs.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libs.parent) as scratch:
        pom, copied = Path(scratch) / "pom.xml", Path(scratch) / "libs"
        pom.write_text(_POM, encoding="utf-8")
        command = [program, "-q", "-B", "-f", str(pom), f"{_MAVEN_PLUGIN}:copy-dependencies",
                   "-DincludeScope=runtime", f"-DoutputDirectory={copied}"]  # fmt: skip
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            lines = [line for line in answer.stdout.splitlines() if "ERROR" in line]
            raise MissingError(
                f"Maven could not fetch Kafka {KAFKA_VERSION}: {lines[0] if lines else 'no reason given'}"
            )
        try:
            copied.rename(libs)
        except OSError:
            if not libs.is_dir():  # else another process was first, and its copy is as good
                raise


def _kafka_home() -> Jvm:
    home = os.environ.get("KAFKA_HOME")
    if not home:
        raise MissingError("KAFKA_HOME is not set")
    libs = Path(home) / "libs"
    jar = next(iter(sorted(libs.glob("kafka_2.1*-*.jar"))), None)
    found = re.fullmatch(r"kafka_2\.\d+-((\d+)\.[\d.]+\d)\.jar", jar.name) if jar is not None else None
    if found is None:
        raise MissingError(f"KAFKA_HOME={home} holds no libs/kafka_2.13-<version>.jar")
    if int(found[2]) < OLDEST_KAFKA:
        raise MissingError(f"KAFKA_HOME holds Kafka {found[1]}, not {OLDEST_KAFKA}.0 or later")
    return Jvm("kafka-home", _java(), libs, found[1])
