"""Names of children are valid hostnames, and no two resources share them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_operator.manifests.names import build_base_name, build_job_name, build_volume_name
from support.resources.builders import a_dataset_generation, a_training_run

HOSTNAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?", fullmatch=True)
RESOURCE_NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) <= 253)


@given(name=RESOURCE_NAME, index=st.integers(0, 99_999), number=st.integers(1, 999))
def test_the_hostname_of_every_pod_is_a_dns_label(name: str, index: int, number: int) -> None:
    generation = a_dataset_generation().named(name).build()
    hostname = f"{build_job_name(generation, 'publish', number)}-{index}"
    assert len(hostname) <= 63
    assert HOSTNAME.fullmatch(hostname)


@given(name=RESOURCE_NAME, index=st.integers(0, 1023), number=st.integers(1, 9_999))
def test_the_hostname_of_every_rank_is_a_dns_label(name: str, index: int, number: int) -> None:
    hostname = f"{build_job_name(a_training_run().named(name).build(), 'train', number)}-{index}"
    assert len(hostname) <= 63
    assert HOSTNAME.fullmatch(hostname)


def test_a_name_that_fits_is_not_changed() -> None:
    assert build_base_name("read-xsum", "uid") == "read-xsum"


@pytest.mark.parametrize("name", ["7b", "read.xsum", "x" * 46])
def test_a_name_that_is_changed_depends_on_the_uid(name: str) -> None:
    assert build_base_name(name, "one") != build_base_name(name, "two")
    assert build_base_name(name, "one") == build_base_name(name, "one")


def test_a_run_and_a_generation_of_the_same_name_have_different_children() -> None:
    run, generation = a_training_run("same").build(), a_dataset_generation("same").build()
    assert build_job_name(run, "train", 1) != build_job_name(generation, "plan", 1)


@given(claim=RESOURCE_NAME)
def test_every_claim_gives_a_valid_volume_name(claim: str) -> None:
    assert len(build_volume_name(claim)) <= 63
    assert HOSTNAME.fullmatch(build_volume_name(claim))


def test_claims_that_differ_only_in_a_dot_have_two_volumes() -> None:
    assert build_volume_name("a.b") != build_volume_name("a-b")
