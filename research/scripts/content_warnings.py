"""Count the images that reading warns of: python research/scripts/content_warnings.py FOLDER..."""

from __future__ import annotations

import io
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from sonoseg import read_frame
from sonoseg.image.content_checks import colour_warnings

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
        encoded: Counter[str] = Counter()
        for path in images:
            found = read_frame(path).warnings
            warned[bool(found)] += 1
            for text in found:
                print(f"{path.name}: {text}")
            encoded.update(_coloured_copies(path))
        print(
            f"{Path(folder).name}: {warned[True]} of {len(images)} images are warned of, and of their copies"
            f" {encoded['YCbCr']} in YCbCr, {encoded['palette']} with a palette",
            flush=True,
        )


def _coloured_copies(path: Path) -> list[str]:
    """Return the encodings of DICOM in which an image is warned of as coloured."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    stream = io.BytesIO()
    rgb.save(stream, "JPEG", quality=75, subsampling="4:2:0")
    copies = {"YCbCr": Image.open(stream).convert("RGB"), "palette": rgb.quantize(64).convert("RGB")}
    return [name for name, copy in copies.items() if colour_warnings(np.asarray(copy))]


if __name__ == "__main__":
    main(sys.argv[1:])
