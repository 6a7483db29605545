"""From records to a plan, whatever they are in."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow
import pytest

import reverse_sync as rs
from conftest import REPOSITORY, Simulator, Start, contact, people

COLUMNS = {
    "hs_object_id": [contact(0), contact(1), None],
    "firstname": ["Brian", "Maria", "Nobody"],
    "city": ["Boston", "Zürich", "Lyon"],
}


def duckdb_relation() -> object:
    table = pyarrow.table(COLUMNS)
    connection = duckdb.connect()
    connection.register("golden", table)
    return connection.sql("select * from golden")


RECORDS: dict[str, Callable[[], object]] = {
    "pyarrow table": lambda: pyarrow.table(COLUMNS),
    "pyarrow reader": lambda: pyarrow.table(COLUMNS).to_reader(max_chunksize=1),
    "polars": lambda: polars.DataFrame(COLUMNS),
    "pandas": lambda: pandas.DataFrame(COLUMNS),
    "duckdb": duckdb_relation,
}


@pytest.mark.parametrize("kind", RECORDS)
def test_each_library_gives_the_same_plan(crm: Simulator, kind: str) -> None:
    destination, source = people(), crm.source()
    plan = rs.plan(RECORDS[kind](), destination=destination, source=source)  # type: ignore[arg-type]
    expected = rs.plan(pyarrow.table(COLUMNS), destination=destination, source=source)
    assert plan.id == expected.id
    summary = plan.summary
    assert (summary["total"], summary["writable"], summary["skipped"]) == (3, 2, 1)
    assert summary["skipped_by_reason"] == {"provider_id_null": 1}
    assert crm.writes() == []


def test_the_example_gives_the_plan_of_the_command(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "contacts"
    shutil.copytree(REPOSITORY / "examples/contacts", folder, ignore=shutil.ignore_patterns(".reverse-sync"))
    asked = [command, "plan", "people", "--json", "--offline"]
    said = json.loads(subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=True).stdout)
    plan = rs.plan(
        folder / "golden/*.csv",
        destination={
            "name": "people",
            "destination_type": "hubspot_dest",
            "entity_type": "person",
            "config_json": {
                "provider_id_field": "hs_object_id",
                "source_id": "src_1",
                "object": "contacts",
                "fields": ["firstname", "lastname", "email", "city"],
            },
        },
        source={"provider": "hubspot", "base_url": "http://127.0.0.1:8099"},
        mode="offline",
    )
    summary = plan.summary
    assert (summary["total"], summary["writable"], summary["skipped"]) == (53, 2, 51)
    assert plan.id == said["plan_id"]
    assert summary == {**said, "planned_at": summary["planned_at"]}


def test_changes_are_an_arrow_stream_of_several_batches(tmp_path: Path, start: Start) -> None:
    crm = start(0)
    ids = [contact(number) for number in range(10_000)]
    golden = pyarrow.table({"hs_object_id": ids, "city": [f"City {number}" for number in range(10_000)]})
    plan = rs.plan(golden, destination=people(), source=crm.source(), mode="offline")
    batches = list(pyarrow.RecordBatchReader.from_stream(plan.changes()))
    assert len(batches) > 1 and sum(batch.num_rows for batch in batches) == 10_000
    # A stream is read once; the changes give a new one each time.
    changes = plan.changes()
    for _ in range(2):
        frame = polars.DataFrame(changes)
        assert frame.columns == ["row", "provider_id", "fields", "before"]
        assert json.loads(frame["fields"][9_999]) == {"city": "City 9999"}
        assert frame["before"].null_count() == 10_000


def test_compare_knows_what_was_there(crm: Simulator) -> None:
    before = crm.value(contact(0), "firstname")
    golden = pyarrow.table({"hs_object_id": [contact(0), contact(1)], "firstname": ["Zoë", crm.value(contact(1), "firstname")]})
    plan = rs.plan(golden, destination=people(), source=crm.source())
    [change] = pyarrow.table(plan.changes()).to_pylist()
    assert change["provider_id"] == contact(0)
    assert json.loads(change["before"]) == {"firstname": before}
    assert plan.summary["skipped_by_reason"] == {"unchanged": 1}


def test_a_notebook_shows_counts_guards_and_values_and_no_markup_of_theirs(crm: Simulator) -> None:
    crm.asked("PUT", f"hubspot/contacts/{contact(0)}", {"firstname": "<b>old</b>", "city": "Lyon"})
    golden = pyarrow.table({"hs_object_id": [contact(0)], "firstname": ["<script>alert('x')</script>"]})
    destination = people(name="a & b", guards={"max_changes": 0})
    plan = rs.plan(golden, destination=destination, source=crm.source())
    html = plan._repr_html_()
    assert "<script" not in html and "<b>" not in html
    for shown in (
        "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;",
        "&lt;b&gt;old&lt;/b&gt;",
        "a &amp; b",
        "1 of 1 records would be updated",
        "Held back by max_changes",
        plan.id,
    ):
        assert shown in html, shown
    assert repr(plan) == f'<reverse_sync.Plan {plan.id} for "a & b": 1 of 1 records would be updated, held back by a guard>'


def test_other_threads_go_on_while_a_plan_is_made(crm: Simulator) -> None:
    crm.fault({"latency": 700}, times=1)
    counted = 0
    done = threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.wait(0.01):
            counted += 1

    counting = threading.Thread(target=count)
    counting.start()
    rs.plan(pyarrow.table(COLUMNS), destination=people(), source=crm.source())
    done.set()
    counting.join()
    assert counted > 20


def test_a_plan_is_found_again_by_its_id(crm: Simulator) -> None:
    destination, source = people(), crm.source()
    made = rs.plan(pyarrow.table(COLUMNS), destination=destination, source=source)
    found = rs.load_plan(made.id, destination=destination, source=source)
    assert (found.id, found.summary) == (made.id, made.summary)
    with pytest.raises(rs.InputError) as raised:
        rs.load_plan("plan_" + "0" * 32, destination=destination, source=source)
    assert raised.value.code == "not_found"


def test_a_forked_process_plans_for_itself(crm: Simulator) -> None:
    import multiprocessing

    destination, source = people(), crm.source()
    made = rs.plan(pyarrow.table(COLUMNS), destination=destination, source=source)

    def child(queue: "multiprocessing.Queue[str]") -> None:
        try:
            made.confirm(made.id).run()
        except rs.InternalError as error:
            queue.put(str(error))
        queue.put(rs.plan(pyarrow.table(COLUMNS), destination=destination, source=source).id)

    context = multiprocessing.get_context("fork")
    queue: "multiprocessing.Queue[str]" = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    assert "load_plan" in queue.get(timeout=30)
    assert queue.get(timeout=30) == made.id
    process.join(30)


def test_a_stream_that_breaks_off_says_so(crm: Simulator) -> None:
    schema = pyarrow.schema([("hs_object_id", pyarrow.string()), ("city", pyarrow.string())])

    def batches() -> Iterator[pyarrow.RecordBatch]:
        yield pyarrow.record_batch([[contact(0)], ["Lyon"]], schema=schema)
        raise RuntimeError("the database has gone")

    reader = pyarrow.RecordBatchReader.from_batches(schema, batches())
    with pytest.raises(rs.InputError, match="the Arrow stream: .*the database has gone") as raised:
        rs.plan(reader, destination=people(), source=crm.source())
    assert raised.value.code == "golden_records"


def test_ids_that_pandas_made_floats_are_skipped_and_not_guessed(crm: Simulator) -> None:
    golden = pandas.DataFrame({"hs_object_id": [492564112121, None], "city": ["Lyon", "Paris"]})
    plan = rs.plan(golden, destination=people(), source=crm.source(), mode="offline")
    assert plan.summary["writable"] == 0
    with_ids = golden.astype({"hs_object_id": "Int64"})
    plan = rs.plan(with_ids, destination=people(), source=crm.source(), mode="offline")
    assert plan.summary["writable"] == 1
