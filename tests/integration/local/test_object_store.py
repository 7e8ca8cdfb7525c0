"""The real workloads with everything in an object store: source, pages, checkpoints, event files and models."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepsynth.__main__ import main
from deepsynth_store import MANIFEST, open_dataset
from support.store.object_servers.fault_proxy import FaultProxy
from support.store.object_servers.moto_server import make_bucket, start_moto

GENERATION = """\
apiVersion: deepsynth.io/v1alpha1
kind: DatasetGeneration
metadata: {name: NAME}
spec:
  source: {uri: SOURCE, secretRef: {name: bucket}}
  page: {size: "512"}
  rowsPerShard: 10
  output: {uri: OUTPUT, secretRef: {name: bucket}}
"""
RUN = """\
apiVersion: deepsynth.io/v1alpha1
kind: TrainingRun
metadata: {name: NAME}
spec:
  model: MODEL
  datasets: [{name: letters, DATASET}]
  imageProcessor: {size: 64}
  precision: fp32
  globalBatchSize: 2
  maxSteps: 2
  maxDroppedPercent: 100
  checkpoint: {uri: CHECKPOINT/NAME, everySteps: 1, secretRef: {name: bucket}}
  publish: {uri: PUBLISH, format: FORMAT, secretRef: {name: bucket}}
"""


def fill(document: str, **values: str) -> str:
    for name, value in values.items():
        document = document.replace(name, value)
    return document


def read_all(uri: str) -> dict[str, bytes]:
    dataset = open_dataset(uri)
    return {file.path: dataset.read(file.path) for file in dataset.list_files()}


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


@pytest.mark.slow
def test_a_run_with_all_data_in_a_bucket_equals_one_on_a_volume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, file = tmp_path / "runs", tmp_path / "run.yaml"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "correct-horse")
    rows = [
        {"text": f"Letter {number}. " + "Words that fill a line. " * 9, "summary": "A letter with words."}
        for number in range(40)
    ]

    def apply(*documents: str) -> None:
        file.write_text("---\n".join(documents))
        assert main(["local", "-f", str(file), "--runs", str(runs)]) == 0, capsys.readouterr().err

    with make_bucket() as bucket, FaultProxy(start_moto()) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        source, s3 = f"s3://{bucket}/raw/train.jsonl", f"s3://{bucket}"
        proxy.put(source, "".join(f"{json.dumps(row)}\n" for row in rows).encode())
        on_volume = fill(GENERATION, NAME="on-volume", SOURCE=source, OUTPUT="pvc://run/pages")
        in_bucket = fill(GENERATION, NAME="in-bucket", SOURCE=source, OUTPUT=f"{s3}/pages")
        apply(on_volume, in_bucket)
        pages = read_all(f"{s3}/pages")
        assert pages == read_all(f"file://{runs}/volumes/run/pages")
        assert len([path for path in pages if path.startswith("data/")]) > 1

        base = "{uri: config://deepseek-ocr2-tiny}"
        weights = {}
        for name, root in (("volume", "pvc://run"), ("bucket", s3)):
            places = {"DATASET": f"uri: {root}/pages", "CHECKPOINT": f"{root}/runs", "PUBLISH": f"{s3}/{name}"}
            apply(fill(RUN, NAME=name, MODEL=base, FORMAT="merged", **places))
            weights[name] = read_all(f"{s3}/{name}")["model.safetensors"]
        assert weights["bucket"] == weights["volume"]

        lora = f"{{uri: {s3}/bucket, lora: {{rank: 2}}, secretRef: {{name: bucket}}}}"
        reference = "datasetGenerationRef: {name: in-bucket}"
        places = {"DATASET": reference, "CHECKPOINT": f"{s3}/runs", "PUBLISH": f"{s3}/lora"}
        apply(in_bucket, fill(RUN, NAME="lora", MODEL=lora, FORMAT="adapter", **places))
        checkpoints = load(runs / "trainingruns/bucket.yaml")["status"]["checkpoints"]
        assert [checkpoint["step"] for checkpoint in checkpoints] == [2, 1]
        assert all(checkpoint["uri"].startswith(f"{s3}/runs/bucket/step-") for checkpoint in checkpoints)

        start = "{trainingRunRef: {name: bucket, checkpoint: latest}, secretRef: {name: bucket}}"
        places = {"DATASET": f"uri: {s3}/pages", "CHECKPOINT": f"{s3}/runs", "PUBLISH": f"{s3}/further"}
        apply(
            fill(RUN, NAME="bucket", MODEL=base, FORMAT="merged", **places | {"PUBLISH": f"{s3}/bucket"}),
            fill(RUN, NAME="further", MODEL=start, FORMAT="merged", **places),
        )
        assert load(runs / "trainingruns/further.yaml")["status"]["state"] == "Complete"
        adapter = json.loads(read_all(f"{s3}/lora")["adapter_config.json"])
        status = load(runs / "trainingruns/lora.yaml")["status"]
        model = open_dataset(f"{s3}/bucket")
        assert adapter["base_model_name_or_path"] == model.uri
        assert status["model"] == {"uri": model.uri, "revision": model.revision}
        assert status["output"]["revision"] == open_dataset(f"{s3}/lora").revision
        assert json.loads(read_all(f"{s3}/lora")[MANIFEST])["files"]

    kept = [path.read_bytes() for path in runs.rglob("*") if path.is_file()]
    assert not any(b"correct-horse" in content or b"AKIAEXAMPLE" in content for content in kept)
