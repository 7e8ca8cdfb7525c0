"""The memory that a container may use."""

from pathlib import Path

from deepsynth_train.coordination.container import read_memory_limit


def test_the_limit_of_a_container_is_the_lowest_of_its_groups(tmp_path: Path) -> None:
    root, own = tmp_path / "cgroup", tmp_path / "own"
    (root / "pods/pod1").mkdir(parents=True)
    own.write_text("0::/pods/pod1\n")
    assert read_memory_limit(root, own) is None
    (root / "pods/pod1/memory.max").write_text("max\n")
    (root / "pods/memory.max").write_text("8000\n")
    assert read_memory_limit(root, own) == 8000
    (root / "pods/pod1/memory.max").write_text("5000\n")
    assert read_memory_limit(root, own) == 5000
    assert read_memory_limit(tmp_path / "none", tmp_path / "none") is None


def test_the_limit_of_version_1_is_read(tmp_path: Path) -> None:
    (tmp_path / "memory/pod1").mkdir(parents=True)
    (tmp_path / "memory/memory.limit_in_bytes").write_text("7000\n")
    own = tmp_path / "own"
    own.write_text("5:cpu:/\n4:memory:/pod1\n")
    assert read_memory_limit(tmp_path, own) == 7000
    (tmp_path / "memory/pod1/memory.limit_in_bytes").write_text("6000\n")
    assert read_memory_limit(tmp_path, own) == 6000
    own.write_text("4:memory:/a-path-of-the-host\n")
    assert read_memory_limit(tmp_path, own) == 7000, "as in a container that sees its own group as the root"
