"""The calls themselves, without a transport: what is sent, and what the answer means. Both stores make these and send them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

import pyarrow as pa

from samewise._errors import InvalidRequest, NotFound
from samewise._frames import table_of
from samewise._registry import Feature, FeatureDetails, FeatureService, known
from samewise._training import ARROW_STREAM, Labels, stream_chunks
from samewise._values import instant, json_bytes, rows_of

T = TypeVar("T")

Instant = date | str | int
"""A time: a datetime (UTC if it has no zone), ISO 8601, or whole microseconds since 1970."""
What = Sequence[str] | str | FeatureService
"""A list of `view:feature`, the name of a feature service (`name` or `name@version`), or a service itself."""
Deadline = float | timedelta
"""Seconds, or a timedelta."""
Wait = Literal["durable", "applied"]
Knowledge = Literal["final", "as-served"]

# What the server takes in one request.
_ENTITIES_A_REQUEST = 5_000
_BYTES_A_PUSH = 8 << 20
_ROWS_A_PUSH = 100_000


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how its answer is read. All calls may be repeated: they read, or say again what was said."""

    method: str
    path: str
    read: Callable[[Any], T]
    """Of the JSON of the answer."""
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    deadline: float | None = None
    """Seconds from the first attempt on."""


@dataclass(frozen=True)
class PushResult:
    """What became of events."""

    source: str
    rows: int
    state: Wait
    """`durable`: they cannot be lost any more. `applied`: reads see them."""


def chosen(features: What | None, service: What | None) -> tuple[str | None, list[str]]:
    """The service, or the features of a list."""
    if (features is None) == (service is None):
        raise InvalidRequest("client/bad-argument", "name features or a service, and not both")
    what = features if service is None else service
    if isinstance(what, FeatureService):
        return str(what), []
    if isinstance(what, str):
        return (None, what.split(",")) if ":" in what else (what, [])
    assert what is not None
    return None, list(what)


def online_parts(entity_rows: object, entity_df: object) -> list[Sequence[Mapping[str, Any]]]:
    """The entities of a read, in as many requests as it takes."""
    if (entity_rows is None) == (entity_df is None):
        raise InvalidRequest("client/bad-argument", "give entity_rows or entity_df, and not both")
    rows = rows_of(entity_df if entity_rows is None else entity_rows)
    if not rows:
        raise InvalidRequest("client/bad-argument", "there are no entities to read")
    return [rows[i : i + _ENTITIES_A_REQUEST] for i in range(0, len(rows), _ENTITIES_A_REQUEST)]


def online(
    what: tuple[str | None, list[str]],
    entities: Sequence[Mapping[str, Any]],
    *,
    at: Instant | None,
    through: bool,
    full_feature_names: bool,
    deadline: Deadline | None,
    request_id: str | None,
) -> Call[Mapping[str, Any]]:
    """A read of some entities."""
    service, features = what
    body: dict[str, Any] = {
        "entities": entities,
        "orientation": "columns",
        "full": True,
        "types": True,
    }
    if at is not None:
        body["at"] = instant(at)
    if through:
        body["through"] = True
    if service is None:
        body |= {"features": features, "full_names": full_feature_names}
    seconds = deadline.total_seconds() if isinstance(deadline, timedelta) else deadline
    path = "/api/v1/features/vectors"
    if service is not None:
        path = f"/api/v1/services/{quote(service, safe='@')}/vectors"
    headers = {"content-type": "application/json"}
    if request_id is not None:
        headers["x-request-id"] = request_id
    return Call("POST", path, _same, content=json_bytes(body), headers=headers, deadline=seconds)


def _same(answer: Any) -> Any:
    return answer


def pushes(source: str, data: object, wait: Wait | None) -> list[Call[PushResult]]:
    """Events of a source, in as many requests as it takes."""
    table = table_of(data)
    bodies = _arrow_bodies(table) if table is not None else _json_bodies(rows_of(data))
    content_type = ARROW_STREAM if table is not None else "application/json"
    return [
        Call(
            "POST",
            f"/api/v1/events/{quote(source, safe='')}",
            lambda answer: known(PushResult, answer),
            params={} if wait is None else {"wait": wait},
            content=body,
            headers={"content-type": content_type},
        )
        for body in bodies
    ]


def _arrow_bodies(table: pa.Table) -> list[bytes]:
    rows = max(1, min(_ROWS_A_PUSH, table.num_rows * _BYTES_A_PUSH // max(1, table.nbytes)))
    parts = [table.slice(at, rows) for at in range(0, max(1, table.num_rows), rows)]
    return [b"".join(stream_chunks(part.schema, part.to_batches())) for part in parts]


def _json_bodies(rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
    bodies: list[bytes] = []
    part: list[bytes] = []
    size = 0
    for line in map(json_bytes, rows):
        if part and (size + len(line) > _BYTES_A_PUSH or len(part) == _ROWS_A_PUSH):
            bodies.append(b"[" + b",".join(part) + b"]")
            part, size = [], 0
        part.append(line)
        size += len(line)
    return [*bodies, b"[" + b",".join(part) + b"]"]


def pushed(results: Sequence[PushResult]) -> PushResult:
    """All parts of a push as one."""
    state: Wait = "durable" if any(part.state == "durable" for part in results) else "applied"
    return PushResult(results[0].source, sum(part.rows for part in results), state)


def list_features(
    query: str, entity: str | None, owner: str | None, tag: str | None, limit: int
) -> Call[list[Feature]]:
    """Features by words and filters."""
    given = {"q": query or None, "entity": entity, "owner": owner, "tag": tag, "limit": str(limit)}
    return Call(
        "GET",
        "/api/v1/features",
        lambda answer: [known(Feature, found) for found in answer["features"]],
        params={name: value for name, value in given.items() if value is not None},
    )


def get_feature(ref: str) -> Call[FeatureDetails]:
    """One feature."""
    view, colon, feature = ref.partition(":")
    if not colon:
        raise InvalidRequest("client/bad-argument", f"{ref!r} is not a feature", hint="write view:feature")
    path = f"/api/v1/features/{quote(view, safe='')}/{quote(feature, safe='')}"
    return Call("GET", path, lambda answer: known(FeatureDetails, answer))


def list_services() -> Call[list[FeatureService]]:
    """Every version that is kept."""
    return Call(
        "GET",
        "/api/v1/services",
        lambda answer: [known(FeatureService, found) for found in answer["services"]],
    )


def service_named(name: str, services: Sequence[FeatureService]) -> FeatureService:
    """The current version of a service, or the one of `name@version`."""
    for service in services:
        if str(service) == name or (service.name == name and service.current):
            return service
    names = ", ".join(sorted({service.name for service in services}))
    raise NotFound("client/unknown-service", f"there is no feature service {name}", hint=f"there are: {names}")


@dataclass(frozen=True)
class TrainingCall:
    """A training set to be asked for."""

    labels: Labels
    params: Mapping[str, str]

    def attempt(self) -> tuple[str, dict[str, str]]:
        """An id for one attempt, and its query: what is left of another attempt must not be in the way."""
        name = uuid.uuid4().hex
        return name, {**self.params, "id": name}


def training(
    labels: object,
    what: tuple[str | None, list[str]],
    *,
    at: str,
    through: bool,
    knowledge: Knowledge,
    full_feature_names: bool,
) -> TrainingCall:
    """A training set of labels."""
    service, features = what
    params = {"at_column": at, "knowledge": knowledge}
    if through:
        params["through"] = "true"
    if service is not None:
        params["service"] = service
    else:
        params |= {"features": ",".join(features), "full_names": str(full_feature_names).lower()}
    return TrainingCall(Labels(labels), params)


def read_json(body: bytes) -> Any:
    """Whole numbers come out exact, however long they are."""
    return json.loads(body)
