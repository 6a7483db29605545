"""A Singer target: RECORDs of any tap become a plan; the STATE is held back until they have arrived.

    tap-postgres --config tap.json | python singer_target.py config.json > state.json
    python singer_target.py config.json --confirm plan_0123 > state.json

The first line plans and ends with the plan's id (exit code 3: nobody has said yes). Somebody looks at the plan and runs it by that
id: the second line. With `"yes_below": 100` in the configuration, plans of fewer changes that no guard holds back are run at once.
The STATE is passed on when every change has its outcome in the run's journal and all of them are in the CRM.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow

import reverse_sync as rs

BATCH = 1_000
STATES = Path(".reverse-sync/singer")


class Messages:
    """What the tap says: its records as Arrow, its last state aside."""

    def __init__(self) -> None:
        self.state: Any = None
        self.columns: list[str] = []
        self.records = self.read()

    def read(self) -> Iterator[dict[str, Any]]:
        stream = None
        for line in sys.stdin:
            message = json.loads(line)
            kind = message["type"]
            if kind == "STATE":
                self.state = message["value"]
            elif kind == "SCHEMA":
                self.columns = list(message["schema"]["properties"])
            elif kind == "RECORD":
                stream = stream or message["stream"]
                if message["stream"] != stream:
                    sys.exit(f"one destination takes one stream: `{stream}`, and `{message['stream']}` came, too; select one in the tap")
                yield message["record"]

    def arrow(self) -> pyarrow.RecordBatchReader:
        """A column of JSON values for each property, so that a value stays as the tap has spelled it."""
        first = next(self.records, None)
        if not self.columns:
            sys.exit("no SCHEMA came before the first RECORD; is this the output of a tap?")
        extension = {"ARROW:extension:name": "arrow.json"}
        schema = pyarrow.schema([pyarrow.field(name, pyarrow.string(), metadata=extension) for name in self.columns])

        def batches() -> Iterator[pyarrow.RecordBatch]:
            rows = [first] if first is not None else []
            for record in self.records:
                rows.append(record)
                if len(rows) == BATCH:
                    yield self.batch(rows, schema)
                    rows = []
            yield self.batch(rows, schema)

        return pyarrow.RecordBatchReader.from_batches(schema, batches())

    def batch(self, rows: list[dict[str, Any]], schema: pyarrow.Schema) -> pyarrow.RecordBatch:
        spelled = [[json.dumps(row[name]) if name in row else None for row in rows] for name in self.columns]
        return pyarrow.record_batch(spelled, schema=schema)


def run(plan: rs.Plan, state: Any) -> None:
    """Writes what was confirmed, then says that it has arrived."""
    done = plan.confirm(plan.id).run()
    print(done, file=sys.stderr)
    if not done.ok:
        for error in done.errors(limit=10):
            print(json.dumps(error), file=sys.stderr)
        sys.exit(1)
    if state is not None:
        print(json.dumps(state))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("config", type=Path, help="a JSON file: destination, source and, for a standing yes, yes_below")
    arguments.add_argument("--confirm", metavar="PLAN_ID", help="the plan that somebody has looked at and says yes to")
    asked = arguments.parse_args()
    config = json.loads(asked.config.read_text())
    destination, source = config["destination"], config["source"]

    if asked.confirm:
        plan = rs.load_plan(asked.confirm, destination=destination, source=source)
        held = STATES / f"{plan.id}.json"
        run(plan, json.loads(held.read_text()) if held.exists() else None)
        return
    messages = Messages()
    plan = rs.plan(messages.arrow(), destination=destination, source=source)
    print(plan, file=sys.stderr)
    summary = plan.summary
    if summary["writable"] < config.get("yes_below", 1) and not summary["guards"]:
        run(plan, messages.state)
        return
    STATES.mkdir(parents=True, exist_ok=True)
    (STATES / f"{plan.id}.json").write_text(json.dumps(messages.state))
    print(f"nothing was written. Look at the plan; to write exactly this: --confirm {plan.id}", file=sys.stderr)
    sys.exit(3)


if __name__ == "__main__":
    main()
