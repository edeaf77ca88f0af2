"""The types of values: what they are in Arrow, and how they come out of JSON."""

import base64
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pyarrow as pa

_ARROW = {
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bytes": pa.binary(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
}

_DECODERS: dict[str, Callable[[Any], Any]] = {
    # Infinity comes as text, and 3.0 as 3.
    "float32": float,
    "float64": float,
    "bytes": base64.b64decode,
    "timestamp": datetime.fromisoformat,
    "date": date.fromisoformat,
}

_NESTED = re.compile(r"(list|vector)\((.+)\)")


def arrow_type(dtype: str) -> pa.DataType:
    """The Arrow type of a type as the server prints it: `float64`, `list(int64)`, `vector(3)`."""
    nested = _NESTED.fullmatch(dtype)
    if nested is None:
        return _ARROW[dtype]
    kind, inner = nested.groups()
    return pa.list_(arrow_type(inner)) if kind == "list" else pa.list_(pa.float32(), int(inner))


def decoder(dtype: str) -> Callable[[Any], Any] | None:
    """How a value that is not null comes out of JSON; None: as it is."""
    nested = _NESTED.fullmatch(dtype)
    if nested is None:
        return _DECODERS.get(dtype)
    kind, inner = nested.groups()
    item = float if kind == "vector" else decoder(inner)
    if item is None:
        return None
    return lambda values: [None if value is None else item(value) for value in values]


def decoded(values: list[Any], dtype: str) -> list[Any]:
    """A column of an answer as Python's values."""
    decode = decoder(dtype)
    if decode is None:
        return values
    return [None if value is None else decode(value) for value in values]
