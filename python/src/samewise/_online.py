"""Answers of online reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from samewise._frames import to_pandas, to_polars
from samewise._types import arrow_type, decoded

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class OnlineResponse:
    """Features of the entities that were asked for, row by row in their order."""

    def __init__(self, entities: Sequence[Mapping[str, Any]], parts: Sequence[Mapping[str, Any]]):
        """`parts` are answers of the server, each for the next of the entities."""
        self._entities = entities
        self._parts = parts
        self.types: Mapping[str, str] = parts[0]["types"]
        """Type of each feature."""

    def __len__(self) -> int:
        return len(self._entities)

    def __repr__(self) -> str:
        return f"OnlineResponse({len(self)} entities, features {list(self.types)})"

    @property
    def at(self) -> datetime:
        """The time that was read at."""
        return datetime.fromisoformat(self._parts[0]["at"])

    @property
    def partial(self) -> bool:
        """Whether a deadline passed before all values had come; those that had not are None and TIMED_OUT."""
        return any(part.get("partial", False) for part in self._parts)

    @property
    def stale(self) -> Sequence[str]:
        """Features made from pages that are further behind than they promise."""
        return list(dict.fromkeys(name for part in self._parts for name in part.get("stale", ())))

    @cached_property
    def values(self) -> Mapping[str, Sequence[Any]]:
        """Values by feature."""
        return {name: decoded(self._joined("columns", name), dtype) for name, dtype in self.types.items()}

    @cached_property
    def statuses(self) -> Mapping[str, Sequence[str]]:
        """Why each value is what it is: PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE, DEFAULTED, …"""
        return {name: self._joined("statuses", name) for name in self.types}

    @cached_property
    def event_times(self) -> Mapping[str, Sequence[datetime | None]]:
        """When the newest event happened that each value knows of."""
        return {name: decoded(self._joined("event_times", name), "timestamp") for name in self.types}

    def _joined(self, what: str, name: str) -> list[Any]:
        if len(self._parts) == 1:
            column: list[Any] = self._parts[0][what][name]
            return column
        return [value for part in self._parts for value in part[what][name]]

    @cached_property
    def _keys(self) -> Mapping[str, list[Any]]:
        names = dict.fromkeys(name for row in self._entities for name in row)
        return {name: [row.get(name) for row in self._entities] for name in names}

    def to_dict(self, include_event_timestamps: bool = False) -> dict[str, list[Any]]:
        """Columns: what was asked with, then the features; with event times as `<feature>__ts`."""
        columns = {name: list(values) for name, values in {**self._keys, **self.values}.items()}
        if include_event_timestamps:
            columns |= {f"{name}__ts": list(times) for name, times in self.event_times.items()}
        return columns

    def to_arrow(self, include_event_timestamps: bool = False) -> pa.Table:
        """The same as Arrow, each feature in its own type; times are UTC in microseconds."""
        columns = {name: pa.array(values) for name, values in self._keys.items()}
        for name, dtype in self.types.items():
            columns[name] = pa.array(self.values[name], type=arrow_type(dtype))
        if include_event_timestamps:
            for name, times in self.event_times.items():
                columns[f"{name}__ts"] = pa.array(times, type=arrow_type("timestamp"))
        return pa.table(columns)

    def to_df(self, include_event_timestamps: bool = False) -> pd.DataFrame:
        """The same for pandas. Whole numbers stay whole: a column with nulls is Int64, not float."""
        return to_pandas(self.to_arrow(include_event_timestamps))

    def to_polars(self, include_event_timestamps: bool = False) -> pl.DataFrame:
        """The same for polars."""
        return to_polars(self.to_arrow(include_event_timestamps))
