"""Count the images that reading warns of: python research/scripts/content_warnings.py FOLDER..."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from pathlib import Path

from sonoseg import read_frame

MASKS = ("_mask", "_tumor", "_other")


def main(folders: list[str]) -> None:
    """Print each image with its warnings, and the counts of each folder."""
    warnings.simplefilter("ignore")
    for folder in folders:
        images = [
            path
            for path in sorted(Path(folder).rglob("*.*"))
            if path.suffix in (".png", ".jpg")
            and not any(part in path.name for part in MASKS)
            and "Masks" not in path.parts
        ]
        warned: Counter[int] = Counter()
        for path in images:
            found = read_frame(path).warnings
            warned[bool(found)] += 1
            for text in found:
                print(f"{path.name}: {text}")
        print(f"{Path(folder).name}: {warned[True]} of {len(images)} images are warned of", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
