from pathlib import Path

from deepsynth_store import MANIFEST, open_dataset, publish_folder
from unit.deepsynth_store.stored import read_all


def test_a_finished_folder_is_published_as_it_is(uri: str, tmp_path: Path) -> None:
    source = tmp_path / "model"
    (source / "tokenizer").mkdir(parents=True)
    (source / "config.json").write_bytes(b"{}")
    (source / "tokenizer" / "vocab.json").write_bytes(b"[]")
    revision = publish_folder(source, uri)
    assert open_dataset(uri).revision == revision
    assert {path: content for path, content in read_all(uri).items() if path != MANIFEST} == {
        "config.json": b"{}",
        "tokenizer/vocab.json": b"[]",
    }
