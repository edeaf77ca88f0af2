"""The server and its project, as test/e2e/python.test.ts made them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samewise import FeatureStore


@pytest.fixture(scope="session")
def url() -> str:
    return os.environ["SAMEWISE_URL"]


@pytest.fixture(scope="session")
def project() -> Path:
    return Path(os.environ["SAMEWISE_PROJECT"])


@pytest.fixture(scope="session")
def store(url: str) -> Iterator[FeatureStore]:
    with FeatureStore(url) as store:
        yield store


@pytest.fixture(scope="session")
def labels(project: Path) -> pa.Table:
    return pq.read_table(project / "labels.parquet")


@pytest.fixture(scope="session")
def trained(project: Path) -> pa.Table:
    """What `samewise train` made of the labels."""
    with pa.memory_map(str(project / "training.arrow")) as file:
        return pa.ipc.open_file(file).read_all()
