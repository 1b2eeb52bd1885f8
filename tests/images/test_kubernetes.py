"""The Kubernetes files: valid, restricted, and in agreement with the image and the settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from fileloft_fast.config import read_settings, unknown_variables
from tests.images.dockerfile import ROOT

Document = dict[str, Any]

FOLDER: Final = ROOT / "deploy" / "kubernetes"
DOCUMENTS: Final[dict[str, Document]] = {
    f"{path.name}: {made['kind']} {made['metadata']['name']}": made
    for path in sorted(FOLDER.glob("*.yaml"))
    for made in yaml.safe_load_all(path.read_text())
}
WORKLOADS: Final = [name for name, made in DOCUMENTS.items() if "template" in made.get("spec", {})]
OURS: Final = [name for name in WORKLOADS if "redis" not in name]


def of_kind(kind: str) -> list[Document]:
    """Return the documents of that kind."""
    return [made for made in DOCUMENTS.values() if made["kind"] == kind]


def pod(name: str) -> Document:
    """Return what a workload says of its pods."""
    spec: Document = DOCUMENTS[name]["spec"]["template"]["spec"]
    return spec


def container(name: str) -> Document:
    """Return the one container of a workload."""
    (made,) = pod(name)["containers"]
    return dict(made)


def environment(name: str) -> dict[str, str]:
    """Return the settings of a workload, by its own list and by the ConfigMaps that it names."""
    made = container(name)
    env = {"FILELOFT_BACKEND": made["image"].rsplit(":", 1)[1]}  # as the image has it
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind("ConfigMap")}
    for source in made.get("envFrom", []):
        if "configMapRef" in source:
            env |= maps[source["configMapRef"]["name"]]
    return env | {each["name"]: each["value"] for each in made.get("env", [])}


def labelled(selector: dict[str, str]) -> list[str]:
    """Return the workloads whose pods *selector* means."""
    found = []
    for name in WORKLOADS:
        labels = DOCUMENTS[name]["spec"]["template"]["metadata"]["labels"]
        if selector.items() <= labels.items():
            found.append(name)
    return found


def selectors() -> Iterator[dict[str, str]]:
    """Yield what services, budgets and policies select."""
    for made in DOCUMENTS.values():
        spec = made.get("spec", {})
        if made["kind"] == "Service":
            yield spec["selector"]
        for key in ("selector", "podSelector"):
            if "matchLabels" in spec.get(key, {}):
                yield spec[key]["matchLabels"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_what_kubernetes_takes(name: str) -> None:
    kubernetes_validate.validate(DOCUMENTS[name], "1.34", strict=True)


def test_a_document_that_is_wrong_is_seen() -> None:
    wrong = of_kind("Service")[0] | {"spec": {"ports": "80"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


@pytest.mark.parametrize("name", OURS)
def test_the_settings_can_be_served(name: str) -> None:
    env = environment(name)
    settings = read_settings(env)
    assert unknown_variables(env) == []
    assert pod(name)["terminationGracePeriodSeconds"] > settings.shutdown_timeout_s + 5
    (mount,) = container(name)["volumeMounts"]
    assert mount["mountPath"] == settings.data_dir


@pytest.mark.parametrize("name", OURS)
def test_the_ports_are_those_that_the_server_listens_on(name: str) -> None:
    settings = read_settings(environment(name))
    assert settings.metrics_bind is not None
    ports = {each["name"]: each["containerPort"] for each in container(name)["ports"]}
    assert ports == {"http": settings.bind[0].port, "metrics": settings.metrics_bind[0].port}


@pytest.mark.parametrize("name", OURS)
def test_alive_and_ready_are_asked_where_metrics_are(name: str) -> None:
    asked = {
        probe: container(name)[probe]["httpGet"] for probe in ("livenessProbe", "startupProbe")
    }
    assert (
        asked["startupProbe"] == asked["livenessProbe"] == {"path": "/healthz", "port": "metrics"}
    )
    ready = container(name)["readinessProbe"]["httpGet"]
    assert ready == {"path": "/readyz", "port": "metrics"}


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_is_restricted(name: str) -> None:
    # what the profile "restricted" of the pod security standards asks for, and a read-only root
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(name)["automountServiceAccountToken"] is False
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container(name)["resources"]["limits"]


def test_whatever_is_selected_is_there() -> None:
    for selector in selectors():
        assert len(labelled(selector)) == 1, selector


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_pod_has_a_service_and_a_policy(name: str) -> None:
    services = [made["spec"]["selector"] for made in of_kind("Service")]
    policies = [made["spec"]["podSelector"]["matchLabels"] for made in of_kind("NetworkPolicy")]
    for kind in (services, policies):
        assert any(name in labelled(selector) for selector in kind)


def test_a_service_leads_to_a_port_that_its_pods_have() -> None:
    for made in of_kind("Service"):
        (name,) = labelled(made["spec"]["selector"])
        names = {port["name"] for port in container(name)["ports"]}
        assert {port["targetPort"] for port in made["spec"]["ports"]} <= names


def test_redis_is_found_under_its_service() -> None:
    (settings,) = (read_settings(environment(name)) for name in OURS if "Deployment" in name)
    found = re.search(r"//([\w-]+):(\d+)", settings.redis_url)
    assert found is not None
    (redis,) = (m for m in of_kind("Service") if m["metadata"]["name"] == found[1])
    assert redis["spec"]["ports"][0]["port"] == int(found[2])


def test_a_spool_is_evicted_only_beyond_its_own_bound() -> None:
    (name,) = (name for name in OURS if "Deployment" in name)
    (volume,) = pod(name)["volumes"]
    limit = int(volume["emptyDir"]["sizeLimit"].removesuffix("Gi")) << 30
    assert limit > read_settings(environment(name)).spool_max_bytes
    ephemeral = container(name)["resources"]["limits"]["ephemeral-storage"]
    assert int(ephemeral.removesuffix("Gi")) << 30 > limit


def test_one_namespace_holds_all() -> None:
    (namespace,) = of_kind("Namespace")
    others = {m["metadata"]["namespace"] for m in DOCUMENTS.values() if m["kind"] != "Namespace"}
    assert others == {namespace["metadata"]["name"]}
