"""The compose file and the image: no password is written down or has a default, and nothing is open to the network."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")

SECRET_NAME = re.compile(r"PASSWORD|PASSWD|AUTH|SECRET|TOKEN|CREDENTIAL|ACCESS_KEY|API_KEY", re.IGNORECASE)
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")  # compose refuses to start without it, with a message
WITH_DEFAULT = re.compile(r"\$\{([A-Z_]+)(?::?-[^}]*)?\}")  # ${X} is empty where it is unset, ${X:-y} is y


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
    return found


def variables() -> list[tuple[str, str, str]]:
    """Every variable that a service is given: the service, the name, the value."""
    return [
        (service, name, str(value))
        for service, definition in services().items()
        for name, value in definition.get("environment", {}).items()
    ]


def test_every_password_comes_from_outside_and_is_required() -> None:
    secrets = [(service, name, value) for service, name, value in variables() if SECRET_NAME.search(name)]
    assert {(service, name) for service, name, _ in secrets} == {
        ("postgres", "POSTGRES_PASSWORD"),
        ("server", "PREFECT_SERVER_DATABASE_PASSWORD"),
        ("server", "PREFECT_SERVER_API_AUTH_STRING"),
        ("deploy", "PREFECT_API_AUTH_STRING"),
        ("worker", "PREFECT_API_AUTH_STRING"),
    }
    assert [entry for entry in secrets if not REQUIRED.fullmatch(entry[2])] == []


def test_no_secret_has_a_default_or_is_written_down() -> None:
    code = "\n".join(line.partition(" #")[0] for line in COMPOSE.splitlines() if not line.lstrip().startswith("#"))
    assert [name for name in WITH_DEFAULT.findall(code) if SECRET_NAME.search(name)] == []
    assert re.findall(r"://[^/\s]*:[^/\s]*@", code) == []  # a password inside of a URL
    set_in_image = re.findall(r"^\s*(?:ARG|ENV)?\s*([A-Z_]+)=\S", DOCKERFILE, re.MULTILINE)
    assert "PYTHONUNBUFFERED" in set_in_image
    assert [name for name in set_in_image if SECRET_NAME.search(name)] == []


def test_the_client_and_the_server_are_told_the_same_password() -> None:
    asked = {re.findall(r"\$\{([A-Z_]+)", value)[0] for _, name, value in variables() if SECRET_NAME.search(name)}
    assert asked == {"POSTGRES_PASSWORD", "PREFECT_SERVER_API_AUTH_STRING"}
    assert all(f"{name}=" in COMPOSE.partition("name: pretrain")[0] for name in asked)  # what to export, at the top


def test_ports_are_published_to_this_machine_alone_and_ours_run_without_privileges() -> None:
    ports = [port for definition in services().values() for port in definition.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)
    for name in ("server", "deploy", "worker"):
        assert services()[name]["cap_drop"] == ["ALL"]
        assert services()[name]["security_opt"] == ["no-new-privileges:true"]
    assert re.search(r"^USER (?!root)\w+", DOCKERFILE, re.MULTILINE)
