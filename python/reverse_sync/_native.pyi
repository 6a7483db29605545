import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, final

from reverse_sync._types import ArrowStream, Destination, Source

__all__ = [
    "AccountError",
    "Changes",
    "ConfigError",
    "ConfirmedPlan",
    "ConflictError",
    "CrmError",
    "Error",
    "GrantError",
    "InputError",
    "InternalError",
    "Plan",
    "Progress",
    "RefusedError",
    "Run",
    "TooLongError",
    "__version__",
    "load_plan",
    "plan",
    "undo",
]

__version__: str

class Error(Exception):
    """What failed, with code, pointer and hint."""

    code: str | None
    """A word for programs, such as `stale_plan`."""
    pointer: str | None
    """Where the mistake is: a JSON Pointer into `destination` or, of a mistake in it, `source`."""
    hint: str | None
    """What to do. Tracebacks show it as a note."""

class ConfigError(Error):
    """The destination's configuration."""

class InputError(Error):
    """The golden records, the source, or a name that names nothing."""

class GrantError(Error):
    """The plugin may not do what this takes."""

class ConflictError(Error):
    """What it is about does not allow it: nothing to undo, for instance."""

class RefusedError(Error):
    """As things are now, it is refused: another plan's id, a guard, a stale plan."""

class AccountError(Error):
    """The credential opens another account than the one that is meant, or which is not known."""

class CrmError(Error):
    """The CRM, or the credential."""

class TooLongError(Error):
    """It took longer than it may."""

class InternalError(Error):
    """Anything else: the disk, or a plugin that breaks the contract."""

@final
class Changes:
    """The changes of a plan. Any Arrow library reads it; one block of the plan's file is in memory at a time.

    The columns are `row`, `provider_id`, and `fields` and `before` as JSON objects.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class Plan:
    """What would be written. A notebook shows it as a table."""

    @property
    def id(self) -> str:
        """Names the plan: the same for the same golden records, destination and plugin."""

    @property
    def summary(self) -> dict[str, Any]:
        """Counts, guards, warnings and the first changes: the JSON of `reverse-sync plan --json`."""

    def changes(self) -> Changes:
        """Every change."""

    def confirm(self, plan_id: str, *, override: Sequence[str] = ()) -> ConfirmedPlan:
        """Confirms this plan, by its id, and continues despite the guards that are named.

        Raises RefusedError if the id is another plan's, a guard holds the plan back, or the destination, the source, the
        plugin or the golden-record files have changed.
        """

    def _repr_html_(self) -> str: ...

@final
class ConfirmedPlan:
    """A plan that somebody said yes to. `Plan.confirm` alone makes one."""

    @property
    def id(self) -> str:
        """Its plan's id."""

    def run(
        self,
        *,
        canary: int | None = None,
        verify: Literal["sample", "all"] | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> Run:
        """Writes the changes, or resumes where an earlier run of this plan was stopped.

        `canary` writes so many first, reads them back, and continues only if they hold what was written; `verify` reads records
        back at the end. Ctrl-C, or an exception of `progress`, stops between batches and is raised when what is in flight has
        ended; calling this again resumes the run.
        """

@final
class Progress:
    """How far a run is. Only what is safely in the journal counts."""

    run_id: str
    total: int
    """Changes of the plan, or of its canary."""
    done: int
    """Changes with an outcome."""
    updated: int
    unchanged: int
    failed: int
    drifted: int
    unknown: int

@final
class Run:
    """A run that has ended, early or not."""

    @property
    def id(self) -> str | None:
        """Its id; None if there was nothing to write."""

    @property
    def ok(self) -> bool:
        """Whether every change is in the CRM now, as far as anybody looked."""

    @property
    def summary(self) -> dict[str, Any]:
        """Counts, and under `stopped` why it ended early, if it did: the JSON of `reverse-sync run --json`."""

    def errors(self, limit: int = 1000) -> list[dict[str, Any]]:
        """The records that were not updated, with the CRM's answers."""

    def undo(self) -> Plan:
        """Plans the way back. Like any plan it has to be confirmed."""

def plan(
    records: ArrowStream | str | os.PathLike[str],
    *,
    destination: Destination,
    source: Source,
    mode: Literal["offline", "online", "compare"] = "compare",
    state: str | os.PathLike[str] = ".reverse-sync",
) -> Plan:
    """Plans golden records: what they would write to the destination. Nothing is written.

    `mode` says what the CRM is asked for: nothing ("offline"), its fields ("online"), or its records, too ("compare"), so that
    only what differs is written and can be undone. `state` is the folder of plans and journals, which hold personal data.
    """

def load_plan(
    plan_id: str,
    *,
    destination: Destination,
    source: Source,
    state: str | os.PathLike[str] = ".reverse-sync",
) -> Plan:
    """A plan that was made before, in this process or another."""

def undo(
    run_id: str,
    *,
    destination: Destination,
    source: Source,
    state: str | os.PathLike[str] = ".reverse-sync",
) -> Plan:
    """Plans the way back from a run that was made before."""
