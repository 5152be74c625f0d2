"""`sonoseg data inspect`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image


def test_spacing_and_ruler_are_listed_and_a_bad_file_is_refused(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    pixels = np.zeros((260, 300), np.uint8)
    pixels[30:230, 60:260] = np.random.default_rng(1).integers(20, 200, (200, 200))
    for k in range(9):
        half = 3 if k % 2 == 0 else 1
        pixels[30 + 25 * k - half : 30 + 25 * k + half, 40 - half : 40 + half] = 240
    Image.fromarray(pixels).save(tmp_path / "ruler.png")
    code, told, _ = command("data", "inspect", tmp_path / "ruler.png")
    assert code == 0
    assert "ruler.png: 300 x 260 pixels" in told
    assert "pixel spacing: none: the file carries no calibration" in told
    assert "depth ruler: 9 ticks, 25.00 pixels apart, one of 2 larger" in told
    assert "proposal: --spacing 0.2 if the ticks are 5 mm apart" in told
    (tmp_path / "bad.png").write_bytes(b"x")
    code, told, warned = command("data", "inspect", tmp_path)
    assert code == 3
    assert "ruler.png" in told
    assert "refused: " in warned
