"""What goes wrong, as exceptions; and no secret in any of them."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest

import reverse_sync as rs
from conftest import TOKEN, Simulator, contact, people

GOLDEN = pyarrow.table({"hs_object_id": [contact(0)], "city": ["Lyon"]})


def config(**keys: object) -> rs.Destination:
    return people(config_json={"provider_id_field": "hs_object_id", **keys})


WRONG: list[tuple[type[rs.Error], str, str | None, str, rs.Destination, Any, str]] = [
    (rs.ConfigError, "invalid_config", "/config_json/feilds", "feilds", config(feilds=["city"]), {}, "offline"),
    (rs.ConfigError, "invalid_key", "/gaurds", "did you mean `guards`", people(gaurds={}), {}, "offline"),
    (rs.ConfigError, "invalid_key", "/guards/max_change", "did you mean `max_changes`", people(guards={"max_change": 1}), {}, "offline"),
    (rs.GrantError, "invalid_config", None, "hubspot_dst", people(destination_type="hubspot_dst"), {}, "offline"),
    (rs.InputError, "invalid_key", "/base", "unknown key `base`", people(), {"base": 1}, "offline"),
    (rs.InputError, "invalid_key", "/limit/calls", "whole number", people(), {"limit": {"calls": 0, "per_seconds": 1}}, "offline"),
    (rs.InputError, "source_unusable", None, "https", people(), {"base_url": "http://example.com"}, "offline"),
    (rs.CrmError, "crm_unavailable", None, "no credential", people(), {"access_token": None}, "compare"),
    (rs.CrmError, "crm_unavailable", None, "NOT_THERE", people(), {"access_token": {"env": "NOT_THERE"}}, "compare"),
    (rs.CrmError, "crm_unavailable", None, "KeyError", people(), {"access_token": lambda: os.environ["VAULT"]}, "compare"),
    (rs.CrmError, "crm_unavailable", None, "as a string", people(), {"access_token": lambda: 1}, "compare"),
    (rs.CrmError, "crm_unauthorized", None, "", people(), {"access_token": lambda: "pat-sesame"}, "compare"),
]


@pytest.mark.parametrize(("kind", "code", "pointer", "said", "destination", "source", "mode"), WRONG)
def test_an_exception_says_what_and_where(
    crm: Simulator, kind: type[rs.Error], code: str, pointer: str | None, said: str, destination: rs.Destination, source: Any, mode: Any
) -> None:
    with pytest.raises(rs.Error) as raised:
        rs.plan(GOLDEN, destination=destination, source=crm.source(**source), mode=mode)
    error = raised.value
    assert (type(error), error.code, error.pointer) == (kind, code, pointer), error
    assert said in str(error)
    assert "sesame" not in "".join(traceback.format_exception(error))


def test_wrong_arguments_are_said(crm: Simulator, tmp_path: Path) -> None:
    with pytest.raises(rs.InputError) as raised:
        rs.plan(tmp_path / "none.csv", destination=people(), source=crm.source())
    assert raised.value.code == "golden_records" and raised.value.hint
    with pytest.raises(TypeError, match="records must be an Arrow stream"):
        rs.plan([{"city": "Lyon"}], destination=people(), source=crm.source())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode must be"):
        rs.plan(GOLDEN, destination=people(), source=crm.source(), mode="onlin")  # type: ignore[arg-type]
    assert rs.Error("made here").code is None


PASTED: list[Any] = [
    "pat-sesame",
    {"literal": "pat-sesame"},
    {"env": "A", "token": "pat-sesame"},
    ["pat-sesame"],
    {"pat-sesame": "A"},
]


@pytest.mark.parametrize("pasted", PASTED)
def test_a_pasted_token_is_refused_and_not_repeated(crm: Simulator, pasted: Any) -> None:
    with pytest.raises(rs.InputError) as raised:
        rs.plan(GOLDEN, destination=people(), source=crm.source(access_token=pasted))
    error = raised.value
    # The lines of this file are in the traceback; what the module says is in its notes and text.
    assert "sesame" not in f"{error!r} {error} {error.__dict__}" and "env" in str(error)


def tokens(tmp_path: Path) -> list[Any]:
    file = tmp_path / "token.txt"
    file.write_text(TOKEN)
    file.chmod(0o600)
    look_up: Callable[[], str] = lambda: TOKEN
    return [{"env": "HUBSPOT_TOKEN"}, {"file": str(file)}, look_up]


def test_a_token_opens_and_is_nowhere_to_be_seen(crm: Simulator, tmp_path: Path) -> None:
    for token in tokens(tmp_path):
        plan = rs.plan(GOLDEN, destination=people(), source=crm.source(access_token=token))
        confirmed = plan.confirm(plan.id)
        run = confirmed.run()
        assert run.ok
        shown = [plan, plan.changes(), confirmed, run, plan.summary, run.summary, plan._repr_html_()]
        shown += [getattr(it, name) for it in (plan, confirmed, run) for name in dir(it) if name.startswith("_repr") or name in ("id",)]
        assert TOKEN not in repr(shown)
        undo = run.undo()
        assert undo.confirm(undo.id).run().ok
    kept = (tmp_path / ".reverse-sync").rglob("*")
    assert all(TOKEN.encode() not in path.read_bytes() for path in kept if path.is_file())
    assert (tmp_path / ".reverse-sync/.gitignore").read_text() == "*\n"


def test_an_offline_plan_asks_for_no_token(crm: Simulator) -> None:
    def asked() -> str:
        raise AssertionError("nobody needs it")

    plan = rs.plan(GOLDEN, destination=people(), source=crm.source(access_token=asked), mode="offline")
    assert plan.summary["writable"] == 1 and crm.requests() == 0
