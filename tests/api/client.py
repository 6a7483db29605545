# What a program does with the client that openapi-python-client makes: uploads golden records, reads lists, and gets problems as such.
import sys
from io import BytesIO

from reverse_sync_client import AuthenticatedClient
from reverse_sync_client.api.destinations import list_destinations
from reverse_sync_client.api.golden_records import replace_golden_set
from reverse_sync_client.api.plans import create_plan
from reverse_sync_client.api.runs import confirm_run, get_run, list_runs
from reverse_sync_client.models import DestinationList, DryRunRequest, EndedRun, GoldenSet, Plan, Problem, ReplaceGoldenSetFormat, Run, RunList, RunRequest
from reverse_sync_client.types import File

address, key = sys.argv[1:]
client = AuthenticatedClient(base_url=address, token=key)

records = b"hs_object_id,firstname\n492564112121,Generated\n"
golden = replace_golden_set.sync("person", client=client, body=File(payload=BytesIO(records)), format_=ReplaceGoldenSetFormat.CSV)
assert isinstance(golden, GoldenSet) and golden.records == 1, golden

destinations = list_destinations.sync(client=client)
assert isinstance(destinations, DestinationList), destinations
(destination,) = destinations.items
plan = create_plan.sync(destination.id, client=client, body=DryRunRequest())
assert isinstance(plan, Plan) and plan.writable == 1, plan
ended = confirm_run.sync(destination.id, client=client, body=RunRequest(confirm=True, plan_id=plan.plan_id))
assert isinstance(ended, EndedRun) and ended.ok, ended

runs = list_runs.sync(client=client, limit=10)
assert isinstance(runs, RunList), runs
(listed,) = runs.items
run = get_run.sync(listed.run_id, client=client)
assert isinstance(run, Run) and run == listed, run

problem = get_run.sync("run_0", client=client)
assert isinstance(problem, Problem) and problem.code == "not_found", problem
