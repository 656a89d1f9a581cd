"""docker/ without a Docker engine: its files parse, fit together, and their commands run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
import yaml

from tollway_processor.cli import main
from tollway_processor.config import ENVIRONMENT
from tollway_processor.door.client import DoorClient

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"


class Instruction(NamedTuple):
    word: str
    text: str

    def argv(self) -> list[str]:
        return list(json.loads(self.text))


def dockerfile() -> list[Instruction]:
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.M)
    lines = text.replace("\\\n", " ").splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line.strip()]


def told(word: str) -> list[Instruction]:
    return [instruction for instruction in dockerfile() if instruction.word == word]


def environment() -> dict[str, str]:
    pairs = [pair for each in told("ENV") for pair in shlex.split(each.text)]
    return dict(pair.split("=", 1) for pair in pairs)


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / "compose.yaml").read_text()))


def test_dockerfile_is_of_known_instructions_and_ends_unprivileged() -> None:
    known = [
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "VOLUME",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "CMD",
    ]
    assert {instruction.word for instruction in dockerfile()} == set(known)
    assert [each.text.split()[0] for each in told("FROM")] == ["python:3.12-slim"] * 2
    words = [instruction.word for instruction in dockerfile()]
    assert told("USER")[-1].text == "tollway"
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")


def test_exposed_ports_are_the_ones_listened_on() -> None:
    names = {"TOLLWAY_HTTP", "TOLLWAY_GRPC", "TOLLWAY_SQL"}
    ports = {environment()[name].rpartition(":")[2] for name in names}
    assert ports == set(told("EXPOSE")[0].text.split()) == {"4317", "4318", "8123"}


def test_environment_holds_only_variables_that_are_read() -> None:
    for settings in (environment(), compose()["services"]["processor"]["environment"]):
        assert {name for name in settings if name.startswith("TOLLWAY_")} <= set(ENVIRONMENT)


def test_image_is_built_from_what_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    kept = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    for each in told("COPY"):
        *names, target = each.text.split()
        if names[0].startswith("--from"):
            continue
        for name in names:
            assert f"!{name}" in kept
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / target, symlinks=True)
            else:
                shutil.copy(ROOT / name, source / target)
    built = tmp_path / "dist"
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    assert "tollway_processor/schemas/tables/0001_spans.sql" in names
    assert "tollway_processor/door/http.py" in names


def test_container_serves_is_healthy_and_stops(tmp_path: Path) -> None:
    health = told("HEALTHCHECK")[0].text
    check = json.loads(health[health.index("CMD ") + len("CMD ") :])
    command = [str(Path(sys.executable).parent / told("CMD")[0].argv()[0])]
    command += told("CMD")[0].argv()[1:]
    settings = {**os.environ, **{k: v for k, v in environment().items() if k != "PATH"}}
    for name in ("TOLLWAY_HTTP", "TOLLWAY_GRPC", "TOLLWAY_SQL"):
        settings[name] = "127.0.0.1:0"
    settings["TOLLWAY_STORE"] = f"chdb:{tmp_path / 'data'}"
    with subprocess.Popen(command, env=settings, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, b"")
        said = next(line.decode() for line in lines if b"tollway serves" in line)
        port = re.search(r"http http://127\.0\.0\.1:(\d+)", said)
        sql = re.search(r"sql (http://\S+)", said)
        assert port, said
        assert sql, said
        settings["TOLLWAY_HTTP"] = f"0.0.0.0:{port[1]}"
        python = [sys.executable, *check[1:]]
        assert subprocess.run(python, env=settings, check=False).returncode == 0
        assert DoorClient(sql[1]).query("SELECT count() FROM spans", format="TSV") == b"0\n"
        process.send_signal(getattr(signal, told("STOPSIGNAL")[0].text))
        process.stderr.read()
        assert process.wait(30) == 0
    assert subprocess.run(python, env=settings, check=False, stderr=-3).returncode != 0


def test_compose_fits_together() -> None:
    services = compose()["services"]
    assert set(services) == {"clickhouse", "processor", "grafana"}
    for service in services.values():
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:"), "nothing listens beyond this machine by default"
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in compose()["volumes"] or (DOCKER / source).exists()
        for other in service.get("depends_on", {}):
            assert other in services
    build = services["processor"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).resolve() == DOCKER / "Dockerfile"
    store = services["processor"]["environment"]["TOLLWAY_STORE"]
    database = services["clickhouse"]["environment"]["CLICKHOUSE_DB"]
    assert store.endswith(f"@clickhouse:8123/{database}")


def test_compose_command_is_one_the_cli_takes(capsys: pytest.CaptureFixture[str]) -> None:
    command = compose()["services"]["processor"]["command"]
    assert command[0] == "tollway"
    with pytest.raises(SystemExit) as ended:
        main([*command[1:], "--help"])
    assert ended.value.code == 0
    assert "--store" in capsys.readouterr().out


def test_grafana_reads_as_the_read_only_user() -> None:
    users = ElementTree.parse(DOCKER / "clickhouse/users.d/reader.xml").getroot()
    provisioned = yaml.safe_load(
        (DOCKER / "grafana/provisioning/datasources/clickhouse.yaml").read_text()
    )
    (source,) = provisioned["datasources"]
    user = users.find(f"users/{source['jsonData']['username']}")
    assert user is not None
    password = user.find("password")
    assert password is not None
    variable = password.attrib["from_env"]
    assert source["secureJsonData"]["password"] == f"${variable}"
    for name in ("clickhouse", "grafana"):
        assert variable in compose()["services"][name]["environment"]
    profile = users.find(f"profiles/{user.findtext('profile')}")
    assert profile is not None
    assert (profile.findtext("readonly"), profile.findtext("final")) == ("2", "1")
    granted = user.findtext("grants/query")
    assert granted == f"GRANT SELECT ON {source['jsonData']['defaultDatabase']}.*"
    assert source["uid"] == dashboard()["panels"][0]["datasource"]["uid"]
    mounted = [v.split(":")[1] for v in compose()["services"]["grafana"]["volumes"]]
    provider = yaml.safe_load((DOCKER / "grafana/provisioning/dashboards/tollway.yaml").read_text())
    assert provider["providers"][0]["options"]["path"] in mounted


def dashboard() -> dict[str, Any]:
    return dict(json.loads((DOCKER / "grafana/dashboards/tollway.json").read_text()))
