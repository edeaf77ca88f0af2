"""Round trips of one Python client for one entity: argv is samewise or feast, the server's URL, calls. Prints µs: wall, CPU of the client."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

kind, url, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
NAMES = [f"fv:d{i}" for i in range(5)] + [f"fv:i{i}" for i in range(5)]


def samewise() -> Callable[[int], dict[str, Any]]:
    from samewise import FeatureStore

    store = FeatureStore(url)
    return lambda i: store.get_online_features(NAMES, [{"entity_id": i}]).to_dict()


def feast() -> Callable[[int], dict[str, Any]]:
    import tempfile

    from feast import FeatureStore, RepoConfig

    folder = tempfile.mkdtemp()
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=f"{folder}/empty.db",
        online_store={"type": "remote", "path": url},
        offline_store={"type": "dask"},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    return lambda i: store.get_online_features(NAMES, [{"entity_id": i}]).to_dict()


read = samewise() if kind == "samewise" else feast()
for i in range(calls // 5):
    read(i)
walls = []
cpu = time.process_time()
for i in range(calls):
    begun = time.perf_counter()
    answer = read((i * 7919) % 10_000)
    walls.append(time.perf_counter() - begun)
    assert answer["i0"] == [(i * 7919) % 10_000 * 36], answer
cpu = (time.process_time() - cpu) / calls
print(json.dumps({"wall": statistics.median(walls) * 1e6, "cpu": cpu * 1e6}))
