"""The services of spec.tracking. TensorBoard is real, the other two are small fakes."""

import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_train.coordination.progress import WrittenSample
from deepsynth_train.tracking.tracking import Tracking, TrackingThread
from support.training.train_workloads import build_train_workload


class FakeWandb(ModuleType):
    def __init__(self) -> None:
        super().__init__("wandb")
        self.opened: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, Any]]] = []
        self.finished = 0

    def Table(self, columns: list[str], data: list[list[str]]) -> Any:  # noqa: N802 - the library's name
        return [dict(zip(columns, row, strict=True)) for row in data]

    def init(self, **options: Any) -> Any:
        self.opened.append(options)
        return SimpleNamespace(log=self._log, finish=self._finish)

    def _log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((step, values))

    def _finish(self) -> None:
        self.finished += 1


class FakeMlflow(ModuleType):
    """A server with runs by id; searching knows one tag."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.entities = SimpleNamespace(Metric=lambda key, value, _time, step: (step, key, value))
        self.uris: list[str] = []
        self.experiments: list[str] = []
        self.tags: list[dict[str, str]] = []
        self.states: list[str] = []
        self.metrics: list[tuple[str, Any]] = []
        self.texts: dict[str, str] = {}

    def MlflowClient(self, tracking_uri: str) -> Any:  # noqa: N802 - the library's name
        self.uris.append(tracking_uri)
        return self

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=name) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments.append(name)
        return name

    def search_runs(self, experiments: list[str], filter_string: str, max_results: int) -> list[Any]:
        assert experiments == self.experiments
        wanted = [f"tags.`{name}` = '{value}'" for tags in self.tags for name, value in tags.items()]
        return [self._build_run(number) for number, text in enumerate(wanted) if text == filter_string][:max_results]

    def create_run(self, experiment: str, tags: dict[str, str], run_name: str) -> Any:
        assert (experiment, run_name) == (self.experiments[0], "read-xsum")
        self.tags.append(tags)
        return self._build_run(len(self.tags) - 1)

    def update_run(self, _run: str, status: str) -> None:
        self.states.append(status)

    def set_terminated(self, _run: str, status: str) -> None:
        self.states.append(status)

    def log_batch(self, run: str, metrics: list[Any]) -> None:
        self.metrics += [(run, metric) for metric in metrics]

    def log_text(self, run: str, text: str, name: str) -> None:
        self.texts[f"{run}/{name}"] = text

    def _build_run(self, number: int) -> Any:
        return SimpleNamespace(info=SimpleNamespace(run_id=f"run-{number}"))


def open_tracking(folder: Path, *settings: Mapping[str, Any], is_first: bool = True) -> tuple[Tracking, list[str]]:
    """The tracking and its notes. It waits long at the end, for slow machines."""
    notes: list[str] = []
    workload = build_train_workload(folder, tracking=list(settings))
    return Tracking(workload, notes.append, is_first=is_first, close_seconds=3600), notes


SAMPLE = WrittenSample(3, "row 3", "a page\nof <b>text</b>", "<script>")


def run_attempt(
    folder: Path, settings: Mapping[str, Any], first: int, last: int, samples: Sequence[WrittenSample] = ()
) -> None:
    tracking, notes = open_tracking(folder, settings)
    tracking.begin(first)
    for step in range(first, last + 1):
        tracking.write(step, {"loss": 10.0 - step})
    if samples:
        tracking.show(last, samples)
    tracking.finish()
    assert notes == []


def test_tensorboard_shows_one_curve_of_all_attempts(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = {"tensorboard": {"uri": f"file://{tmp_path}/logs"}}
    run_attempt(tmp_path, settings, 0, 4)
    run_attempt(tmp_path, settings, 3, 6, [SAMPLE])
    (folder,) = (tmp_path / "logs").iterdir()
    assert folder.name == "read-xsum-uid-1"
    events = EventAccumulator(str(folder))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(n, 10.0 - n) for n in range(7)]
    (shown,) = events.Tensors("samples/text_summary")
    lines = shown.tensor_proto.string_val[0].decode().split("\n")
    assert [line.strip() for line in lines[:4]] == ["row 3", "reference: a page", "of <b>text</b>", "written: <script>"]
    assert all(line.startswith("    ") for line in lines), "code in Markdown, which shows markup as it is"


def test_wandb_gets_one_run_of_all_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    run_attempt(tmp_path, {"wandb": {"project": "ocr"}}, 0, 1)
    run_attempt(tmp_path, {"wandb": {"project": "ocr"}}, 2, 2, [SAMPLE])
    row = {"sample": "row 3", "reference": SAMPLE.reference, "written": "<script>"}
    assert fake.logged.pop() == (2, {"samples": [row]})
    assert [(item["project"], item["id"], item["resume"]) for item in fake.opened] == [("ocr", "uid-1", "allow")] * 2
    assert fake.logged == [(0, {"loss": 10.0}), (1, {"loss": 9.0}), (2, {"loss": 8.0})]
    assert fake.finished == 2


def test_mlflow_gets_one_run_of_all_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "pages")
    run_attempt(tmp_path, {"mlflow": {"uri": "http://mlflow:5000"}}, 0, 1)
    run_attempt(tmp_path, {"mlflow": {"uri": "http://mlflow:5000"}}, 2, 2, [SAMPLE])
    text = "row 3\nreference: a page\nof <b>text</b>\nwritten: <script>"
    assert fake.texts == {"run-0/samples/step-2.txt": text}
    assert (fake.uris, fake.experiments) == (["http://mlflow:5000"] * 2, ["pages"])
    assert fake.metrics == [("run-0", (step, "loss", 10.0 - step)) for step in range(3)]
    assert fake.states == ["RUNNING", "FINISHED"] * 2


@pytest.mark.parametrize(
    ("package", "settings"),
    [("wandb", {"wandb": {"project": "ocr"}}), ("mlflow", {"mlflow": {"uri": "http://mlflow:5000"}})],
)
def test_a_service_whose_package_is_missing_is_refused_with_field_and_remedy(
    package: str, settings: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"^spec\.tracking\[1\]\.{package}: .* pip install {package}"):
        open_tracking(tmp_path, {"tensorboard": {"uri": f"file://{tmp_path}/logs"}}, settings)
    open_tracking(tmp_path, settings, is_first=False)


def test_a_service_that_fails_leaves_a_note_and_the_others_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeWandb()
    monkeypatch.setattr(fake, "_log", lambda values, step: values[step])
    monkeypatch.setitem(sys.modules, "wandb", fake)
    board = {"tensorboard": {"uri": f"file://{tmp_path}/logs"}}
    tracking, notes = open_tracking(tmp_path, {"wandb": {"project": "ocr"}}, board)
    tracking.begin(0)
    tracking.write(3, {"loss": 1.0})
    tracking.write(4, {"loss": 1.0})
    tracking.finish()
    assert notes == ["warning: spec.tracking[0] failed: KeyError: 3; from step 3 on, values are only in metrics.jsonl"]
    assert len(list((tmp_path / "logs").glob("*/events.*"))) == 1


class Deaf:
    """A server that accepts and never answers."""

    def __init__(self) -> None:
        self.heard = threading.Event()

    def start(self, first_step: int) -> None: ...

    def write(self, _step: int, _values: Mapping[str, float]) -> None:
        self.heard.wait()

    def show(self, _step: int, _samples: Sequence[WrittenSample]) -> None: ...

    def save(self) -> None: ...

    def finish(self) -> None: ...


def test_a_service_that_never_answers_does_not_block_the_end() -> None:
    deaf, notes = Deaf(), list[str]()
    thread = TrackingThread(deaf, "spec.tracking[0]", notes.append, close_seconds=0.01)
    thread.begin(0)
    thread.write(1, {"loss": 1.0})
    thread.finish()
    assert len(notes) == 1
    assert notes[0].startswith("warning: spec.tracking[0] failed: it did not accept all values within")
    deaf.heard.set()
    thread.join()
