"""From a plan to what became of it, through the gate."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pyarrow
import pytest

import reverse_sync as rs
from conftest import Simulator, Start, contact, people


def golden(count: int, city: str = "Lyon") -> pyarrow.Table:
    return pyarrow.table({"hs_object_id": [contact(number) for number in range(count)], "city": [city] * count})


def test_what_is_confirmed_is_written_and_undone(crm: Simulator) -> None:
    before = [crm.value(contact(number), "city") for number in range(3)]
    seen: list[tuple[int, int]] = []
    plan = rs.plan(golden(3), destination=people(), source=crm.source())
    run = plan.confirm(plan.id).run(verify="all", progress=lambda at: seen.append((at.done, at.total)))
    assert run.ok and run.id and run.errors() == []
    assert (run.summary["updated"], run.summary["plan_id"]) == (3, plan.id)
    assert run.summary["verified"]["as_written"] == 3
    assert repr(run) == f"<reverse_sync.Run {run.id}: 3 updated>"
    assert seen[-1] == (3, 3)
    assert [crm.value(contact(number), "city") for number in range(3)] == ["Lyon"] * 3

    undo = run.undo()
    assert undo.summary["undoes"] == run.id
    assert [crm.value(contact(number), "city") for number in range(3)] == ["Lyon"] * 3, "an undo is a plan"
    again = rs.undo(run.id, destination=people(), source=crm.source())
    assert again.id == undo.id
    assert undo.confirm(undo.id).run().ok
    assert [crm.value(contact(number), "city") for number in range(3)] == before


def test_another_id_confirms_nothing(crm: Simulator) -> None:
    plan = rs.plan(golden(1), destination=people(), source=crm.source())
    other = rs.plan(golden(1, "Paris"), destination=people(), source=crm.source())
    for wrong in (other.id, "plan_1", "", plan.id.upper()):
        with pytest.raises(rs.RefusedError) as raised:
            plan.confirm(wrong)
        assert raised.value.code == "stale_plan"
    with pytest.raises(TypeError):
        plan.confirm()  # type: ignore[call-arg]
    # There is no other way to a run.
    assert not hasattr(plan, "run")
    with pytest.raises(TypeError):
        rs.ConfirmedPlan()
    assert crm.writes() == []


def test_a_guard_holds_a_plan_back_until_it_is_overridden_by_name(crm: Simulator) -> None:
    plan = rs.plan(golden(3), destination=people(guards={"max_changes": 2}), source=crm.source())
    with pytest.raises(rs.RefusedError) as raised:
        plan.confirm(plan.id)
    assert raised.value.code == "guarded"
    assert raised.value.hint is not None and 'override=["max_changes"]' in raised.value.hint
    assert raised.value.__notes__ == [raised.value.hint]
    with pytest.raises(rs.InputError):
        plan.confirm(plan.id, override=["max_chnages"])
    assert plan.confirm(plan.id, override=["max_changes"]).run(canary=1).ok


def test_a_plan_of_other_records_than_now_is_stale(crm: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "golden.csv"
    file.write_text(f"hs_object_id,city\n{contact(0)},Lyon\n")
    plan = rs.plan(file, destination=people(), source=crm.source())
    file.write_text(f"hs_object_id,city\n{contact(0)},Paris, France\n")
    with pytest.raises(rs.RefusedError) as raised:
        plan.confirm(plan.id)
    assert raised.value.code == "stale_plan" and crm.writes() == []


def test_a_plan_with_nothing_to_write_is_no_run(crm: Simulator) -> None:
    nothing = pyarrow.table({"hs_object_id": pyarrow.array([None], pyarrow.string()), "city": ["Lyon"]})
    plan = rs.plan(nothing, destination=people(), source=crm.source())
    assert "ingest and resolve" in plan.summary["hint"]
    run = plan.confirm(plan.id).run()
    assert run.ok and run.id is None
    with pytest.raises(rs.ConflictError):
        run.undo()


def test_records_that_fail_are_told_with_the_answer_of_the_crm(crm: Simulator) -> None:
    gone = contact(1)
    plan = rs.plan(golden(3), destination=people(), source=crm.source())
    crm.asked("POST", f"hubspot/contacts/{gone}/archive")
    run = plan.confirm(plan.id).run()
    assert not run.ok and "1 failed" in repr(run)
    [error] = run.errors()
    assert (error["provider_id"], error["outcome"], error["row"]) == (gone, "failed", 2)
    assert error["response"]["message"]
    assert run.errors(limit=0) == []


def test_the_audit_log_says_who_confirmed_what_and_what_became_of_it(crm: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")
    plan = rs.plan(golden(3), destination=people(guards={"max_changes": 2}), source=crm.source())
    with pytest.raises(rs.RefusedError):
        plan.confirm(plan.id)
    plan.confirm(plan.id, override=["max_changes"]).run()
    rows = [json.loads(line) for line in (tmp_path / ".reverse-sync/audit_log.jsonl").read_text().splitlines()]
    assert [row["action"] for row in rows] == ["run.refused", "run.begin", "destination.reverse_run"]
    assert {(row["who"], row["plan_id"]) for row in rows} == {("ada", plan.id)}
    assert rows[2]["overridden"] == ["max_changes"] and rows[2]["report"]["updated"] == 3


def interrupt_after(seconds: float) -> threading.Timer:
    # A shell starts what it runs in the background with this signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def test_ctrl_c_stops_a_plan(crm: Simulator) -> None:
    crm.fault({"latency": 20_000})
    timer = interrupt_after(0.5)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        rs.plan(golden(3), destination=people(), source=crm.source())
    timer.join()
    assert time.monotonic() - started < 5


def test_ctrl_c_stops_a_run_between_batches_and_it_resumes(start: Start) -> None:
    many = 5_000
    crm = start(many)
    # 100 records at a time, so that there is something left to stop.
    source = crm.source(limit={"calls": 20, "per_seconds": 1})
    plan = rs.plan(golden(many), destination=people(), source=source, mode="offline")
    crm.fault({"latency": 200}, path="batch/update")
    confirmed = plan.confirm(plan.id)
    timer = interrupt_after(0.7)
    with pytest.raises(KeyboardInterrupt):
        confirmed.run()
    timer.join()
    written = len(crm.writes())
    time.sleep(1)
    assert 0 < written < many
    assert len(crm.writes()) == written, "what was in flight had ended"

    crm.asked("DELETE", "faults")
    run = confirmed.run()
    assert run.ok and run.summary["updated"] == many
    assert len(crm.writes()) == many, "each was written once"


def test_an_exception_of_progress_stops_the_run_and_is_raised(crm: Simulator) -> None:
    class Enough(Exception):
        pass

    def progress(at: rs.Progress) -> None:
        raise Enough

    plan = rs.plan(golden(3), destination=people(), source=crm.source())
    crm.fault({"latency": 400}, path="batch/update")
    with pytest.raises(Enough):
        plan.confirm(plan.id).run(progress=progress)
    with pytest.raises(TypeError):
        plan.confirm(plan.id).run(progress="loud")  # type: ignore[arg-type]
