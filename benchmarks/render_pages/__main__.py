"""Pages per second and core, from text to parquet, with start-up: `make bench-render`.

Each figure is the CPU time, user and system, of a whole fresh process: DeepSynth's render step on one shard, or another
library on a part of its documents, extrapolated. All draw the same font, size, margins and line pitch, and write a
parquet file that `datasets` opens. Compare words per second where the pages of two rows hold different amounts of text.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.render_pages.corpus import build_documents, build_mixed
from benchmarks.render_pages.peers import PEERS, list_peers, measure_peer
from benchmarks.render_pages.shards import NINE_STYLES, Result, Shard, compare_pages, find_median, measure_in_turn

from deepsynth_render.page.compiled.loading import IS_BUILT

ONE_STYLE = "DeepSynth fast"
MANY_STYLES = "  nine styles"
SHARDS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    ONE_STYLE: ({}, "fast"),
    MANY_STYLES: (NINE_STYLES, "fast"),
    "  two bits": ({"bitDepth": 2}, "fast"),
    "DeepSynth small": ({}, "small"),
}
"""Name -> what differs from shards.PAGE, and the compression."""
MIXED = "  ar hi zh ja th emoji"
USUAL = "Pillow as usual"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--documents", type=int, default=2150, help="of 300 to 900 words; the default is about 4,000 pages"
    )
    parser.add_argument("--peer-documents", type=int, default=100, help="those that others draw (default %(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="rounds, of which the median counts (default %(default)s)"
    )
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/deepsynth/corpora", help="of the corpus")
    arguments = parser.parse_args()
    corpus, documents = build_documents(arguments.cache, arguments.documents)
    core = "compiled" if IS_BUILT else "NOT compiled"
    print(f"{len(documents)} documents of {corpus}; the core is {core}", flush=True)
    mixed = build_mixed(arguments.cache, arguments.documents)
    for name in {*PEERS, MIXED} - {*list_peers(), MIXED if mixed else ""}:
        print(f"{name}: skipped, because its packages cannot be installed or fetched")
    print(
        f"{'':22}{'pages/s/core':>14}{'words/s/core':>14}{'ms/page':>9}{'KB/page':>9}"
        f"{'MB RSS':>8}{'pages':>8}{'ratio':>7}"
    )
    peers = documents[: arguments.peer_documents]
    usual = measure_peer(USUAL, peers, len(documents))
    print(_format_row(USUAL, usual, usual.usage.seconds), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        runs = measure_in_turn(_plan_shards(Path(folder), documents, mixed), arguments.repeats)
    for name, results in runs.items():
        print(_format_row(name, find_median(results), usual.usage.seconds), flush=True)
    for name in list_peers():
        if name != USUAL:
            print(_format_row(name, measure_peer(name, peers, len(documents)), usual.usage.seconds), flush=True)
    ratio = compare_pages(runs[MANY_STYLES], runs[ONE_STYLE])
    print(f"A page in nine styles takes {ratio:.3f} times as long as in one.")


def _plan_shards(folder: Path, documents: Sequence[str], mixed: Sequence[str]) -> dict[str, Shard]:
    """By name. mixed: documents of other scripts, if there are any."""
    texts = {name: (documents, *shard) for name, shard in SHARDS.items()}
    if mixed:
        texts[MIXED] = (mixed, {}, "fast")
    return {name: Shard(folder / str(index), *text) for index, (name, text) in enumerate(texts.items())}


def _format_row(name: str, result: Result, usual_seconds: float) -> str:
    (seconds, peak), pages, words, size = result
    return (
        f"{name:22}{pages / seconds:14,.0f}{words / seconds:14,.0f}{1000 * seconds / pages:9.2f}"
        f"{size / pages / 1000:9.1f}{peak / 1e6:8.0f}{pages:8,}{usual_seconds / seconds:7.1f}"
    )


if __name__ == "__main__":
    main()
