"""The limits of an image's size, literally."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonoseg.errors import InputError
from sonoseg.image.raster import read_raster
from sonoseg.image.size_limits import MAX_PIXELS, MIN_SIDE, check_file

RAMP = np.tile((np.arange(300) * 3 % 256).astype(np.uint8), (16, 1))


def test_the_limits() -> None:
    assert MIN_SIDE == 16
    assert MAX_PIXELS == 64_000_000


@pytest.mark.parametrize("shape", [(16, 16), (16, 300)])
def test_the_smallest_image_is_read(tmp_path: Path, shape: tuple[int, int]) -> None:
    Image.fromarray(RAMP[: shape[0], : shape[1]]).save(tmp_path / "a.png")
    assert read_raster(tmp_path / "a.png").shape == shape


@pytest.mark.parametrize("shape", [(15, 16), (16, 15)])
def test_a_side_of_15_pixels_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="too small"):
        read_raster(tmp_path / "a.png")


def test_a_folder_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    for path in (tmp_path, tmp_path / "a.png", tmp_path / "b.png", tmp_path / ("x" * 5000)):
        with pytest.raises(InputError) as caught:
            check_file(path)
        assert caught.value.where == str(path)
