"""The compose file: settings that can be served, services that exist, nothing that is too open."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from fileloft_fast.config import ROWS, read_settings, unknown_variables
from tests.images.dockerfile import ROOT, parse_dockerfile

FILE: Final = ROOT / "deploy" / "compose.yaml"
TEXT: Final = FILE.read_text()
WHOLE: Final[dict[str, Any]] = yaml.safe_load(TEXT)
SERVICES: Final[dict[str, dict[str, Any]]] = WHOLE["services"]
OURS: Final = sorted(name for name, made in SERVICES.items() if "build" in made)
PORT: Final = ROWS["bind"].default.rsplit(":", 1)[1]
DATA: Final = ROWS["data_dir"].default


def environment(name: str) -> dict[str, str]:
    """Return a service's environment, with something for what the caller has to set."""
    given = SERVICES[name]["environment"].items()
    return {variable: re.sub(r"\$\{\w+:\?[^}]*\}", "given", value) for variable, value in given}


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_a_replica_can_be_served(name: str) -> None:
    env = {"FILELOFT_BACKEND": SERVICES[name]["build"]["target"], **environment(name)}
    settings = read_settings(env)
    assert unknown_variables(env) == []
    grace_s = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert grace_s > settings.shutdown_timeout_s


@pytest.mark.parametrize("name", OURS)
def test_a_replica_finds_its_services_under_their_names_and_ports(name: str) -> None:
    settings = read_settings(environment(name))
    hosts = re.findall(r"//(\w+):(\d+)", f"{settings.redis_url} {settings.s3_endpoint}")
    assert hosts == [("redis", "6379"), ("seaweedfs", "8333")]
    assert {host for host, _ in hosts} == set(SERVICES[name]["depends_on"])
    assert f"-s3.port={hosts[1][1]}" in SERVICES["seaweedfs"]["command"]
    assert f"-bucket={settings.s3_bucket}" in SERVICES["seaweedfs"]["command"]
    stages = {stage.name for stage in parse_dockerfile((ROOT / "Dockerfile").read_text())}
    assert SERVICES[name]["build"]["target"] in stages
    assert (FILE.parent / SERVICES[name]["build"]["context"] / "Dockerfile").is_file()


def test_every_replica_has_a_port_and_a_spool_of_its_own() -> None:
    ports = [port.split(":") for name in OURS for port in SERVICES[name]["ports"]]
    assert {inner for _, inner in ports} == {PORT}
    assert len({outer for outer, _ in ports}) == len(OURS) == 2
    spools = [volume.split(":") for name in OURS for volume in SERVICES[name]["volumes"]]
    assert {path for _, path in spools} == {DATA}
    assert len({volume for volume, _ in spools}) == len(OURS)


@pytest.mark.parametrize("name", [*OURS, "redis"])
def test_a_service_has_no_rights_that_it_does_not_need(name: str) -> None:
    made = SERVICES[name]
    assert made["read_only"] is True
    assert made["cap_drop"] == ["ALL"]
    assert made["security_opt"] == ["no-new-privileges:true"]


def test_every_service_that_is_waited_for_has_a_health_check() -> None:
    waited = {each for name in OURS for each in SERVICES[name]["depends_on"]}
    assert all("test" in SERVICES[each]["healthcheck"] for each in waited)


def test_every_volume_is_declared_and_used() -> None:
    used = {
        volume.split(":")[0] for made in SERVICES.values() for volume in made.get("volumes", [])
    }
    assert used == set(WHOLE["volumes"])


def test_no_image_is_whatever_is_newest_and_no_secret_is_written_down() -> None:
    images = {made["image"] for made in SERVICES.values()}
    assert all(re.fullmatch(r"[\w/-]+:[\w.-]+", image) for image in images), images
    assert not any(image.endswith(":latest") for image in images)
    assert len(re.findall(r"(ACCESS_KEY_ID|SECRET_ACCESS_KEY): \$\{\w+:\?", TEXT)) == 4


def test_seaweedfs_knows_the_options_that_it_is_given() -> None:
    command, *options = SERVICES["seaweedfs"]["command"]
    weed = str(Path(sys.executable).parent / "weed")
    shown = subprocess.run([weed, "help", command], capture_output=True, text=True, check=False)
    known = set(re.findall(r"^\s+-([\w.]+)", shown.stdout + shown.stderr, re.MULTILINE))
    assert {option[1:].partition("=")[0] for option in options} <= known
