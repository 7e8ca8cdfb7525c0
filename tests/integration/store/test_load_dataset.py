"""A published dataset loads with the library `datasets`, in a separate process: it reads HF_ENDPOINT when imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

from deepsynth_store import open_target
from support.store.generations import build_generation
from support.store.hub_server.server import HubServer

LOAD = """
import json, sys
from datasets import load_dataset
uri, revision = sys.argv[1:]
streamed = load_dataset(uri, split="train", streaming=True, revision=revision)
loaded = load_dataset(uri, split="train")
print(json.dumps({"streamed": [row["text"] for row in streamed], "loaded": list(loaded["text"])}))
"""


def test_a_published_dataset_loads_whole_and_streaming(hub: HubServer, tmp_path: Path) -> None:
    generation = build_generation("one", shards=3, rows=15, as_parquet=True)
    revision = generation.run(open_target("hf://datasets/someone/pages", generation.digest))
    library = {"HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "USE_TORCH": "0"}
    library |= {"HF_HUB_ETAG_TIMEOUT": "600", "HF_HUB_DOWNLOAD_TIMEOUT": "600"}
    environment = {**os.environ, **library}
    command = [sys.executable, "-c", LOAD, "someone/pages", revision]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = [f"one {shard} {row}" for shard in range(3) for row in range(15)]
    assert json.loads(done.stdout) == {"streamed": expected, "loaded": expected}
