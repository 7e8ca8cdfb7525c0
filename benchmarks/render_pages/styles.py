"""What several styles cost: `make bench-styles`.

One line per round, ms of CPU per page, start-up included: all documents in each style alone, and in all nine, which
each document chooses by its id. Pages of another font or size hold other amounts of ink, so the nine are compared with
the mean of the styles alone, and with the usual one, DejaVu Sans at 18 px.
"""

import argparse
import tempfile
from itertools import product
from pathlib import Path
from statistics import mean, median

from benchmarks.render_pages.corpus import build_documents
from benchmarks.render_pages.shards import NINE_STYLES, Shard, measure_in_turn

USUAL = "DejaVu Sans 18"
NINE = "nine"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=2150, help="the default is about 4,000 pages")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/deepsynth/corpora", help="of the corpus")
    arguments = parser.parse_args()
    _, documents = build_documents(arguments.cache, arguments.documents)
    styles = {f"{font} {size}": (font, size) for font, size in product(*NINE_STYLES.values())}
    with tempfile.TemporaryDirectory() as name:
        shards = {
            style: Shard(Path(name, style), documents, {"fontFamilies": [font], "fontSizesPx": [size]}, "fast")
            for style, (font, size) in styles.items()
        }
        shards[NINE] = Shard(Path(name, NINE), documents, NINE_STYLES, "fast")
        runs = measure_in_turn(shards, arguments.repeats)
    turns = [
        {style: 1000 * results[turn].usage.seconds / results[turn].pages for style, results in runs.items()}
        for turn in range(arguments.repeats)
    ]
    for turn in turns:
        print("   ".join(f"{style} {milliseconds:.2f}" for style, milliseconds in turn.items()))
    alone = median(turn[NINE] / mean(turn[style] for style in styles) for turn in turns)
    usual = median(turn[NINE] / turn[USUAL] for turn in turns)
    print(f"A page in nine styles takes {alone:.3f} times as long as in one on average, {usual:.3f} as in {USUAL}.")


if __name__ == "__main__":
    main()
