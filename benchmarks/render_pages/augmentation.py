"""What pages that look like scans cost: in the renderer once, or in training in each epoch.

PYTHONPATH=. .venv/bin/python -m benchmarks.render_pages.augmentation

CPU time and bytes of a page of prose at 18 px on 1024 px, as ratios to a clean page; all in one run.
"""

import io
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_api.v1alpha1.settings.augmentation_settings import AugmentationSettings
from deepsynth_render.page import PageRenderer
from deepsynth_render.page.augmentation import Augmenter

TEXT: Final = " ".join(f"The quick brown fox, number {number}, jumps over the lazy dog." for number in range(44))
ROUNDS: Final = 9
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "clean": {},
    "PNG without noise": {"augmentation": {"noise": 0}},
    "PNG": {"augmentation": {}},
    "JPEG, quality 60 to 95": {"augmentation": {"jpegQuality": 60}},
}


def main() -> None:
    clean_cost = clean_size = clean_decode = 0.0
    print("| pages | renderer, CPU ms | KB | loading in training, CPU ms |\n|---|---|---|---|")
    for name, settings in LOOKS.items():
        renderer = PageRenderer(PageSettings.model_validate(settings), "small")
        (page,) = renderer.render(TEXT, "warm")
        cost = measure(partial(draw, renderer))
        decode = measure(partial(load, page.png))
        if not clean_cost:
            clean_cost, clean_size, clean_decode = cost, len(page.png), decode
            clean = page.png
        print(
            f"| {name} | {cost:.1f} ({cost / clean_cost:.1f}x) | {len(page.png) / 1000:.0f} "
            f"({len(page.png) / clean_size:.1f}x) | {decode:.1f} ({decode / clean_decode:.1f}x) |"
        )
    augmenter = Augmenter(AugmentationSettings(), 0, "fast", font_size_px=18)
    cost = measure(lambda number: augmenter.augment(load(clean, number), f"a {number}"))
    loading = f"{cost:.1f} ({cost / clean_decode:.1f}x)"
    print(f"| clean, changed in training | - | {clean_size / 1000:.0f} (1.0x) | {loading} |")


def draw(renderer: PageRenderer, number: int) -> None:
    renderer.render(TEXT, f"a {number}")


def load(image: bytes, _number: int) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(image)))


def measure(call: Callable[[int], object]) -> float:
    """Median CPU time of a call, in ms."""
    times = []
    for number in range(ROUNDS):
        start = time.process_time()
        call(number)
        times.append(1000 * (time.process_time() - start))
    return median(times)


if __name__ == "__main__":
    main()
