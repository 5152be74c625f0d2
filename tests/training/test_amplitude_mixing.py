"""Amplitudes of low frequencies: another image's shading, one's own shapes, black left black."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sonoseg.training.amplitude_mixing import mix_amplitudes

SIDE = 96


def tissue(seed: int, level: float) -> NDArray[np.uint8]:
    """Smooth noise about a grey level, nowhere black or white."""
    grain = gaussian_filter(np.random.default_rng(seed).normal(size=(SIDE, SIDE)), 3)
    return np.clip(level + 12 * grain / grain.std(), 1, 254).astype(np.uint8)


def test_no_share_changes_nothing() -> None:
    pixels = tissue(1, 90)
    kept = pixels.copy()
    mix_amplitudes(pixels, tissue(2, 160), 0.0)
    assert (pixels == kept).all()


@given(st.floats(0, 1), st.integers(0, 99), st.booleans())
def test_the_mean_goes_with_the_share_and_black_stays(share: float, seed: int, framed: bool) -> None:
    pixels, other = tissue(seed, 80), tissue(seed + 100, 150)
    if framed:
        pixels[:20], other[:, 60:] = 0, 0
    there = pixels > 0
    mean, wanted = pixels[there].mean(), other[other > 0].mean()
    mix_amplitudes(pixels, other, share)
    assert (pixels[~there] == 0).all()
    assert pixels[there].mean() == pytest.approx(mean + share * (wanted - mean), abs=2)


def test_shapes_stay_where_they_are() -> None:
    pixels = tissue(5, 120)
    pixels[30:50, 40:70] = 40
    before = pixels.astype(float)
    mix_amplitudes(pixels, tissue(6, 120), 1.0)
    assert np.corrcoef(before.ravel(), pixels.ravel())[0, 1] > 0.8
    assert pixels[30:50, 40:70].mean() < pixels[30:50, :30].mean() - 30


def test_a_black_image_is_no_trouble() -> None:
    black, other = np.zeros((SIDE, SIDE), dtype=np.uint8), tissue(3, 90)
    kept = other.copy()
    mix_amplitudes(black, other, 1.0)
    assert not black.any()
    mix_amplitudes(other, black, 1.0)
    assert other.shape == kept.shape
