"""What is registered, as the server tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Feature:
    """A feature as a search finds it."""

    ref: str
    """`view:feature`, as reads name it."""
    view: str
    feature: str
    entity: str
    dtype: str
    owner: str
    description: str
    tags: Mapping[str, str]
    version: int


@dataclass(frozen=True)
class FeatureDetails:
    """One feature with where it comes from."""

    ref: str
    entity: str | None
    """None: of an on-demand view."""
    dtype: str
    owner: str
    description: str
    tags: Mapping[str, str]
    version: int
    freshness: Mapping[str, Any] | None
    definition: Mapping[str, Any]
    lineage: Mapping[str, Any]


@dataclass(frozen=True)
class FeatureService:
    """A version of a feature service: what a request gives, what comes back."""

    name: str
    version: int
    current: bool
    model: str | None
    owner: str
    description: str
    keys: Mapping[str, str]
    request: Mapping[str, str]
    features: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def known(kind: type[T], data: Mapping[str, Any]) -> T:
    """A dataclass of what it knows: a newer server may tell more."""
    fields: Mapping[str, Any] = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return kind(**{name: data[name] for name in fields})
