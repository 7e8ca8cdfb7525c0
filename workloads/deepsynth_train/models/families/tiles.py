"""Pages as DeepSeek-OCR sees them: the whole page in one square, and square tiles with its details.

An A4 page, with tiles of 768 px and at most 6 of them, gives

    pixel_values        (1, 3, 1024, 1024)   the page, padded to a square
    pixel_values_local  (6, 3, 768, 768)     the page, scaled to 2 x 3 tiles
    num_local_patches   (1,)                 6

Of a batch, the tiles of all pages follow each other in `pixel_values_local`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deepsynth_train.models.families.square_pages import ImageRule, build_planes

Grid = tuple[int, int]
"""Columns and rows of tiles."""
VIEWS: Final = ("pixel_values", "pixel_values_local")
"""Inputs of the model: whole pages, and their tiles."""


@dataclass(frozen=True)
class TileRule:
    """How a page becomes one square and tiles. side: of a tile in pixels; pages up to this size get none.

    least, most: number of tiles to choose a grid from, such as 2 and 6. most: 0 for no tiles.
    """

    image: ImageRule
    side: int
    least: int
    most: int

    def choose_grid(self, width: int, height: int) -> Grid | None:
        """The grid whose shape is closest to that of the page, as the library chooses it; None for no tiles."""
        from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import get_optimal_tiled_canvas

        if not self.most or max(width, height) <= self.side:
            return None
        columns, rows = get_optimal_tiled_canvas((height, width), (self.side, self.side), self.least, self.most)
        return columns, rows

    def build_tensors(self, pages: Sequence[Image.Image]) -> dict[str, torch.Tensor]:
        """Pages in mode L or RGB -> uint8 pixels, of one plane if all are grey, and the number of tiles of each page.

        Without `pixel_values_local` if no page has tiles, and without `num_local_patches` if none ever has.
        """
        tensors = {"pixel_values": build_planes(pages, self.image)}
        if not self.most:
            return tensors
        tiles = [self._cut(page) for page in pages]
        tensors["num_local_patches"] = torch.tensor([len(cut) for cut in tiles])
        if any(len(cut) for cut in tiles):
            tensors["pixel_values_local"] = torch.from_numpy(_join([cut for cut in tiles if len(cut)]))
        return tensors

    def scale(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """Normalise the pixels of both views, on their device. Features of views stay as they are."""
        views = {name: inputs[name] for name in VIEWS if name in inputs and inputs[name].dtype == torch.uint8}
        return {**inputs, **{name: self.image.scale.apply(pixels) for name, pixels in views.items()}}

    def _cut(self, page: Image.Image) -> NDArray[np.uint8]:
        """Tiles of one page, row by row: uint8, (tiles, 1 or 3, side, side)."""
        grid = self.choose_grid(*page.size)
        if grid is None:
            return np.empty((0, 1, self.side, self.side), dtype=np.uint8)
        columns, rows = grid
        scaled = page.resize((columns * self.side, rows * self.side), Image.Resampling(self.image.resample))
        pixels = np.atleast_3d(np.asarray(scaled))  # (rows * side, columns * side, channels)
        cut = pixels.reshape(rows, self.side, columns, self.side, -1).transpose(0, 2, 4, 1, 3)
        return np.ascontiguousarray(cut.reshape(rows * columns, -1, self.side, self.side))


def _join(tiles: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    if len({cut.shape[1] for cut in tiles}) > 1:
        tiles = [np.broadcast_to(cut, (len(cut), 3, *cut.shape[2:])) for cut in tiles]
    return np.concatenate(tiles)


def always_see_tiles(module: Any, side: int) -> None:
    """Make every forward pass with pages run the vision tower twice, also if no page of the batch has tiles.

    When the model is sharded, each layer that runs is a collective, so all ranks must run the same ones. Without tiles
    the second run sees a blank one, and adds nothing to the result or to the gradients.
    """
    module.model.tile_side = side
    module.model.register_forward_pre_hook(_note_tiles, with_kwargs=True)
    module.model.vision_tower.register_forward_hook(_see_blank_tile)


def _note_tiles(model: Any, _: Any, inputs: dict[str, Any]) -> None:
    lacks_tiles = inputs.get("pixel_values") is not None and inputs.get("pixel_values_local") is None
    model.vision_tower.blank_side = model.tile_side if lacks_tiles else None


def _see_blank_tile(tower: Any, arguments: tuple[torch.Tensor, ...], output: Any) -> Any:
    side = getattr(tower, "blank_side", None)
    if side is None:
        return output
    tower.blank_side = None  # the call below ends here as well
    seen = tower(arguments[0].new_zeros(1, 3, side, side)).last_hidden_state
    output.last_hidden_state = output.last_hidden_state + 0 * seen.sum()
    return output
