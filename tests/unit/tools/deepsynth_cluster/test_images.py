"""Image archives, and the folder for their content in a snapshot."""

from pathlib import Path

import pytest

from deepsynth_cluster.errors import ClusterError
from deepsynth_cluster.images.archives import open_layer, read_images, write_archive
from deepsynth_cluster.images.loading import _writable_folder


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("probe:1", "docker.io/library/probe:1"),
        ("team/probe:1", "docker.io/team/probe:1"),
        ("localhost/probe:1", "localhost/probe:1"),
        ("registry.example.com:5000/probe:1", "registry.example.com:5000/probe:1"),
    ],
)
def test_an_archive_is_read_back_under_the_full_name_of_its_image(tmp_path: Path, tag: str, name: str) -> None:
    write_archive(tmp_path / "image.tar", tag, [{"bin/probe": b"#!"}, {"etc/x": b"y"}], ["/bin/probe"])
    (image,) = read_images(tmp_path / "image.tar")
    assert image.names == (name,)
    assert len(image.layers) == 2
    with open_layer(image, image.layers[0]) as content:
        assert b"#!" in content.read()


def test_a_file_that_is_not_an_archive_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_text("nothing")
    with pytest.raises(ClusterError, match=r"image\.tar is neither a docker-archive nor an OCI layout"):
        read_images(tmp_path / "image.tar")


def test_the_writable_folder_of_a_snapshot_is_its_upperdir_or_the_only_one() -> None:
    options = "workdir=/r/snapshots/7/work,upperdir=/r/snapshots/7/fs,lowerdir=/r/snapshots/3/fs"
    overlay = f"mount -t overlay overlay /m -o {options}"
    assert _writable_folder(overlay) == "/r/snapshots/7/fs"
    assert _writable_folder("mount -t bind /r/snapshots/1/fs /m -o rw,rbind") == "/r/snapshots/1/fs"
    with pytest.raises(ClusterError, match="no folder"):
        _writable_folder("mount -t tmpfs none /m")
