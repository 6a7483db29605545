"""A host in Python, on wasmtime-py: plans golden records of a CSV file, offline, and prints the plan as JSON.

    python plan.py PLUGIN.wasm RECORDS.csv CONFIG_JSON

It implements the contract's streams for a plan (wit/streams.wit). Of this machine the plugin gets clocks and
nothing else: no file, no environment, and no request can leave.
"""

import csv
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, Linker, Record, ResourceHost, ResourceType, Variant

GoldenRecord: TypeAlias = dict[str, str | None]

PACKAGE = "reverse-sync:destination"
VERSION = "0.1.0"
# Rows that the plugin is given at once, at most.
BATCH = 4096
MEMORY = 64 << 20
# What WebAssembly code may burn in one call, in wasmtime's units of about one instruction.
FUEL = 10_000_000_000
# Kinds of resources; the host chooses the numbers.
RECORDS, PLAN_SINK, CONFIRMED, OUTCOME_SINK, VERIFY_SINK = range(1, 6)


class Refused(Exception):
    """The plugin's own error: what happened and what to do."""


class Plugin:
    """A plugin that was loaded from its file."""

    def __init__(self, path: Path) -> None:
        config = Config()
        config.consume_fuel = True
        data = path.read_bytes()
        # What a grant pins.
        self.digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.engine = Engine(config)
        self.component = Component(self.engine, data)

    def plan(self, target: Record, records: list[GoldenRecord]) -> dict[str, Any]:
        """Plans offline, in an instance of its own."""
        plan = Plan(records)
        linker = Linker(self.engine)
        linker.add_wasip2()
        with linker.root() as root, root.add_instance(f"{PACKAGE}/streams@{VERSION}") as streams:
            plan.define(streams)
        # A plan needs nothing else; `wasi:http` is among what traps.
        linker.define_unknown_imports_as_traps(self.component)
        store = Store(self.engine)
        store.set_wasi(WasiConfig())
        store.set_limits(memory_size=MEMORY)
        store.set_fuel(FUEL)
        instance = linker.instantiate(store, self.component)
        export = instance.get_export_index(store, f"{PACKAGE}/destination@{VERSION}")
        index = instance.get_export_index(store, "plan", export)
        function = instance.get_func(store, index) if index else None
        if function is None:
            raise SystemExit("the component exports no `plan`")
        handles = (ResourceHost.borrow(0, kind).to_any(store) for kind in (RECORDS, PLAN_SINK))
        error = function(store, target, "offline", *handles)
        if error is not None:
            raise Refused(error.message)
        return {"plugin": self.digest, **plan.finish()}


class Plan:
    """The host's part of a plan. It counts, so that a plugin cannot lose a row or invent one."""

    def __init__(self, records: list[GoldenRecord]) -> None:
        self.records = records
        self.read = 0
        self.decided: set[int] = set()
        self.last = 0
        self.changes: list[dict[str, Any]] = []
        self.skipped: Counter[str] = Counter()
        self.warnings: list[str] = []
        self.guards: list[dict[str, str]] = []

    def define(self, streams: Any) -> None:
        """Defines what the plugin imports as `streams`."""
        kinds = {
            "records": RECORDS,
            "plan-sink": PLAN_SINK,
            "confirmed": CONFIRMED,
            "outcome-sink": OUTCOME_SINK,
            "verify-sink": VERIFY_SINK,
        }
        for name, kind in kinds.items():
            streams.add_resource(name, ResourceType.host(kind), lambda store, rep: None)
        methods: dict[str, Callable[..., Any]] = {
            "[method]records.next": self.next,
            "[method]plan-sink.push": self.push,
            "[method]plan-sink.skip": self.skip,
            "[method]plan-sink.warn": self.warnings.append,
            "[method]plan-sink.guard": lambda name, message: self.guards.append({"name": name, "message": message}),
            "[method]plan-sink.flag": self.flag,
            "[method]plan-sink.drop-column": lambda name, reason: None,
            "[method]plan-sink.joined": lambda field: None,
        }
        for name, method in methods.items():
            streams.add_func(name, on_its_resource(method))

    def next(self, most: int) -> Variant:
        rows = self.records[self.read : self.read + min(most, BATCH)]
        if not rows:
            return Variant("ok", None)
        first = self.read + 1
        self.read += len(rows)
        columns = [column(name, [row[name] for row in rows]) for name in rows[0]]
        return Variant("ok", record(first_row=first, length=len(rows), columns=columns))

    def push(self, batch: Any) -> None:
        ids, fields = unpacked(batch.ids), unpacked(batch.fields)
        for row, provider_id, change in zip(batch.rows, ids, fields, strict=True):
            self.decide(row)
            if row <= self.last:
                raise ValueError(f"row {row} was planned after row {self.last}")
            self.last = row
            self.changes.append({"row": row, "provider_id": provider_id, "fields": json.loads(change)})

    def skip(self, batch: Any) -> None:
        for row in batch.rows:
            self.decide(row)
            self.skipped[batch.reason] += 1

    def flag(self, batch: Any) -> None:
        self.guards.append({"name": batch.guard, "message": f"{len(batch.rows)} {batch.what}"})

    def decide(self, row: int) -> None:
        if not 1 <= row <= self.read:
            raise ValueError(f"row {row} was decided before it was read")
        if row in self.decided:
            raise ValueError(f"row {row} was decided twice")
        self.decided.add(row)

    def finish(self) -> dict[str, Any]:
        if len(self.decided) != self.read:
            raise ValueError(f"{self.read - len(self.decided)} rows were neither planned nor skipped")
        return {
            "total": self.read,
            "changes": self.changes,
            "skipped": dict(self.skipped),
            "warnings": self.warnings,
            "guards": self.guards,
        }


def on_its_resource(method: Callable[..., Any]) -> Callable[..., Any]:
    """A function for the plugin. There is one resource of each kind, so it does not matter which one it names."""

    def function(store: Any, handle: Any, *arguments: Any) -> Any:
        result = method(*arguments)
        # Lent for this call only.
        handle.drop(store)
        return result

    return function


def record(**fields: Any) -> Record:
    """A record of the contract, whose names have hyphens."""
    made = Record()
    for name, value in fields.items():
        setattr(made, name.replace("_", "-"), value)
    return made


def column(name: str, values: list[str | None]) -> Record:
    """A column of texts, packed as Arrow packs them."""
    texts = [value or "" for value in values]
    offsets = [0]
    for text in texts:
        offsets.append(offsets[-1] + len(text.encode()))
    valid = bytearray((len(values) + 7) // 8)
    for at, value in enumerate(values):
        if value is not None:
            valid[at // 8] |= 1 << (at % 8)
    packed = record(bytes="".join(texts), offsets=offsets)
    return record(name=name, values=Variant("text", packed), valid=bytes(valid))


def unpacked(strings: Any) -> Iterator[str]:
    data = strings.bytes.encode()
    for start, end in zip(strings.offsets, strings.offsets[1:], strict=False):
        yield data[start:end].decode()


def main() -> None:
    if len(sys.argv) != 4:
        raise SystemExit("usage: python plan.py PLUGIN.wasm RECORDS.csv CONFIG_JSON")
    file, records, config = sys.argv[1:]
    with open(records, newline="", encoding="utf-8-sig") as source:
        # An empty cell is a null.
        golden = [{name: cell or None for name, cell in row.items()} for row in csv.DictReader(source)]
    target = record(
        destination_type="hubspot_dest", entity_type="person", config=config, base_url="https://api.hubapi.com"
    )
    try:
        plan = Plugin(Path(file)).plan(target, golden)
    except Refused as error:
        raise SystemExit(f"the plugin refused: {error}") from error
    print(json.dumps(plan, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
