"""Low frequencies take the amplitudes of another image: its shading and gain, with one's own shapes.

Yang and Soatto 2020 (FDA, arXiv 2004.05498); mixed as Xu et al. 2021 (arXiv 2105.11120) do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REACH = 0.03
"""How far from zero frequencies are mixed, as a share of the side: waves of a thirtieth of it and longer."""


def mix_amplitudes(pixels: NDArray[np.uint8], other: NDArray[np.uint8], share: float) -> None:
    """Move the amplitudes of an image's low frequencies towards those of another, in place.

    pixels, other: uint8 (S, S). share: 0 leaves them, 1 takes the other's. Phases stay, so shapes stay where
    they are; what is black stays black, as it is beside a scan that does not fill the square.
    """
    # Borders belong to the frame and not to the tissue: they are filled with the mean before.
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
    there = pixels > 0
    filled = np.where(there, pixels, pixels[there].mean() if there.any() else 0.0)
    return np.fft.rfft2(filled)
