"""hubspot-api-client for Python: does one step against the simulator, and prints what the client made of it.

    python hubspot_python.py STEP BASE_URL ARGUMENT...

Prints an object: `value`, what the client returned, and `findings`, where an answer does not fit the client's types.
"""

import json
import sys

import hubspot
from hubspot.crm import contacts, properties

import typed

STEP, BASE_URL, ARGUMENTS = sys.argv[1], sys.argv[2], sys.argv[3:]
FINDINGS = []


def client(token="test-token"):
    # Without the retries of its HTTP library, which would hide an answer.
    return hubspot.Client.create(access_token=token, host=BASE_URL, retry=False)


def raw(api):
    return json.loads(api.api_client.last_response.data)


def checked(api, package, kind, returned):
    """What the client returned, after its answer was validated against the types."""
    FINDINGS.extend(f"{kind} {found}" for found in typed.findings(package.models, kind, raw(api)))
    return returned


def shown(record):
    return {
        "id": record.id,
        "properties": record.properties,
        "created_at": record.created_at.isoformat(),
        "updated_at": record.updated_at.isoformat(),
        "archived": record.archived,
    }


def batch(result):
    status, answer = result
    errors = getattr(answer, "errors", None) or []
    return {
        "http_status": status,
        "status": answer.status,
        "results": [shown(record) for record in answer.results],
        "errors": [{"category": error.category, "context": error.context, "message": error.message} for error in errors],
        "num_errors": getattr(answer, "num_errors", None),
    }


def batch_kind(status):
    return "BatchResponseSimplePublicObject" + ("WithErrors" if status == 207 else "")


def with_status(call, api, **arguments):
    answer, status, _ = call(**arguments)
    checked(api, contacts, batch_kind(status), answer)
    return batch((status, answer))


def read(contact):
    api = client().crm.contacts.basic_api
    record = api.get_by_id(contact, properties=["firstname", "city", "jobtitle"], properties_with_history=["city"])
    checked(api, contacts, "SimplePublicObjectWithAssociations", record)
    history = [entry.value for entry in record.properties_with_history["city"]]
    return {**shown(record), "history": history}


def all_records():
    return [shown(record) for record in client().crm.contacts.get_all(properties=["email"])]


def page():
    api = client().crm.contacts.basic_api
    answer = api.get_page(limit=2, properties=["firstname", "email"])
    checked(api, contacts, "CollectionResponseSimplePublicObjectWithAssociationsForwardPaging", answer)
    rest = api.get_page(limit=100, after=answer.paging.next.after)
    checked(api, contacts, "CollectionResponseSimplePublicObjectWithAssociationsForwardPaging", rest)
    return {"first": [shown(record) for record in answer.results], "rest": len(rest.results), "ends": rest.paging is None}


def search(city):
    api = client().crm.contacts.search_api
    found, after = [], None
    while True:
        request = contacts.PublicObjectSearchRequest(
            filter_groups=[{"filters": [{"propertyName": "city", "operator": "EQ", "value": city}]}],
            sorts=[{"propertyName": "email", "direction": "DESCENDING"}],
            properties=["email", "city"],
            limit=5,
            after=after,
        )
        answer = api.do_search(public_object_search_request=request)
        checked(api, contacts, "CollectionResponseWithTotalSimplePublicObjectForwardPaging", answer)
        found += answer.results
        if answer.paging is None:
            return {"total": answer.total, "results": [shown(record) for record in found]}
        after = answer.paging.next.after


def update(contact):
    api = client().crm.contacts.basic_api
    record = api.update(contact, contacts.SimplePublicObjectInput(properties={"jobtitle": "Director", "city": ""}))
    return shown(checked(api, contacts, "SimplePublicObject", record))


def batch_read(*ids):
    api = client().crm.contacts.batch_api
    body = contacts.BatchReadInputSimplePublicObjectId(
        inputs=[{"id": contact} for contact in ids], properties=["email"], properties_with_history=[]
    )
    return with_status(api.read_with_http_info, api, batch_read_input_simple_public_object_id=body)


def batch_update(*ids):
    api = client().crm.contacts.batch_api
    inputs = [{"id": contact, "properties": {"jobtitle": f"Director {n}"}} for n, contact in enumerate(ids)]
    body = contacts.BatchInputSimplePublicObjectBatchInput(inputs=inputs)
    return with_status(api.update_with_http_info, api, batch_input_simple_public_object_batch_input=body)


def definitions():
    api = client().crm.properties.core_api
    answer = api.get_all("contacts")
    checked(api, properties, "CollectionResponsePropertyNoPaging", answer)
    one = api.get_by_name("contacts", "lifecyclestage")
    checked(api, properties, "ModelProperty", one)
    api = client().crm.properties.batch_api
    body = properties.BatchReadInputPropertyName(inputs=[{"name": "city"}], archived=False)
    some = api.read("contacts", body)
    checked(api, properties, "BatchResponseProperty", some)
    return {
        "names": [definition.name for definition in answer.results],
        "read_only": [
            definition.name
            for definition in answer.results
            if definition.modification_metadata and definition.modification_metadata.read_only_value
        ],
        "options": [option.value for option in one.options],
        "some": [definition.name for definition in some.results],
    }


def error(call, *arguments, token="test-token", **more):
    """The exception, its status and its body, which is validated against the type of errors."""
    api = client(token).crm.contacts
    try:
        call(api, *arguments, **more)
    except contacts.ApiException as exception:
        body = json.loads(exception.body)
        # HubSpot's bodies say "status", which its type of errors does not have.
        body.pop("status")
        FINDINGS.extend(f"Error {found}" for found in typed.findings(contacts.models, "Error", body))
        return {
            "class": type(exception).__name__,
            "status": exception.status,
            "category": body.get("category"),
            "policy": body.get("policyName"),
            "message": body["message"],
        }
    return None


def no_such_token(contact):
    return error(lambda api: api.basic_api.get_by_id(contact), token="nobody's")


def read_error(contact):
    return error(lambda api: api.basic_api.get_by_id(contact))


def update_error(contact):
    return error(lambda api: api.basic_api.update(contact, {"properties": {"jobtitel": "Director"}}))


def search_error():
    return error(lambda api: api.search_api.do_search({"filterGroups": [{"filters": [{"propertyName": "city", "operator": "EQ"}]}]}))


if __name__ == "__main__":
    value = globals()[STEP](*ARGUMENTS)
    print(json.dumps({"value": value, "findings": sorted(set(FINDINGS))}))
