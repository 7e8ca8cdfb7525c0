import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_client.manifest_file import ParsedManifest, parse_manifests
from deepsynth_local.admission.admit import admit
from deepsynth_local.admission.problems import format_path

RUN = """\
apiVersion: deepsynth.io/v1alpha1
kind: TrainingRun
metadata:
  name: read-xsum
spec:
  model: {uri: hf://deepseek-community/DeepSeek-OCR-2}
  datasets: [{name: xsum, datasetGenerationRef: {name: xsum}}]
  numNodes: 2
  resourcesPerNode: {limits: {nvidia.com/gpu: 8}}
  checkpoint: {uri: pvc://checkpoints/read-xsum}
"""
GENERATION = """\
apiVersion: deepsynth.io/v1alpha1
kind: DatasetGeneration
metadata: {name: xsum}
spec:
  preset: xsum
  output: {uri: pvc://pages/xsum}
"""


def read(text: str) -> ParsedManifest:
    return parse_manifests(text, "x.yaml")[0]


def refuse(text: str, old: dict[str, Any] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        admit(read(text), old)
    return caught.value.message


def test_a_run_is_stored_with_the_defaults_of_the_crd() -> None:
    stored = admit(read(RUN))

    assert stored["metadata"] == {"namespace": "default", "name": "read-xsum"}
    assert stored["spec"]["datasets"][0]["trainSplit"] == "train"
    assert stored["spec"]["backoffLimit"] == 3
    assert "status" not in stored
    assert TrainingRun.model_validate(stored).spec.num_nodes == 2


def test_a_run_may_ask_for_local_tiles() -> None:
    assert admit(read(RUN + "  imageProcessor: {maxTiles: 6}\n"))["spec"]["imageProcessor"]["maxTiles"] == 6


def test_nulls_are_replaced_by_defaults_and_a_status_in_a_file_is_ignored() -> None:
    stored = admit(read(GENERATION + "  rowsPerShard: null\n  source: null\nstatus: {state: Complete}\n"))

    assert stored["spec"]["rowsPerShard"] == 5000
    assert "source" not in stored["spec"]
    assert "status" not in stored
    assert DatasetGeneration.model_validate(stored).spec.preset == "xsum"


@pytest.mark.parametrize("size", [4, "auto"])
def test_a_micro_batch_size_is_a_number_or_auto(size: Any) -> None:
    assert admit(read(RUN + f"  microBatchSize: {size}\n"))["spec"]["microBatchSize"] == size
    assert admit(read(RUN))["spec"]["microBatchSize"] == 1


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("  precison: bf16\n", "x.yaml:11: spec.precison: unknown field; did you mean precision?"),
        ("  num_proc_per_node: 2\n", "spec.num_proc_per_node: unknown field; did you mean numProcPerNode?"),
        ("  learningRate: '0.1'\n", "spec.learningRate: unknown field; did you mean spec.optimizer.learningRate?"),
        ("  batchSize: 8\n", "spec.batchSize: unknown field; did you mean globalBatchSize or microBatchSize?"),
        ("  num_train_epochs: 3\n", "spec.num_train_epochs: unknown field; did you mean spec.epochs?"),
        ("  lr: '1e-4'\n", "spec.lr: unknown field; did you mean spec.optimizer.learningRate?"),
        (
            "  uri: x\n",
            "spec.model.uri or spec.checkpoint.uri or spec.publish.uri or spec.datasets[].uri or spec.cache.uri?",
        ),
        ("  zebra: 1\n", "x.yaml:11: spec.zebra: unknown field"),
        (
            "  optimizer: {learningRate: 1e-4}\n",
            'spec.optimizer.learningRate: Invalid value: 0.0001: must be of type string; write it in quotes: "0.0001"',
        ),
        ("  epochs: '3'\n", 'spec.epochs: Invalid value: "3": must be of type integer; write it without quotes'),
        ("  epochs: three\n", 'spec.epochs: Invalid value: "three": must be of type integer\n'),
        ("  compile: 'true'\n", 'Invalid value: "true": must be of type boolean; write it without quotes'),
        ("  compile: maybe\n", 'Invalid value: "maybe": must be of type boolean\n'),
        ("  quantization: nf4\n", "spec.quantization: unknown field; did you mean spec.model.quantize?"),
        ("  imageProcessor: true\n", "must be of type object; write `imageProcessor: {}` to use its defaults"),
        ("  publish: {uri: file://my-model}\n", f"; write the absolute path: file://{Path.cwd()}/my-model"),
        ("  publish: {uri: my-model}\n", f"; write the absolute path: file://{Path.cwd()}/my-model"),
        ("  publish: {uri: /models/mine}\n", "; write the absolute path: file:///models/mine"),
        ("  evaluation: {metrics: cer}\n", 'Invalid value: "cer": must be of type array; write it as a list: [cer]'),
        *(
            (
                f"  microBatchSize: {size}\n",
                f"x.yaml:11: spec.microBatchSize: Invalid value: {size}: must be an integer",
            )
            for size in ("0", '"8"', '"max"')
        ),
        ('  microBatchSize: "8"\n', "of at least 1, or auto; write numbers without quotes"),
        ("  epochs: 0\n", "spec.epochs: Invalid value: 0: must be greater than or equal to 1"),
        ("  maxDroppedPercent: 101\n", "must be less than or equal to 100"),
        ("  precision: bf17\n", 'Unsupported value: "bf17": supported values: "bf16", "fp16", "fp32"; did you mean bf'),
        ("  publish: {uri: ftp://x}\n", 'spec.publish.uri: Invalid value: "ftp://x": must be hf://OWNER/NAME, s3://'),
        ("  publish: {}\n", "spec.publish.uri: Required value: Where to publish the final model: "),
        ("  compile: [1]\n", 'spec.compile: Invalid value: "array": must be of type boolean'),
        ("  prompt: " + "x" * 5000 + "\n", "spec.prompt: Too long: may not be more than 4096 characters"),
        ("  optimizer: {betas: ['0.9']}\n", "spec.optimizer.betas: Invalid value: must have at least 2 items, has 1"),
        ("  cache: {sizeLimit: [1]}\n", "must be of type integer or string"),
        ("  epochs: 1\n  maxSteps: 2\n", "spec.epochs: Invalid value: 1: set epochs or maxSteps, not both"),
        ("  optimizer: {learningRate: '0'}\n", "learningRate must be above 0"),
        (
            "  publish: {uri: hf://a/b, format: adapter}\n",
            "spec.publish: format adapter requires model.lora; set model.lora, or set format to merged",
        ),
        (
            "  template: {env: [{name: A, value: x}, {name: A, value: y}]}\n",
            'spec.template.env[1]: Duplicate value: {"name": "A"}',
        ),
    ],
)
def test_an_invalid_field_is_refused_with_its_line_and_the_remedy(added: str, message: str) -> None:
    assert message in refuse(RUN + added) + "\n"


def test_all_problems_of_a_resource_are_listed_in_the_order_of_the_file() -> None:
    message = refuse(RUN.replace("numNodes: 2", "numNodes: many") + "  zebra: 1\n  seed: -1\n")

    assert message.splitlines()[0] == 'TrainingRun "read-xsum" is invalid:'
    assert [line.split(":")[1] for line in message.splitlines()[1:]] == ["8", "11", "12"]


def test_an_unknown_preset_gets_a_suggestion() -> None:
    message = refuse(GENERATION.replace("preset: xsum", "preset: xsun"))

    assert 'spec.preset: Unsupported value: "xsun"' in message
    assert "did you mean xsum?" in message


def test_a_pattern_does_not_accept_a_trailing_newline() -> None:
    assert "must be 512" in refuse(GENERATION + '  page: {size: "512\\n"}\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RUN.replace("kind: TrainingRun", "kind: TrainingJob"), "x.yaml:2: no matches for kind"),
        (RUN.replace("v1alpha1", "v1"), "x.yaml:1: no matches for kind"),
        ("spec: {}\n", "write apiVersion: deepsynth.io/v1alpha1 and kind: DatasetGeneration or TrainingRun"),
        (RUN.replace("read-xsum\nspec", "Read_XSum\nspec"), 'metadata.name: Invalid value: "Read_XSum"'),
        (RUN.replace("  name: read-xsum\n", "  labels: {a: 1}\n"), "metadata.name: Required value"),
        (RUN.replace("  name: read-xsum\n", "  name: x\n  labels: {a/b: 1}\n"), "metadata.labels[a/b]: Invalid value"),
        (RUN.replace("kind: TrainingRun", "kind: [TrainingRun]"), 'x.yaml:2: no matches for kind "array"'),
        (RUN.replace("  name: read-xsum\n", ""), "x.yaml:3: metadata: Required value"),
        (RUN.replace("metadata:\n  name: read-xsum\n", ""), "x.yaml:1: metadata: Required value"),
        (
            RUN.replace("read-xsum\nspec", "x\n  namespace: ../../etc\nspec"),
            'metadata.namespace: Invalid value: "../../etc"',
        ),
        (RUN.split("spec:", maxsplit=1)[0], "spec: Required value"),
        (
            RUN.replace("  checkpoint: {uri: pvc://checkpoints/read-xsum}\n", ""),
            "spec.checkpoint: Required value: Where and how often the training state is saved; set its uri",
        ),
        (RUN.split("spec:", maxsplit=1)[0] + "spec: 3\n", "spec: Invalid value: 3: must be of type object"),
    ],
)
def test_a_resource_without_kind_name_or_spec_is_refused(text: str, message: str) -> None:
    assert message in refuse(text)


def started(text: str) -> dict[str, Any]:
    return {**admit(read(text)), "status": {"startTime": "2026-01-01T00:00:00Z"}}


def test_the_work_of_a_started_run_is_fixed_but_its_limits_are_not() -> None:
    old = started(RUN)
    before = copy.deepcopy(old)

    assert admit(read(RUN.replace("gpu: 8", "gpu: '8'") + "  suspend: true\n  backoffLimit: 9\n"), old)["spec"][
        "suspend"
    ]
    assert "spec.resourcesPerNode may only change while the TrainingRun is suspended or finished" in refuse(
        RUN.replace("gpu: 8", "gpu: 4"), old
    )
    assert "spec.seed cannot change once the TrainingRun has started" in refuse(RUN + "  seed: 4\n", old)
    assert old == before


def test_all_changes_that_are_refused_are_named_at_once() -> None:
    changed = RUN.replace("numNodes: 2", "numNodes: 3") + "  seed: 4\n  task: ocr\n  suspend: true\n"
    message = refuse(changed, started(RUN))
    assert "spec.task spec.seed cannot change once the TrainingRun has started; create a new TrainingRun" in message
    assert "spec.numNodes may only change while the TrainingRun is suspended or finished" in message
    assert "suspend may" not in message


def test_a_change_is_refused_also_while_status_lacks_what_says_that_it_is_new() -> None:
    old = started(RUN)
    for status in (
        {"state": "Running"},
        {"progress": {"step": 1}},
        {"progress": {"updatedTime": "2026-01-01T00:00:00Z"}},
    ):
        old["status"] = {"startTime": "2026-01-01T00:00:00Z", **status}
        assert "spec.seed cannot change" in refuse(RUN + "  seed: 4\n", old)


def test_the_steps_of_a_run_at_rest_may_change_but_not_below_what_is_trained() -> None:
    more = RUN + "  maxSteps: 40\n"
    at_work = started(RUN + "  maxSteps: 20\n")
    at_work["status"]["savedStep"] = 20
    suspended = copy.deepcopy(at_work)
    suspended["spec"]["suspend"] = True
    complete = copy.deepcopy(at_work)
    complete["status"]["completionTime"] = "2026-01-01T01:00:00Z"

    assert "set spec.suspend to true first" in refuse(more, at_work)
    for old in (suspended, complete):
        assert admit(read(more), old)["spec"]["maxSteps"] == 40
        assert "at least status.savedStep" in refuse(RUN + "  maxSteps: 19\n", old)


def test_a_run_that_has_not_started_may_change() -> None:
    assert admit(read(RUN + "  seed: 4\n"), admit(read(RUN)))["spec"]["seed"] == 4


def test_a_path_is_written_as_by_the_api_server() -> None:
    assert format_path(("spec", "datasets", 0, "labels", "a/b")) == "spec.datasets[0].labels[a/b]"


def test_fields_are_checked_without_the_package_of_the_cel_rules() -> None:
    """`pip install '.[client]'` does not install it."""
    code = "import sys; sys.modules['cel_expr_python'] = None; import deepsynth_local.admission.problems"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
