"""Training sets: labels on their way to the server, and what comes back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from samewise._errors import InvalidRequest
from samewise._frames import is_pandas, is_polars, table_of, to_pandas, to_polars
from samewise._types import arrow_type

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

ARROW_STREAM = "application/vnd.apache.arrow.stream"
_ROWS_A_BATCH = 65_536
_BYTES_A_CHUNK = 1 << 20
_FILES = {
    ".parquet": "application/vnd.apache.parquet",
    ".pq": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
}
_ARROW_FILES = (".arrow", ".feather")


class Labels:
    """What a training set is asked for: a frame, or a file that is sent as it is."""

    def __init__(self, given: object) -> None:
        self.given = given
        self.table = table_of(given)
        """None: a file."""
        if self.table is None and not isinstance(given, (str, Path)):
            raise TypeError(f"{type(given).__name__} holds no labels: give a frame or the path of a file")

    @property
    def content_type(self) -> str:
        """Of the body."""
        if self.table is not None:
            return ARROW_STREAM
        suffix = self._path.suffix.lower()
        if suffix in _ARROW_FILES:
            return ARROW_STREAM
        if suffix not in _FILES:
            known = ", ".join([*_FILES, *_ARROW_FILES])
            raise InvalidRequest(
                "client/unknown-format",
                f"cannot tell the format of {self._path}",
                hint=f"use {known}",
            )
        return _FILES[suffix]

    @property
    def _path(self) -> Path:
        assert isinstance(self.given, (str, Path))
        return Path(self.given)

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the body; may be asked for again."""
        if self.table is not None:
            yield from stream_chunks(self.table.schema, self.table.to_batches(_ROWS_A_BATCH))
        elif self.content_type == ARROW_STREAM:
            # Files are compressed more often than not, which the server does not read.
            with pa.memory_map(str(self._path)) as source, pa.ipc.open_file(source) as reader:
                batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
                yield from stream_chunks(reader.schema, batches)
        else:
            with self._path.open("rb") as file:
                while chunk := file.read(_BYTES_A_CHUNK):
                    yield chunk


def stream_chunks(schema: pa.Schema, batches: Any) -> Iterator[bytes]:
    """The bytes of an Arrow stream, a batch at a time."""
    sink = io.BytesIO()

    def taken() -> bytes:
        written = sink.getvalue()
        sink.seek(0)
        sink.truncate()
        return written

    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield taken()
    yield taken()


@dataclass(frozen=True)
class TrainingSet:
    """A training set that is there: one row for each label, in the same order."""

    labels: Labels
    answer: pa.Table
    """As the server sent it."""
    features: int
    """How many of its columns, from the right, are features."""
    id: str
    manifest: str
    """Name of the manifest in the server's output folder; `samewise rebuild` makes the same set of it again."""
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.answer.num_rows)

    @property
    def feature_names(self) -> list[str]:
        """Names of the feature columns."""
        names: list[str] = self.answer.column_names
        return names[len(names) - self.features :]

    def _features(self) -> pa.Table:
        table = self.answer.select(self.feature_names)
        instants = {pa.timestamp("us"): arrow_type("timestamp")}
        fields = [field.with_type(instants.get(field.type, field.type)) for field in table.schema]
        # Rows are copied into one chunk: the server sends them in many small ones.
        return table.cast(pa.schema(fields)).combine_chunks()

    def to_arrow(self) -> pa.Table:
        """The labels as they were given, then the features; times of features are UTC in microseconds."""
        features = self._features()
        labels = self.labels.table
        if labels is None:
            names = self.answer.column_names[: -self.features or None]
            labels = self.answer.select(names)
        table = labels
        for name, column in zip(features.column_names, features.columns, strict=True):
            table = table.append_column(name, column)
        return table

    def to_df(self) -> pd.DataFrame:
        """The same for pandas. Labels keep their types and their index; whole numbers with nulls are Int64, not float."""
        if not is_pandas(self.labels.given):
            return to_pandas(self.to_arrow())
        import pandas as pd

        labels: pd.DataFrame = self.labels.given  # type: ignore[assignment]
        features = to_pandas(self._features()).set_index(labels.index)
        return pd.concat([labels, features], axis=1)

    def to_polars(self) -> pl.DataFrame:
        """The same for polars."""
        if is_polars(self.labels.given):
            labels: pl.DataFrame = self.labels.given  # type: ignore[assignment]
            return labels.hstack(to_polars(self._features()))
        return to_polars(self.to_arrow())

    def to_parquet(self, path: str | Path) -> None:
        """Writes it as Parquet."""
        pq.write_table(self.to_arrow(), path)


def training_set(labels: Labels, headers: Mapping[str, str], body: bytes | bytearray) -> TrainingSet:
    """What the server's answer says."""
    with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
        table = reader.read_all()
    rows = int(headers["x-samewise-rows"])
    if table.num_rows != rows:
        raise InvalidRequest("client/cut-off", f"{table.num_rows} rows came of {rows}")
    return TrainingSet(
        labels=labels,
        answer=table,
        features=int(headers["x-samewise-features"]),
        id=headers["x-samewise-training"],
        manifest=headers["x-samewise-manifest"],
        warnings=tuple(json.loads(headers["x-samewise-warnings"])),
    )
