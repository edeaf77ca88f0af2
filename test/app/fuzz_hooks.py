"""Bodies that schemathesis cannot write: bytes as they come, and JSON for the rest."""

import json

import schemathesis


@schemathesis.serializer(
    "application/x-ndjson",
    "application/vnd.apache.arrow.file",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
)
def as_bytes(context, value):
    return value if isinstance(value, bytes) else json.dumps(value, default=str).encode()
