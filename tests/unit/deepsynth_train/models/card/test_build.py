"""The card of a published model: metadata that the Hub reads, and text that users cannot break."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from huggingface_hub import ModelCard

from deepsynth_api.v1alpha1.training_run_status import PinnedDataset
from deepsynth_api.workload import WorkloadDataset
from support.training.train_workloads import OCR2, build_train_workload

if TYPE_CHECKING:
    from pathlib import Path

PINNED = [PinnedDataset(name="xsum", uri="hf://datasets/me/xsum-pages", revision="a" * 40)]


def build(folder: Path, *, chat_template: str | None = "x", **changes: Any) -> Any:
    from deepsynth_train.coordination.progress import WrittenSample
    from deepsynth_train.models.card.build import Lineage, build_card

    facts = {"metrics": changes.pop("metrics", {"validation_loss": 1.25}), "samples": changes.pop("samples", ())}
    commit = changes.pop("commit", None)
    settings = {"model": {"uri": OCR2}, "datasets": [WorkloadDataset(name="xsum", uri=PINNED[0].uri)], **changes}
    workload = build_train_workload(folder, **settings)
    model: Any = SimpleNamespace(
        module=SimpleNamespace(config=SimpleNamespace(_commit_hash=commit)),
        processor=SimpleNamespace(chat_template=chat_template),
    )
    samples = [WrittenSample(number, *texts) for number, texts in enumerate(facts["samples"])]
    card: Any = ModelCard(build_card(workload, model, Lineage(120, PINNED, facts["metrics"], samples)))
    return card


def write_base(folder: Path, card: str) -> dict[str, Any]:
    (folder / "base").mkdir()
    (folder / "base" / "README.md").write_text(card)
    return {"uri": f"file://{folder}/base"}


def test_the_metadata_names_what_the_model_was_made_from(tmp_path: Path) -> None:
    data = build(tmp_path, task="ocr").data.to_dict()
    assert data["datasets"] == ["me/xsum-pages"]
    assert data["library_name"] == "transformers"
    assert data["pipeline_tag"] == "image-text-to-text"
    assert data["tags"] == ["deepsynth", "ocr"]
    assert data["license"] == "other"
    assert "base_model_relation" not in data, "random weights have no base model"
    (result,) = data["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "loss", "value": 1.25}]
    assert result["dataset"]["name"] == "xsum"


def test_a_base_on_the_hub_is_named_with_the_commit_that_was_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(repo_id: str, name: str, *, revision: str, local_files_only: bool) -> str:
        assert local_files_only
        asked.append((repo_id, name, revision))
        (tmp_path / "card.md").write_text("---\nlicense: mit\n---\n")
        return str(tmp_path / "card.md")

    monkeypatch.setattr("deepsynth_train.models.card.base_model.hf_hub_download", download)
    card = build(tmp_path, model={"uri": "hf://you/ocr", "revision": "main"}, commit="b" * 40)
    assert asked == [("you/ocr", "README.md", "b" * 40)]
    assert (card.data.base_model, card.data.license) == ("you/ocr", "mit")
    assert f"[you/ocr](https://huggingface.co/you/ocr) at revision `{'b' * 40}`" in card.text


def test_a_base_whose_card_cannot_be_read_has_an_unknown_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise ConnectionError

    monkeypatch.setattr("deepsynth_train.models.card.base_model.hf_hub_download", fail)
    data = build(tmp_path, model={"uri": "hf://you/ocr"}).data
    assert (data.license, data.license_name) == ("other", "see-base-model")
    assert data.license_link == "https://huggingface.co/you/ocr"


def test_the_card_of_a_base_in_a_folder_gives_licence_language_and_its_own_base(tmp_path: Path) -> None:
    base = write_base(tmp_path, "---\nlicense: apache-2.0\nlanguage: [de]\nbase_model: you/ocr\n---\nText")
    data = build(tmp_path, model=base).data
    assert (data.license, data.language, data.base_model) == ("apache-2.0", ["de"], "you/ocr")


@pytest.mark.parametrize("text", ["", "no front matter", "---\n- a\n- b\n---\n", "---\n: [\n---\n"])
def test_a_card_of_the_base_that_cannot_be_parsed_counts_as_none(text: str, tmp_path: Path) -> None:
    assert build(tmp_path, model=write_base(tmp_path, text)).data.license == "other"


def test_adapters_name_peft_and_the_code_loads_them_on_the_commit_of_their_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepsynth_train.models.card.base_model.hf_hub_download", lambda *_, **__: "/nowhere")
    publish = {"uri": "hf://me/reader", "format": "adapter"}
    card = build(tmp_path, model={"uri": "hf://you/ocr", "lora": {}}, publish=publish, commit="c0ffee")
    assert (card.data.library_name, card.data.base_model_relation) == ("peft", "adapter")
    assert 'AutoModelForImageTextToText.from_pretrained("you/ocr", revision="c0ffee"' in card.text
    assert 'PeftModel.from_pretrained(model, "me/reader")' in card.text
    assert "lora" in card.data.tags


def test_adapters_of_a_model_in_a_folder_do_not_name_the_base_of_that_model(tmp_path: Path) -> None:
    publish = {"uri": "hf://me/reader", "format": "adapter"}
    base = write_base(tmp_path, "---\nbase_model: you/ocr\n---\n")
    assert build(tmp_path, model={**base, "lora": {}}, publish=publish).data.base_model is None


def test_merged_adapters_are_a_model_of_transformers(tmp_path: Path) -> None:
    card = build(tmp_path, model={"uri": OCR2, "lora": {}}, publish={"uri": "hf://me/reader"})
    assert card.data.library_name == "transformers"
    assert 'AutoModelForImageTextToText.from_pretrained("me/reader"' in card.text


def test_a_model_without_a_chat_template_takes_only_the_page(tmp_path: Path) -> None:
    card = build(tmp_path, chat_template=None)
    assert card.data.pipeline_tag == "image-to-text"
    assert "apply_chat_template" not in card.text


def test_the_settings_can_be_read_and_name_no_place_in_the_cluster(tmp_path: Path) -> None:
    card = build(
        tmp_path,
        model={"uri": OCR2, "secret_ref": {"name": "secret-token"}},
        optimizer={"learning_rate": "0.003"},
        tracking=[{"tensorboard": {"uri": "pvc://private/curves"}}],
    )
    block = card.text.split("```yaml\n")[1].split("\n```")[0]
    settings = yaml.safe_load(block)
    assert settings["optimizer"]["learningRate"] == "0.003"
    for private in ("secret-token", "private", "checkpoints"):
        assert private not in block
    assert f"| `xsum` | `hf://datasets/me/xsum-pages` | `{'a' * 40}` |" in card.text


@pytest.mark.parametrize(
    "text", ["```\n# Title\n<script>alert(1)</script>", "````\n|a|b|", "---\nlicense: mit\n---", "plain ä 😀"]
)
def test_texts_of_users_stay_inside_their_code_blocks(text: str, tmp_path: Path) -> None:
    from huggingface_hub.repocard import RepoCard

    card = build(tmp_path, prompt=text, samples=[(text, text, text)])
    again: Any = RepoCard(str(card))
    assert again.data.to_dict() == card.data.to_dict()
    outside, inside = split_fences(card.text)
    assert "<script>" not in outside
    assert "# Title" not in outside.replace("\\# Title", "")
    assert inside.count(text) >= 2
    assert [line for line in outside.splitlines() if line.startswith("#")] == [
        "# read-xsum",
        "## How to use",
        "## Metrics",
        "## Samples of the validation split",
        next(line for line in outside.splitlines() if line.startswith("### ")),
        "## Training",
        "## Licence",
    ]


def split_fences(text: str) -> tuple[str, str]:
    """The lines outside and inside of code blocks, as CommonMark finds them."""
    outside, inside, mark = [], [], ""
    for line in text.splitlines():
        run = line[: len(line) - len(line.lstrip("`"))]
        if mark and len(run) >= len(mark) and not line.strip("`"):
            mark = ""
        elif mark:
            inside.append(line)
        elif len(run) >= 3:
            mark = run
        else:
            outside.append(line)
    return "\n".join(outside), "\n".join(inside)


def test_without_an_evaluation_there_are_no_metrics(tmp_path: Path) -> None:
    card = build(tmp_path, metrics={})
    assert "## Metrics" not in card.text
    assert "model-index" not in card.data.to_dict()


def test_a_metric_that_is_not_finite_is_only_shown_to_readers(tmp_path: Path) -> None:
    card = build(tmp_path, metrics={"validation_loss": math.nan, "validation_cer": 0.25})
    assert "| `validation_loss` | nan |" in card.text
    (result,) = card.data.to_dict()["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "cer", "value": 0.25}]


def test_headings_are_plain_text_where_that_is_safe(tmp_path: Path) -> None:
    card = build(
        tmp_path,
        name="my_first-run_2",
        samples=[("spec.datasets[xsum]: row 3 of the validation split", "a", "b"), ("_a_ [x](y) :b:", "a", "b")],
    )
    headings = [line for line in card.text.splitlines() if line.startswith("#")]
    assert headings[0] == "# my_first-run_2"
    assert "### xsum: row 3 of the validation split" in headings
    assert r"### \_a\_ \[x\](y) \:b\:" in headings


def test_data_that_was_copied_is_named_as_the_user_did(tmp_path: Path) -> None:
    import json

    from deepsynth_train.models.card.build import Lineage, build_documents

    dataset = WorkloadDataset(name="pages", uri="file:///cache/memory-1", origin="my-pages")
    workload = build_train_workload(tmp_path, model={"uri": OCR2}, datasets=[dataset])
    model: Any = SimpleNamespace(
        module=SimpleNamespace(config=SimpleNamespace()), processor=SimpleNamespace(chat_template=None)
    )
    pinned = [PinnedDataset(name="pages", uri=dataset.uri, revision="b" * 64)]
    files = build_documents(workload, model, Lineage(1, pinned, {}))
    assert f"| `pages` | `my-pages` | `{'b' * 64}` |" in files["README.md"]
    assert json.loads(files["deepsynth.json"])["datasets"][0]["uri"] == "my-pages"
    assert "/cache" not in "".join(files.values())
