"""A CRM simulator for each test: the real server, in a process of its own."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import reverse_sync as rs

REPOSITORY = Path(__file__).resolve().parents[2]
TOKEN = "test-token"


class Simulator:
    """HubSpot with contacts, and a look behind it."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def asked(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base_url}/_sim/{path}", data, method=method)
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def value(self, provider_id: str, name: str) -> Any:
        return self.asked("GET", f"hubspot/contacts/{provider_id}")["properties"].get(name)

    def fault(self, fault: object, **rule: object) -> None:
        self.asked("POST", "faults", {"fault": fault, **rule})

    def writes(self) -> list[dict[str, Any]]:
        writes: list[dict[str, Any]] = self.asked("GET", "writes")
        return writes

    def requests(self) -> int:
        return len(self.asked("GET", "requests"))

    def source(self, **keys: object) -> rs.Source:
        usual = {"provider": "hubspot", "base_url": self.base_url, "access_token": {"env": "HUBSPOT_TOKEN"}}
        return cast(rs.Source, {**usual, **keys})


def contact(number: int) -> str:
    """The id of a contact that the simulator begins with, counted from 0."""
    return str(492564112121 + 3 * number)


def people(**keys: object) -> rs.Destination:
    config = {"provider_id_field": "hs_object_id", "fields": ["firstname", "city"]}
    usual = {"name": "people", "destination_type": "hubspot_dest", "entity_type": "person", "config_json": config}
    return cast(rs.Destination, {**usual, **keys})


Start = Callable[[int], Simulator]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a simulator with so many contacts."""
    default = REPOSITORY / "target/debug/crm-simulator"
    program = os.environ.get("REVERSE_SYNC_SIMULATOR", str(default))
    running: list[subprocess.Popen[str]] = []

    def started(contacts: int) -> Simulator:
        arguments = ["--listen", "127.0.0.1:0", "--hubspot-contacts", str(contacts), "--salesforce-contacts", "0"]
        process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return Simulator(process.stdout.readline().strip())

    yield started
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def crm(start: Start) -> Simulator:
    return start(10)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a folder of its own; the token is where it is expected."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUBSPOT_TOKEN", TOKEN)


@pytest.fixture
def command() -> str:
    """The command that came with the wheel."""
    return str(Path(sys.executable).parent / "reverse-sync")
