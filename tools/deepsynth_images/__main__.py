"""`python -m deepsynth_images cpu gpu`: build the images and say where they are."""

import argparse
import sys

from deepsynth_host.errors import ToolError
from deepsynth_images.build import build_image
from deepsynth_images.recipe import CPU, GPU

RECIPES = {"cpu": CPU, "gpu": GPU}


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="deepsynth_images", description=__doc__)
    parser.add_argument("names", nargs="+", choices=RECIPES)
    try:
        for name in parser.parse_args().names:
            image = build_image(RECIPES[name])
            print(f"{image.reference}: {image.path}")
    except ToolError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
