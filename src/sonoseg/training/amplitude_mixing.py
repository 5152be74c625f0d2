"""Amplitude mixing: low spatial frequencies take amplitudes of another image, its shading and gain.

Yang and Soatto 2020 (FDA, arXiv 2004.05498); mixed as Xu et al. 2021 (arXiv 2105.11120) do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REACH = 0.03
"""Highest mixed frequency, as a fraction of the side in frequency bins."""


def mix_amplitudes(pixels: NDArray[np.uint8], other: NDArray[np.uint8], share: float) -> None:
    """Move the amplitudes of an image's low frequencies towards those of another, in place.

    pixels, other: uint8 (S, S). share: 0 keeps the own amplitudes, 1 takes the other's. Phases are kept, so
    shapes stay in place; black pixels stay black, such as the padding of a letterbox.
    """
    # Black borders are not tissue: they are filled with the mean first.
    own, theirs = _spectrum(pixels), _spectrum(other)
    reach = max(1, round(REACH * pixels.shape[0]))
    rows = np.r_[0 : reach + 1, -reach:0]
    low = np.ix_(rows, np.arange(reach + 1))
    amplitude = np.abs(own[low])
    wanted = (1 - share) * amplitude + share * np.abs(theirs[low])
    own[low] *= np.divide(wanted, amplitude, out=np.ones_like(wanted), where=amplitude > 0)
    mixed = np.fft.irfft2(own, s=pixels.shape)
    np.copyto(pixels, np.clip(np.rint(mixed), 0, 255).astype(np.uint8), where=pixels > 0)


def _spectrum(pixels: NDArray[np.uint8]) -> NDArray[np.complex128]:
    tissue = pixels > 0
    filled = np.where(tissue, pixels, pixels[tissue].mean() if tissue.any() else 0.0)
    return np.fft.rfft2(filled)
