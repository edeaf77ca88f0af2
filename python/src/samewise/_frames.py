"""Frames of pandas, polars and pyarrow. pandas and polars are loaded only where they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def is_pandas(frame: object) -> bool:
    """Whether it is a DataFrame of pandas, which need not be installed."""
    return type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns")


def is_polars(frame: object) -> bool:
    """Whether it is a DataFrame of polars."""
    return type(frame).__module__.partition(".")[0] == "polars" and hasattr(frame, "to_arrow")


def table_of(frame: object) -> pa.Table | None:
    """A frame, or a dict of columns, as Arrow as it is sent; None: it is none."""
    if is_pandas(frame):
        table = pa.Table.from_pandas(frame, preserve_index=False)
    elif is_polars(frame):
        table = frame.to_arrow()  # type: ignore[attr-defined]
    elif isinstance(frame, pa.Table):
        table = frame
    elif isinstance(frame, pa.RecordBatch):
        table = pa.Table.from_batches([frame])
    elif isinstance(frame, dict):
        table = pa.table(frame)
    else:
        return None
    return sendable(table)


def sendable(table: pa.Table) -> pa.Table:
    """One dictionary for all batches, and no views of texts, which few readers know."""
    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    fields = [field.with_type(views.get(field.type, field.type)) for field in table.schema]
    return table.cast(pa.schema(fields)).unify_dictionaries()


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Exact: whole numbers and booleans with nulls become pandas' nullable types instead of floats and objects."""
    import pandas as pd

    nullable: dict[pa.DataType, Any] = {
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    columns = {
        name: column.to_pandas(types_mapper=nullable.get if column.null_count else None)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def to_polars(table: pa.Table) -> pl.DataFrame:
    """Without a copy where polars can."""
    import polars as pl

    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
