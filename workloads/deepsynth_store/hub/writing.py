r"""Staging on a separate branch and publishing by one commit on the main branch.

    main                ---o---------------------------o---   Publish: copy, delete, add in one commit
                            \                         / copies
    deepsynth-DIGEST         o--- Stage --- Stage ---o        deleted after publishing

The server copies the staged files (their content is not sent again); the same commit adds README.md and the manifest
and deletes the files of the previous generation. parent_commit makes it atomic: if another commit comes first, the Hub
refuses ours, and it is computed again from the new head.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_store.core.file_listing import (
    find_superseded,
    is_same_content,
    list_expected,
    read_content,
    refuse_foreign_files,
    require_agreement,
    require_staged,
    size_of,
)
from deepsynth_store.core.interface import MANIFEST, OnWait, Published, StoredFile
from deepsynth_store.core.uri import HubLocation
from deepsynth_store.hub.calls import HubCalls
from deepsynth_store.hub.file import open_hub_file
from deepsynth_store.hub.reading import find_paths, list_tree, read_commit

_MAIN: Final = "main"


class HubTarget:
    """See DatasetTarget. The revision is the commit's sha; the staging branch is as visible as the repository."""

    def __init__(
        self,
        location: HubLocation,
        digest: str,
        *,
        private: bool,
        field: str,
        on_wait: OnWait | None = None,
        has_answered: bool = False,
    ) -> None:
        self.uri = location.uri
        self._calls = HubCalls(location, field=field, on_wait=on_wait, has_answered=has_answered)
        self._api = self._calls.api
        self._branch = self._folder = f"deepsynth-{digest}"
        self._private = private
        self._field = field

    def prepare(self) -> None:
        self._calls.call("create", self._create_repository)
        head = self._calls.call("read", self._read_head)
        present = [file.path for file in list_tree(self._calls, head)]
        refuse_foreign_files(self._read_manifest(head), present, self.uri, self._field)
        self._calls.call(
            "create the staging branch of",
            lambda: self._api.create_branch(**self._calls.repo, branch=self._branch, exist_ok=True),
        )

    def put(self, files: Mapping[str, bytes | Path]) -> None:
        staged = {f"{self._folder}/{path}": content for path, content in files.items()}
        revision = self._calls.call("stage files in", lambda: self._stage(staged))
        self._check_arrived(revision, [StoredFile(path, size_of(content), None) for path, content in staged.items()])

    def list_staged(self, prefix: str = "") -> Sequence[StoredFile]:
        start = len(self._folder) + 1
        files = list_tree(self._calls, self._branch, self._folder)
        names = [StoredFile(file.path[start:], file.size, file.sha256) for file in files]
        return [file for file in names if file.path.startswith(prefix)]

    def get(self, path: str) -> bytes:
        with self.open_staged(path) as file:
            return file.read()

    def open_staged(self, path: str) -> BinaryIO:
        found = find_paths(self._calls, self._branch, [f"{self._folder}/{path}"])
        if not found:
            raise DataError(f"{path} is not staged in {self.uri} on branch {self._branch}")
        return open_hub_file(self._calls, self._branch, found[0])

    def publish(self, copies: Mapping[str, str], files: Mapping[str, bytes | Path]) -> str:
        revision = self._calls.call("publish", lambda: self._publish_once(copies, files))
        self._check_arrived(revision, list_expected(files))
        self._calls.call("delete the staging branch of", self._delete_branch)
        return revision

    def published(self) -> Published | None:
        head = self._calls.call("read", self._find_head)
        manifest = None if head is None else self._read_manifest(head)
        return None if head is None or manifest is None else Published(head, manifest)

    def _create_repository(self) -> None:
        self._api.create_repo(**self._calls.repo, private=self._private, exist_ok=True)
        if self._private and self._api.repo_info(**self._calls.repo).private is False:
            raise ConfigurationError(
                f"{self._field}: {self.uri} exists and is public, but private is true; "
                "make it private on the Hub, set private to false, or choose another repository"
            )

    def _stage(self, files: Mapping[str, bytes | Path]) -> str:
        """Safe to repeat: files that are staged already are neither sent nor committed again."""
        return self._api.create_commit(
            **self._calls.repo,
            operations=[CommitOperationAdd(path, content) for path, content in files.items()],
            commit_message=f"Stage {', '.join(files)}",
            revision=self._branch,
        ).oid

    def _publish_once(self, copies: Mapping[str, str], files: Mapping[str, bytes | Path]) -> str:
        try:
            return self._commit_generation(copies, files)
        except (DataError, EntryNotFoundError, RevisionNotFoundError):
            # Another process may have published the same plan, and then it has removed staging.
            published = self.published()
            if published is None or published.manifest != read_content(files[MANIFEST]):
                raise
            return published.revision

    def _commit_generation(self, copies: Mapping[str, str], files: Mapping[str, bytes | Path]) -> str:
        """Safe to repeat: a commit whose answer was lost is recognised by its manifest at the head."""
        head = self._read_head()
        previous = self._read_manifest(head)
        if previous == read_content(files[MANIFEST]):
            return head
        require_agreement(copies, files)
        require_staged(copies, files, self.list_staged(), self.uri)
        present = [file.path for file in list_tree(self._calls, head)]
        refuse_foreign_files(previous, present, self.uri, self._field)
        gone = find_superseded(previous, present, [*copies, *files], self.uri)
        return self._api.create_commit(
            **self._calls.repo,
            operations=[
                *(CommitOperationDelete(path) for path in gone),
                *(
                    CommitOperationCopy(f"{self._folder}/{staged}", path, self._branch)
                    for path, staged in copies.items()
                ),
                *(CommitOperationAdd(path, content) for path, content in files.items()),
            ],
            commit_message=f"Publish {self._branch}",
            parent_commit=head,
            revision=_MAIN,
        ).oid

    def _delete_branch(self) -> None:
        try:
            self._api.delete_branch(**self._calls.repo, branch=self._branch)
        except HfHubHTTPError:
            branches = self._api.list_repo_refs(**self._calls.repo).branches
            if any(branch.name == self._branch for branch in branches):  # otherwise it was deleted before
                raise

    def _read_head(self) -> str:
        return read_commit(self._calls, _MAIN)

    def _find_head(self) -> str | None:
        try:
            return self._read_head()
        except RepositoryNotFoundError:
            return None

    def _read_manifest(self, revision: str) -> bytes | None:
        found = find_paths(self._calls, revision, [MANIFEST])
        if not found:
            return None
        with open_hub_file(self._calls, revision, found[0]) as file:
            return file.read()

    def _check_arrived(self, revision: str, expected: Sequence[StoredFile]) -> None:
        """Check that nothing was dropped: a .gitignore in the repository, for example, makes the Hub ignore files."""
        present = {file.path: file for file in find_paths(self._calls, revision, [file.path for file in expected])}
        for file in expected:
            found = present.get(file.path)
            if found is None or not is_same_content(found, file):
                raise DataError(
                    f"{self.uri} lacks {file.path} at revision {revision}, or has other content there; look for "
                    f"a .gitignore and other writers, delete {MANIFEST}, then delete and re-apply the resource"
                )
