"""DuckDB to plan in five lines: the golden records are the result of a query, and never a file."""

import os

import duckdb

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
    "config_json": {"provider_id_field": "hs_object_id", "object": "contacts", "fields": ["firstname", "lastname", "city"]},
}

golden = duckdb.read_csv("golden/*.csv", all_varchar=True).filter("hs_object_id is not null")
plan = rs.plan(golden, destination=people, source=hubspot)
changes = plan.changes()
print(duckdb.sql("select provider_id, before, fields from changes order by row limit 10"))
print(f"{plan}\nTo write exactly this: plan.confirm({plan.id!r}).run()")
