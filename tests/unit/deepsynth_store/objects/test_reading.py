"""Which publish a manifest belongs to, in a store that keeps no attributes of objects."""

from deepsynth_store.objects.keys import build_key, derive_generation
from deepsynth_store.objects.reading import infer_generation
from deepsynth_store.objects.requests import StoredObject

MANIFEST = b'{"files": []}'
SIZES = {"README.md": 5, "data/train-00000.parquet": 10, "data/train-00001.parquet": 20}
FIRST = derive_generation("", MANIFEST)
SECOND = derive_generation(FIRST, MANIFEST)


def list_objects(*generations: str, sizes: dict[str, int] | None = None) -> dict[str, StoredObject]:
    """The files as each of the generations names them."""
    keys = {build_key(path, mark): size for mark in generations for path, size in (sizes or SIZES).items()}
    return {key: StoredObject(key, size, "tag") for key, size in keys.items()}


def test_it_is_the_one_whose_files_are_all_there() -> None:
    assert infer_generation(MANIFEST, SIZES, list_objects(FIRST)) == FIRST
    half = {key: entry for key, entry in list_objects(SECOND).items() if "00001" not in key}
    assert infer_generation(MANIFEST, SIZES, {**list_objects(FIRST), **half}) == FIRST


def test_files_of_other_sizes_are_of_another_publish() -> None:
    other = list_objects("0123456789ab", sizes={path: size + 1 for path, size in SIZES.items()})
    assert infer_generation(MANIFEST, SIZES, {**other, **list_objects(FIRST)}) == FIRST
    assert infer_generation(MANIFEST, SIZES, other) == ""


def test_of_two_publishes_in_the_same_sizes_it_is_the_later_one() -> None:
    """The files of the one before are not deleted yet."""
    before = "ffffffffffff"
    assert infer_generation(MANIFEST, SIZES, list_objects(before, derive_generation(before, MANIFEST))) != before


def test_a_folder_that_another_program_has_copied_has_none() -> None:
    assert infer_generation(MANIFEST, SIZES, list_objects("")) == ""
    assert infer_generation(MANIFEST, SIZES, list_objects("", FIRST)) == ""
    assert infer_generation(MANIFEST, {"README.md": 5}, list_objects(FIRST, sizes={"README.md": 5})) == ""
