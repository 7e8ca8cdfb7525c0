"""Mermaid to SVG at build time, so that no script draws in the browser and none is fetched."""

import itertools
from typing import Any, Final

_numbers: Final = itertools.count(1)


def draw(source: str, *_: object, **__: Any) -> str:
    """The HTML of a Mermaid block; its signature is that of a custom fence of pymdownx.superfences."""
    import mmdr  # only the environment of the site has it

    svg: str = mmdr.render(source).svg()
    return f'<div class="drawing">{svg.replace("merman", f"drawing-{next(_numbers)}")}</div>'
