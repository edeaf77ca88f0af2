"""Feast's own feature server over the rows of a Parquet file: argv is a folder, the file, sqlite or host:port of Redis, a port."""

import sys
from datetime import datetime, timedelta
from pathlib import Path

folder, rows, store, port = sys.argv[1:]
online = (
    {"type": "sqlite", "path": f"{folder}/online.db"}
    if store == "sqlite"
    else {"type": "redis", "connection_string": store}
)
Path(folder).mkdir(parents=True)
Path(f"{folder}/feature_store.yaml").write_text(
    f"""project: bench
provider: local
registry: {folder}/registry.db
online_store: {{{", ".join(f"{key}: '{value}'" for key, value in online.items())}}}
offline_store: {{type: dask}}
entity_key_serialization_version: 3
"""
)
if __name__ == "__main__":
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource
    from feast.cli.cli import cli
    from feast.types import Float64, Int64
    from feast.value_type import ValueType

    one = Entity(name="one", join_keys=["entity_id"], value_type=ValueType.INT64)
    names = [f"d{i}" for i in range(5)] + [f"i{i}" for i in range(5)]
    view = FeatureView(
        name="fv",
        entities=[one],
        schema=[Field(name=name, dtype=Float64 if name[0] == "d" else Int64) for name in names],
        source=FileSource(path=rows, timestamp_field="at"),
        ttl=timedelta(0),
    )
    feast = FeatureStore(repo_path=folder)
    feast.apply([one, view])
    feast.materialize(datetime(2023, 12, 1), datetime(2024, 2, 1))
    # Its workers end after 1,000 requests by default, which costs it more than it gains here.
    serve = ["--chdir", folder, "serve", "-p", port, "-w", "1", "--no-access-log", "--max-requests", "0"]
    cli(serve, standalone_mode=True)
