"""Writes two rows with Feast's own client, through its remote online store: argv is the server's URL and a folder."""

import sys
from datetime import timedelta

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig
from feast.data_source import PushMode
from feast.types import Bool, Float64, Int64, String
from feast.value_type import ValueType

url, folder = sys.argv[1:]
config = RepoConfig(
    project="samewise",
    provider="local",
    registry=f"{folder}/registry.db",
    online_store={"type": "remote", "path": url},
    offline_store={"type": "dask"},
    entity_key_serialization_version=3,
)
types = {"i": Int64, "d": Float64, "s": String, "b": Bool}
names = ["i0", "i1", "i2", "d0", "d1", "d2", "d3", "s0", "s1", "b0"]
one = Entity(name="one", join_keys=["entity_id"], value_type=ValueType.INT64)
files = FileSource(
    path=f"{folder}/none.parquet",
    timestamp_field="event_timestamp",
    created_timestamp_column="created",
)
fv = FeatureView(
    name="fv",
    entities=[one],
    schema=[Field(name=name, dtype=types[name[0]]) for name in names],
    source=PushSource(name="push", batch_source=files),
    ttl=timedelta(0),
)


def frame(key):
    row = dict(i0=7, i1=8, i2=4611686018427387905, d0=1.5, d1=2.0, d2=0.1, d3=None, s0="gold", s1="é", b0=True)
    at = pd.Timestamp("2025-03-01T00:00:00.123456Z")
    return pd.DataFrame([dict(entity_id=key, event_timestamp=at, created=at, **row)])


store = FeatureStore(config=config)
pd.DataFrame(frame(0)).to_parquet(f"{folder}/none.parquet")
store.apply([one, fv])
store.push("push", frame(21), to=PushMode.ONLINE)
store.write_to_online_store("fv", frame(22))
