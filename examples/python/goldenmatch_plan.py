"""GoldenMatch to plan: contacts are deduplicated, and the survivors are planned.

The configuration standardizes phone numbers, so that they match however they were typed. The survivors have the standardized
spelling, which is no longer what people dial (`+49 (30) 1234-567` becomes `9301234567`): the guards of the plan say so, before
anything is written. It reads contacts.csv, with the columns below.
"""

import os
import sys

import goldenmatch as gm
import pyarrow
from goldenmatch.config.schemas import MatchkeyField
from pyarrow import csv

import reverse_sync as rs

hubspot: rs.Source = {
    "provider": "hubspot",
    "base_url": os.environ.get("HUBSPOT_URL", "https://api.hubapi.com"),
    "access_token": {"env": "HUBSPOT_TOKEN"},
}
people: rs.Destination = {
    "name": "people",
    "destination_type": "hubspot_dest",
    "entity_type": "person",
    "config_json": {"provider_id_field": "hs_object_id", "object": "contacts", "fields": ["firstname", "lastname", "phone", "city"]},
}

# As text: an id is not a number, and a phone number neither.
columns = ["hs_object_id", "firstname", "lastname", "email", "phone", "city"]
convert = csv.ConvertOptions(column_types=dict.fromkeys(columns, pyarrow.string()), strings_can_be_null=True)
contacts = csv.read_csv("contacts.csv", convert_options=convert)

same_email = gm.MatchkeyConfig(name="email", type="exact", fields=[MatchkeyField(field="email", transforms=["lowercase"])])
rules = {"phone": ["phone"]} if "--standardize-phones" in sys.argv else {}
config = gm.GoldenMatchConfig(matchkeys=[same_email], standardization=gm.StandardizationConfig(rules=rules))
golden = gm.dedupe_df(contacts, config=config).golden
if golden is None:
    sys.exit("there are no duplicates, so there is nothing to plan")

plan = rs.plan(golden, destination=people, source=hubspot)
print(plan)
for warning in plan.summary["warnings"]:
    print(warning)
for guard in plan.summary["guards"]:
    print(f"held back by {guard['name']}: {guard['message']}")
for change in pyarrow.table(plan.changes()).to_pylist():
    print(change["provider_id"], change["before"], "->", change["fields"])
