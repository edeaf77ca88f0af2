"""Values of a caller as JSON: exact whole numbers, times in UTC, what is missing as null."""

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any


def json_bytes(value: object) -> bytes:
    """JSON of plain values; NaN, NaT and NA of pandas are null."""
    try:
        return json.dumps(value, allow_nan=False, default=_plain, separators=(",", ":")).encode()
    except ValueError:
        return json.dumps(_finite(value), default=_plain, separators=(",", ":")).encode()


def instant(value: object) -> str:
    """A time as the server reads it: ISO 8601 in UTC, or whole microseconds since 1970."""
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, date):
        return str(_plain(value))
    raise TypeError(f"{value!r} is not a time: give a datetime, ISO 8601 or whole microseconds")


def rows_of(entities: Any) -> list[Mapping[str, Any]]:
    """Rows from a list of them, a dict of columns, or a frame of pandas, polars or pyarrow."""
    if isinstance(entities, Mapping):
        columns = {name: list(values) for name, values in entities.items()}
        if len({len(values) for values in columns.values()}) > 1:
            raise ValueError("the columns of the entities have different lengths")
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if hasattr(entities, "to_pylist"):
        return list(entities.to_pylist())
    if hasattr(entities, "to_dicts"):
        return list(entities.to_dicts())
    if hasattr(entities, "itertuples"):
        # Column by column: a row of pandas would turn whole numbers into floats.
        return rows_of({str(name): entities[name].tolist() for name in entities.columns})
    if isinstance(entities, Iterable):
        return list(entities)
    raise TypeError(f"{type(entities).__name__} holds no entities")


def _plain(value: object) -> object:
    """What JSON has no form for."""
    if isinstance(value, datetime):
        if value != value:  # NaT
            return None
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if hasattr(value, "tolist"):  # Scalars and arrays of numpy.
        return _finite(value.tolist())
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    raise TypeError(f"{value!r} cannot be sent: {type(value).__name__} has no JSON")


def _finite(value: object) -> object:
    """JSON has no such numbers: NaN is what is missing, infinities are named."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray)):
        return [_finite(item) for item in value]
    return value
