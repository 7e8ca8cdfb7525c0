"""Three generations, and how the tests of the store publish and read them."""

from deepsynth_store import open_dataset, open_target
from support.store.generations import Generation, build_generation

ONE, TWO, THREE = (build_generation(name, shards) for name, shards in [("one", 2), ("two", 3), ("three", 1)])


def run(uri: str, generation: Generation) -> str:
    """Stage and publish a generation; the revision."""
    return generation.run(open_target(uri, generation.digest))


def read_all(uri: str) -> dict[str, bytes]:
    """Path -> content of what readers find."""
    reader = open_dataset(uri)
    return {file.path: reader.read(file.path) for file in reader.list_files()}
