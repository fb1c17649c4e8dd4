"""The image, compose.yaml, the manifests and docs/deployment.md name nothing that the package does not have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numba
import pytest

pytest.importorskip("confluent_kafka", reason="needs the kafka extra: pip install venuewise[kafka]")

from confluent_kafka import Producer

import venuewise as vw
from tests.deployments import (
    COMPOSE,
    CONTAINER,
    ECS,
    MANIFESTS,
    OURS,
    POD,
    ROOT,
    SERVICES,
    TASK,
    image_environment,
    instructions,
    interpolated,
    invocations,
    parse,
    variables,
)
from venuewise.kafka import broker
from venuewise.kafka.metrics import Metrics
from venuewise.kafka.runtimes import DOCKER_IMAGE
from venuewise.kafka.service import COMMIT_SECONDS
from venuewise.kafka.settings import Settings, load
from venuewise.kafka.view import Record, cells
from venuewise.market.venues import load_venues
from venuewise.messages.market import DECISION_SCHEMA
from venuewise.routing.whatif import WhatIf, WhatIfSettings

SETTINGS = {name.upper() for name in Settings.model_fields} | {"PRESET", "VENUEWISE_CONFIG"}
OF_THE_SYSTEM = {"PATH", "PYTHONUNBUFFERED", "MALLOC_ARENA_MAX"}
OF_COMPOSE = {"DATA_DIR", "SPEED", "PARTITIONS", "PRODUCER_MEMORY", "COMPOSE_PROFILES"}
PAGE = (ROOT / "docs" / "deployment.md").read_text()
ROUTERS = {name: service for name, service in OURS.items() if service["command"] == ["route"]}


def profile(name: str) -> set[str]:
    """Return the services that `docker compose --profile NAME up` starts."""
    return {service for service, entry in SERVICES.items() if name in entry.get("profiles", [name])}


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def test_every_command_and_option_is_one_that_the_program_parses() -> None:
    found = list(invocations())
    places = {place for place, _ in found}
    assert {"Dockerfile", "statefulset.yaml", "router-task.json", "README.md", "docs/deployment.md"} <= places
    for place, arguments in found:
        try:
            parse(arguments)
        except Exception as error:
            pytest.fail(f"{place}: venuewise {' '.join(arguments)}: {error}")


def test_a_command_that_the_program_does_not_parse_is_noticed() -> None:
    for wrong in (["rout"], ["route", "--sped", "1"], ["broker", "up", "--heap", "much"]):
        with pytest.raises(Exception, match=r"."):
            parse(wrong)


def test_every_variable_is_a_setting() -> None:
    for place, name, _ in variables():
        passed_on = re.fullmatch(r"KAFKA_(SASL_[A-Z_]+|SSL_[A-Z_]+|SECURITY_PROTOCOL)", name)
        numbas = name.startswith("NUMBA_") and hasattr(numba.config, name.removeprefix("NUMBA_"))
        known = name in SETTINGS | OF_THE_SYSTEM | OF_COMPOSE
        assert known or passed_on or numbas, f"{place}: {name}"


def test_every_value_is_one_that_the_settings_take(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {place for place, _, _ in variables()}
    for place in sorted(places):
        with monkeypatch.context() as patch:
            for name in SETTINGS:
                patch.delenv(name, raising=False)
            given = {name: value for at, name, value in variables() if at == place and value is not None}
            for name, value in given.items():
                if name in SETTINGS:
                    patch.setenv(name, value.replace("BROKER", "broker"))
            settings = load()
            for name in set(given) & {"TOPIC", "OUT", "GROUP", "METRICS_HOST"}:
                assert getattr(settings, name.lower()) == given[name]


def test_credentials_reach_the_client_under_names_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name for _, name, _ in variables() if name.startswith(("KAFKA_SASL_", "KAFKA_SECURITY_"))}
    assert {"KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"} <= names
    values = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN"}
    for name in names:
        monkeypatch.setenv(name, values.get(name, "x"))
    client = load().client({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    assert client["sasl.password"] == "x"
    Producer(client)  # refuses a property that it does not know


def test_the_compose_file_is_valid() -> None:
    docker = shutil.which("docker")
    if (
        docker
        and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0
    ):
        command = [docker, "compose", "--project-directory", str(ROOT), "config", "--quiet"]
    else:
        pytest.importorskip("check_jsonschema")
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
        command.append(str(ROOT / "compose.yaml"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_profile_starts_what_it_says() -> None:
    assert (ROOT / ".env").read_text().splitlines()[-1] == "COMPOSE_PROFILES=full"
    full = {"kafka", "producer", "router", "kafka-ui"}
    assert profile("full") == full
    assert profile("l2") == full | {"router-l2"}
    assert profile("viewer") == {"kafka", "producer", "viewer"}


def test_pages_name_profiles_and_services_that_there_are() -> None:
    profiles = {name for service in SERVICES.values() for name in service.get("profiles", ())}
    for page in ("README.md", "compose.yaml", "docs/deployment.md"):
        commands = re.findall(
            r"docker compose (.*?up\b[^#\n]*?)(?:  |$)", (ROOT / page).read_text(), re.MULTILINE
        )
        assert commands
        for command in commands:
            options, _, services = command.partition("up")
            assert set(re.findall(r"--profile (\S+)", options)) <= profiles, command
            services = re.sub(r"--scale (\S+)=\d+", r"\1", services)
            assert set(services.split()) <= SERVICES.keys(), command


def test_readme_quotes_the_memory_that_the_table_shows() -> None:
    rows = re.findall(r"^\| (?:AAPL of|the same, first).*$", PAGE, re.MULTILINE)
    (rss, pss), (first_rss, first_pss) = (re.findall(r" (\d+) (?=\|)", row)[-2:] for row in rows)
    told = re.search(r"fit a machine of 1 GiB:.*?More:", (ROOT / "README.md").read_text(), re.DOTALL)
    assert told is not None
    assert re.findall(r"(?<![\d,])(\d{3})(?= )", told[0]) == [rss, first_rss, pss, first_pss]
    assert max(int(rss), int(first_rss)) <= 1024


def test_services_wait_for_services_that_their_profile_starts() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            for active in service.get("profiles", ["full", "l2", "viewer"]):
                assert needed in profile(active), f"{name} needs {needed}"
            if how["condition"] == "service_healthy":
                assert "test" in SERVICES[needed]["healthcheck"]
            assert how["condition"] != "service_completed_successfully"


def test_only_services_that_answer_health_questions_are_asked() -> None:
    for name, service in OURS.items():
        asked = not service.get("healthcheck", {}).get("disable", False)
        assert asked == (name in ROUTERS), name


def test_kafka_runs_as_the_local_broker_does() -> None:
    kafka = SERVICES["kafka"]
    assert kafka["image"] == DOCKER_IMAGE
    assert kafka["environment"]["KAFKA_HEAP_OPTS"].split()[0] == f"-Xmx{broker.DEFAULT_HEAP_MB}m"
    listening = {
        "listener.security.protocol.map",
        "inter.broker.listener.name",
    }  # two ways in: inside, outside
    for key, value in broker._SINGLE_NODE.items():
        if key not in listening:
            assert kafka["environment"][f"KAFKA_{key.upper().replace('.', '_')}"] == value, key
    servers = {service["environment"]["KAFKA_BOOTSTRAP_SERVERS"] for service in OURS.values()}
    assert servers == {SERVICES["kafka-ui"]["environment"]["KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS"]}
    assert f"INTERNAL://{servers.pop()}," in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_the_greedy_router_is_a_router_of_its_own() -> None:
    exact, greedy = (SERVICES[name]["environment"] for name in ("router", "router-l2"))
    assert greedy["GREEDY_L2"] == "true"
    assert exact["GROUP"] != greedy["GROUP"]
    assert exact["OUT"] != greedy["OUT"]


def test_published_ports_are_open_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert "127.0.0.1:8080:8080" in SERVICES["kafka-ui"]["ports"]


def test_broker_producer_and_router_may_take_one_gibibyte_together() -> None:
    limits = [interpolated(SERVICES[name]["mem_limit"]) for name in ("kafka", "producer", "router")]
    assert all(limit.endswith("m") for limit in limits)
    assert sum(int(limit[:-1]) for limit in limits) <= 1024
    assert all("mem_limit" in service for service in SERVICES.values())


def test_a_router_that_is_stopped_has_time_to_commit() -> None:
    for service in ROUTERS.values():
        assert seconds(service["stop_grace_period"]) > COMMIT_SECONDS
    assert POD["spec"]["terminationGracePeriodSeconds"] > COMMIT_SECONDS
    assert ECS["stopTimeout"] > COMMIT_SECONDS


def test_images_are_pinned_to_a_release() -> None:
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    others = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    for image in (*bases, *others):
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*", image), image
    kustomized = MANIFESTS["kustomization.yaml"]["images"][0]
    ours = {service["image"] for service in OURS.values()} | {CONTAINER["image"], ECS["image"].split("/")[-1]}
    assert ours == {f"venuewise:{vw.__version__}"} == {f"{kustomized['name']}:{kustomized['newTag']}"}
    assert set(re.findall(r"venuewise:(\d[\w.]*)", PAGE)) == {vw.__version__}


def test_probes_ask_paths_that_are_answered() -> None:
    metrics = Metrics()
    metrics.ready, metrics.heard = True, time.monotonic()
    port = metrics.serve(0)
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = CONTAINER[probe]["httpGet"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{asked['path']}", timeout=5) as answer:
            assert answer.status == 200
        assert asked["port"] in {named["name"] for named in CONTAINER["ports"]}
    metrics.ready = False
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5)
    refused.value.close()
    assert refused.value.code == 503
    for path in re.findall(r"httpGet.path=(\S+?),", PAGE):
        assert path == CONTAINER["livenessProbe"]["httpGet"]["path"]


def test_one_metrics_port_everywhere() -> None:
    port = int(image_environment()["METRICS_PORT"])
    assert dict(instructions())["EXPOSE"] == str(port)
    assert MANIFESTS["configmap.yaml"]["data"]["METRICS_PORT"] == str(port)
    assert CONTAINER["ports"][0]["containerPort"] == port
    assert MANIFESTS["service.yaml"]["spec"]["ports"][0]["port"] == port
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(port)
    assert ECS["portMappings"][0]["containerPort"] == port
    assert all(entry["ports"][0].endswith(f":{port}") for entry in ROUTERS.values())
    assert set(re.findall(r"httpGet.port=(\d+)", PAGE)) == {str(port)}


def test_the_manifests_belong_together() -> None:
    listed = set(MANIFESTS["kustomization.yaml"]["resources"])
    assert listed == set(MANIFESTS) - {"kustomization.yaml"}
    kinds = {MANIFESTS[name]["kind"] for name in listed}
    assert kinds == {"StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget"}
    stateful, service = MANIFESTS["statefulset.yaml"], MANIFESTS["service.yaml"]
    labels = POD["metadata"]["labels"]
    budget = MANIFESTS["poddisruptionbudget.yaml"]["spec"]["selector"]["matchLabels"]
    for selector in (stateful["spec"]["selector"]["matchLabels"], service["spec"]["selector"], budget):
        assert selector
        assert selector.items() <= labels.items()
    assert stateful["spec"]["serviceName"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert stateful["spec"]["replicas"] >= 2
    references = {kind: entry[kind]["name"] for entry in CONTAINER["envFrom"] for kind in entry}
    assert references["configMapRef"] == MANIFESTS["configmap.yaml"]["metadata"]["name"]
    assert f"secret generic {references['secretRef']} " in PAGE
    assert {"requests", "limits"} <= CONTAINER["resources"].keys()
    assert all(isinstance(value, str) for value in MANIFESTS["configmap.yaml"]["data"].values())


def test_a_router_keeps_its_name_over_restarts_on_kubernetes() -> None:
    instance = next(entry for entry in CONTAINER["env"] if entry["name"] == "INSTANCE")
    assert instance["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert MANIFESTS["statefulset.yaml"]["kind"] == "StatefulSet"
    load(flags={"instance": f"{MANIFESTS['statefulset.yaml']['metadata']['name']}-0"})


def test_kustomize_builds_the_manifests() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on PATH")
    done = subprocess.run(
        [kubectl, "kustomize", str(ROOT / "deploy" / "k8s")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nkind: ") == len(MANIFESTS["kustomization.yaml"]["resources"])


def test_the_task_suits_fargate() -> None:
    assert TASK["requiresCompatibilities"] == ["FARGATE"]
    assert TASK["networkMode"] == "awsvpc"
    assert (TASK["cpu"], TASK["memory"]) in {("256", "512"), ("256", "1024"), ("512", "1024")}
    plain = {entry["name"] for entry in ECS["environment"]}
    secret = {entry["name"] for entry in ECS["secrets"]}
    assert "KAFKA_SASL_PASSWORD" in secret
    assert not plain & secret


def test_the_page_names_files_metrics_and_variables_that_exist() -> None:
    for path in set(re.findall(r"(?<![\w./])((?:deploy|docs)/[\w./-]+\w|requirements[\w-]*\.lock)", PAGE)):
        assert (ROOT / path).exists(), path
    families = Metrics().registry.collect()
    exposed = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert set(re.findall(r"\b(venuewise_\w+)", PAGE)) <= exposed
    assert set(re.findall(r"`(venuewise_\w+)", (ROOT / "docs" / "router.md").read_text())) == exposed
    interpolations = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    assert interpolations <= set(re.findall(r"`([A-Z_]+)`", PAGE))
    assert interpolations <= OF_COMPOSE | SETTINGS


def test_readme_shows_the_decisions_that_its_commands_lead_to() -> None:
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## Run it all") :]
    events = vw.generate(venues=5, symbols=["AAPL"], duration="1m", seed=7)  # the defaults of `generate`
    assert f'"rows": {len(events)},' in section
    assert f"{len(events)} messages of mock_l1_stream routed to sor.decisions, 0 dead letters" in section
    outputs = WhatIf(WhatIfSettings(), load_venues()).route(events.take(slice(0, 3)), True).outputs
    for at, output in enumerate(outputs):
        record = Record(0, at, output.key, output.value, DECISION_SCHEMA, json.loads(output.value))
        assert "\n    " + "  ".join(cells(record, {})) + "\n" in section


def test_every_volume_is_declared() -> None:
    mounted = [mount.split(":")[0] for entry in SERVICES.values() for mount in entry.get("volumes", ())]
    named = {source for source in map(interpolated, mounted) if re.fullmatch(r"[\w-]+", source)}
    assert named == set(COMPOSE["volumes"])
