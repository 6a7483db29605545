"""What the module is given: dicts with the keys of the project file, and Arrow streams."""

from collections.abc import Callable
from typing import Any, Literal, NotRequired, Protocol, TypeAlias, TypedDict


class ArrowStream(Protocol):
    """What hands out Arrow: a DataFrame of pandas or Polars, a relation of DuckDB, a table of pyarrow, a result of ADBC."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class Env(TypedDict):
    """A secret in an environment variable."""

    env: str


class File(TypedDict):
    """A secret in a file, which its owner alone may read."""

    file: str


Reference: TypeAlias = Env | File


class OAuth(TypedDict):
    """A client that has its access tokens made."""

    grant: Literal["refresh_token", "client_credentials", "jwt_bearer"]
    client_id: str | Reference
    client_secret: NotRequired[Reference]
    client_auth: NotRequired[Literal["body", "basic"]]
    token_url: NotRequired[str]
    refresh_token: NotRequired[Reference]
    private_key: NotRequired[Reference]
    subject: NotRequired[str]
    audience: NotRequired[str]


class Limit(TypedDict):
    """So many calls in any window of this length."""

    calls: int
    per_seconds: float


class Source(TypedDict):
    """A CRM account: the keys of `[sources.…]` in the project file."""

    provider: Literal["hubspot", "salesforce"]
    base_url: NotRequired[str]
    access_token: NotRequired[Reference | Callable[[], str]]
    """Where the token is, or a function that returns it. It is asked when a request first needs it."""
    oauth: NotRequired[OAuth]
    ca_file: NotRequired[str]
    allow_private_network: NotRequired[bool]
    account: NotRequired[str]
    limit: NotRequired[Limit]


class Csv(TypedDict):
    """How golden records are written, where they are CSV."""

    delimiter: NotRequired[str]
    quote: NotRequired[str]
    escape: NotRequired[str]


class Destination(TypedDict):
    """What is written to: the keys of `[destinations.…]` in the project file, and `name`."""

    name: NotRequired[str]
    destination_type: Literal["hubspot_dest", "salesforce_dest"]
    entity_type: str
    config_json: dict[str, Any]
    """For the plugin: `provider_id_field`, `object`, `fields` and others. `source_id` may be left out."""
    on_duplicate_id: NotRequired[Literal["skip", "first", "last"]]
    guards: NotRequired[dict[str, Any]]
    csv: NotRequired[Csv]
