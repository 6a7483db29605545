"""simple-salesforce: does one step against the simulator, and prints what the client made of it.

    python salesforce_python.py STEP BASE_URL ARGUMENT...
"""

import csv
import io
import json
import sys
from urllib.parse import urlsplit

import requests
from simple_salesforce import Salesforce, SalesforceError, SalesforceGeneralError
from simple_salesforce.bulk2 import SFBulk2Type

STEP, BASE_URL, ARGUMENTS = sys.argv[1], sys.argv[2], sys.argv[3:]


class Plain(requests.adapters.HTTPAdapter):
    """The client speaks HTTPS, whatever it is told; the simulator, which stands for every host here, does not."""

    def send(self, request, *arguments, **more):
        parts = urlsplit(request.url)
        request.url = BASE_URL + parts.path + (f"?{parts.query}" if parts.query else "")
        request.headers["Host"] = urlsplit(BASE_URL).netloc
        return super().send(request, *arguments, **more)


def session():
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", Plain())
    return made


def client(token="test-token"):
    return Salesforce(session_id=token, instance_url=BASE_URL, version="67.0", session=session())


def plain(record):
    return {name: value for name, value in record.items() if name != "attributes"}


def login(key, secret):
    try:
        found = Salesforce(consumer_key=key, consumer_secret=secret, domain="acme.my", version="67.0", session=session())
    except Exception as exception:  # noqa: BLE001, what is raised is what is shown
        return {"class": type(exception).__name__, "code": exception.code}
    return found.query("SELECT COUNT() FROM Contact")["totalSize"]


def read(contact):
    record = client().Contact.get(contact)
    return {"type": record["attributes"]["type"], "record": plain(record)}


def query(soql):
    answer = client().query(soql)
    return {"total": answer["totalSize"], "done": answer["done"], "records": [plain(record) for record in answer["records"]]}


def query_all(soql):
    answer = client().query_all(soql)
    return {"total": answer["totalSize"], "records": [plain(record) for record in answer["records"]]}


def with_deleted(soql):
    return [plain(record) for record in client().query(soql, include_deleted=True)["records"]]


def describe():
    found = client()
    contact = found.Contact.describe()
    return {
        "objects": [entry["name"] for entry in found.describe()["sobjects"]],
        "updateable": [field["name"] for field in contact["fields"] if field["updateable"]],
        "remaining": found.limits()["DailyApiRequests"]["Remaining"],
        "used": found.api_usage["api-usage"].used,
    }


def update(contact):
    return client().Contact.update(contact, {"Title": " Director ", "Email": None})


def collection(*ids):
    records = [{"attributes": {"type": "Contact"}, "id": contact, "Title": f"Director {n}"} for n, contact in enumerate(ids)]
    body = {"allOrNone": False, "records": records}
    return client().restful("composite/sobjects", method="PATCH", json=body)


def bulk(*ids):
    records = [{"Id": contact, "Title": f'Director "{n}", Sales'} for n, contact in enumerate(ids)]
    contacts = client().bulk2.Contact
    (result,) = contacts.update(records=records, wait=0)
    job = result.pop("job_id")
    rows = {kind: list(csv.DictReader(io.StringIO(text))) for kind, text in results(contacts, job)}
    return {"job": result, **rows}


def results(contacts: SFBulk2Type, job):
    yield "successful", contacts.get_successful_records(job)
    yield "failed", contacts.get_failed_records(job)


def failing_bulk(contact):
    try:
        client().bulk2.Contact.update(records=[{"Id": contact, "Titel": "Director"}], wait=0)
    except Exception as exception:  # noqa: BLE001, what is raised is what is shown
        return {"class": type(exception).__name__, "text": str(exception)}
    return None


def error(call, token="test-token"):
    try:
        call(client(token))
    except SalesforceError as exception:
        # A status that has no class of its own has the general one.
        assert type(exception) is not SalesforceGeneralError
        return {"class": type(exception).__name__, "status": exception.status, "content": exception.content}
    return None


def no_such_token():
    return error(lambda found: found.query("SELECT Id FROM Contact"), token="nobody's")


def read_error(contact):
    return error(lambda found: found.Contact.get(contact))


def update_error(contact):
    return error(lambda found: found.Contact.update(contact, {"Titel": "Director"}))


def query_error(soql):
    return error(lambda found: found.query(soql))


if __name__ == "__main__":
    print(json.dumps({"value": globals()[STEP](*ARGUMENTS), "findings": []}))
