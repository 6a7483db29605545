"""The examples, as people run them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY, Simulator, Start, contact

EXAMPLES = REPOSITORY / "examples/python"


def run(example: str, *arguments: str, said: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    asked = [sys.executable, str(EXAMPLES / example), *arguments]
    return subprocess.run(asked, input=said, env={**os.environ, **variables}, capture_output=True, text=True)


def test_duckdb_to_plan(crm: Simulator, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "examples/contacts/golden", tmp_path / "golden")
    done = run("duckdb_plan.py", HUBSPOT_URL=crm.base_url)
    assert done.returncode == 0, done.stderr
    assert contact(0) in done.stdout and "Halligan" in done.stdout
    assert '"people": 2 of 2 records would be updated>' in done.stdout
    assert crm.writes() == []


def test_goldenmatch_to_plan_and_guards_that_see_what_it_takes_from_phone_numbers(start: Start, tmp_path: Path) -> None:
    crm = start(0)
    lines = ["hs_object_id,firstname,lastname,email,phone,city"]
    for number in range(100):
        before = {"firstname": "Ada", "lastname": "Haddad", "phone": f"+49 (30) 1234-{number:03}", "city": "Berlin"}
        crm.asked("PUT", f"hubspot/contacts/{contact(2 * number)}", before)
        lines.append(f"{contact(2 * number)},Ada,Haddad,ada{number}@example.com,{before['phone']},Berlin")
        lines.append(f"{contact(2 * number + 1)},Ada,Haddad,ADA{number}@example.com,,Potsdam")
    (tmp_path / "contacts.csv").write_text("\n".join(lines) + "\n")
    plain = run("goldenmatch_plan.py", HUBSPOT_URL=crm.base_url)
    assert plain.returncode == 0, plain.stderr
    assert "of 100 records would be updated" in plain.stdout and "max_lossy_percent" not in plain.stdout
    degraded = run("goldenmatch_plan.py", "--standardize-phones", HUBSPOT_URL=crm.base_url)
    assert degraded.returncode == 0, degraded.stderr
    assert "held back by max_lossy_percent: phone " in degraded.stdout, degraded.stdout[:2000]
    assert crm.writes() == []


def tap(count: int) -> str:
    """What a tap prints."""
    schema = {"type": "SCHEMA", "stream": "people", "key_properties": ["hs_object_id"], "schema": {"properties": {"hs_object_id": {}, "city": {}}}}
    records = [{"type": "RECORD", "stream": "people", "record": {"hs_object_id": contact(number), "city": "Lyon"}} for number in range(count)]
    messages = [schema, *records, {"type": "STATE", "value": {"bookmark": count}}]
    return "".join(json.dumps(message) + "\n" for message in messages)


@pytest.fixture
def config(crm: Simulator, tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    destination = {"destination_type": "hubspot_dest", "entity_type": "person", "config_json": {"provider_id_field": "hs_object_id"}}
    path.write_text(json.dumps({"destination": destination, "source": crm.source(), "yes_below": 3}))
    return path


def test_the_singer_target_holds_the_state_until_somebody_says_yes(crm: Simulator, config: Path) -> None:
    planned = run("singer_target.py", str(config), said=tap(5))
    assert (planned.returncode, planned.stdout) == (3, ""), planned.stderr
    assert crm.writes() == []
    plan_id = planned.stderr.split()[-1]
    confirmed = run("singer_target.py", str(config), "--confirm", plan_id)
    assert (confirmed.returncode, json.loads(confirmed.stdout)) == (0, {"bookmark": 5}), confirmed.stderr
    assert [crm.value(contact(number), "city") for number in range(5)] == ["Lyon"] * 5


def test_the_singer_target_runs_small_plans_by_a_standing_yes(crm: Simulator, config: Path) -> None:
    done = run("singer_target.py", str(config), said=tap(2))
    assert (done.returncode, json.loads(done.stdout)) == (0, {"bookmark": 2}), done.stderr
    assert crm.value(contact(1), "city") == "Lyon"


def test_the_singer_target_passes_no_state_on_of_records_that_did_not_arrive(crm: Simulator, config: Path) -> None:
    crm.fault({"status": 400}, method="POST", path="batch/update")
    done = run("singer_target.py", str(config), said=tap(2))
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
