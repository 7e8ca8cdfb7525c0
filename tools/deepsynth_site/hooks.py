"""The events of MkDocs that this site needs; mkdocs.yml names this file."""

from pathlib import Path
from typing import Any, Final

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from deepsynth_site.checks import find_faults
from deepsynth_site.links import DOCS, list_linked, rewrite, to_repository, to_site

ROOT: Final = Path(__file__).parents[2]


def on_files(files: Files, config: Any) -> Files:
    """Add the files outside docs/ that pages link to, and those that these link to."""
    pages = [f"{DOCS}{file.src_uri}" for file in files.documentation_pages()]
    seen = set(pages)
    while pages:
        page = pages.pop()
        for path in list_linked((ROOT / page).read_text(encoding="utf-8"), page):
            if path in seen or path.startswith(DOCS) or not (ROOT / path).is_file():
                continue
            seen.add(path)
            files.append(File.generated(config, to_site(path), abs_src_path=str(ROOT / path)))
            if path.endswith(".md"):
                pages.append(path)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    place = page.file.src_uri
    is_ours = (ROOT / DOCS / place).is_file()
    return rewrite(markdown, f"{DOCS}{place}" if is_ours else to_repository(place), ROOT)


def on_post_build(config: Any) -> None:
    """Raises PluginError, which ends the build, for a page that breaks a rule."""
    folder = Path(config["site_dir"])
    faults = [
        f"{path.relative_to(folder)}: {fault}"
        for path in sorted(folder.rglob("*.html"))
        for fault in find_faults(path.read_text(encoding="utf-8"))
    ]
    if faults:
        raise PluginError("\n".join(faults))
