"""Holds an answer of HubSpot against the types of its own client, which are generated from its OpenAPI documents.

A member that no type has, one that is missing though it is required, and a value of another type are findings.
"""

import datetime
import re


class _Strict:
    client_side_validation = True


def findings(models, kind, value, place="$"):
    """What does not fit, as texts; `kind` is written as in the client's `openapi_types`."""
    inner = re.fullmatch(r"list\[(.*)\]", kind)
    if inner:
        if not isinstance(value, list):
            return [f"{place}: no list"]
        return [found for n, item in enumerate(value) for found in findings(models, inner[1], item, f"{place}[{n}]")]
    inner = re.fullmatch(r"dict\[str, (.*)\]", kind)
    if inner:
        if not isinstance(value, dict):
            return [f"{place}: no object"]
        # The values of properties may be null: the client in Node.js has a type for that, this one has none.
        return [
            found
            for name, item in value.items()
            if not (item is None and inner[1] == "str")
            for found in findings(models, inner[1], item, f"{place}.{name}")
        ]
    if kind == "object":
        return []
    if kind == "datetime":
        return [] if _is_time(value) else [f"{place}: no time"]
    native = {"str": str, "int": int, "bool": bool, "float": (int, float)}.get(kind)
    if native:
        fits = isinstance(value, native) and (kind == "bool" or not isinstance(value, bool))
        return [] if fits else [f"{place}: no {kind}"]
    if not isinstance(value, dict):
        return [f"{place}: no {kind}"]
    return _members(models, getattr(models, kind), value, place)


def _members(models, model, value, place):
    known = set(model.attribute_map.values())
    found = [f"{place}.{name}: {model.__name__} has no such member" for name in value if name not in known]
    for attribute, kind in model.openapi_types.items():
        name = model.attribute_map[attribute]
        if name in value:
            found += findings(models, kind, value[name], f"{place}.{name}")
            found += [f"{place}.{name}: not among the values of {model.__name__}" for _ in _refusals(model, attribute, value[name])]
        else:
            found += [f"{place}.{name}: {model.__name__} demands it" for _ in _refusals(model, attribute, None)]
    return found


def _refusals(model, attribute, value):
    # The client's own checks of what is required, and of values that are listed; it has them switched off.
    bare = object.__new__(model)
    bare.local_vars_configuration = _Strict
    try:
        setattr(bare, attribute, value)
        return []
    except ValueError as error:
        return [error]


def _is_time(value):
    if not isinstance(value, str) or not value.endswith("Z"):
        return False
    try:
        datetime.datetime.fromisoformat(value)
        return True
    except ValueError:
        return False
