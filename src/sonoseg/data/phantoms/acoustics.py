"""From an echo-level map to an image: point spread, speckle, compounding, gain, log compression, filtering.

The scatterers of a pixel are many and lie below the wavelength, so their demodulated (IQ) sum is a circular
complex Gaussian; convolved with the pulse's envelope it gives fully developed speckle, whose envelope is
Rayleigh (Wagner et al., IEEE Trans. Sonics Ultrason. 1983). The pulse has one axial width; laterally each
row has its own, applied exactly in the Fourier domain of the rows. Compounding splits the lateral band into
sub-apertures ("looks") and adds their intensities, as spatial compounding does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, fftfreq, ifft, next_fast_len

from sonoseg.data.phantoms.spec import PhantomSpec

F32 = NDArray[np.float32]

SOUND_MM_PER_US = 1.54
_MARGIN = 24  # columns beyond each side, so that the two do not meet in the Fourier domain
_STEER = 1.5  # between neighbouring looks, in beam widths: far enough apart for independent speckle
_MIRROR = 1.6  # echo of a mirror of amplitude 1 against that of the gland


def axial_sigma(spec: PhantomSpec) -> float:
    """Standard deviation of the pulse's envelope in rows: about two cycles, there and back."""
    wavelength = SOUND_MM_PER_US / spec.beam.frequency_mhz
    return max(0.62 * wavelength / spec.spacing.row, 0.7)


def lateral_sigma(spec: PhantomSpec, height: int) -> F32:
    """Standard deviation of the beam in columns for each row (H,): narrowest at the focus."""
    wavelength = SOUND_MM_PER_US / spec.beam.frequency_mhz
    depth = np.arange(height) * spec.spacing.row
    waist = 0.62 * wavelength * spec.beam.f_number
    reach = 7.0 * wavelength * spec.beam.f_number**2 * 4
    width = waist * np.sqrt(1 + ((depth - spec.beam.focus_mm) / reach) ** 2)
    columns: F32 = np.maximum(width / spec.spacing.column, 0.7).astype(np.float32)
    return columns


def envelope_power(spec: PhantomSpec, echo: F32, mirror: F32) -> F32:
    """The compounded echo power (H, W).

    echo: amplitude of the scatterers (H, W), mirror: amplitude of specular interfaces (H, W), whose
    echo has no speckle and is added in power. Where mirror is 0 the mean power is echo squared.
    """
    height, width = echo.shape
    rng = spec.rng(7)
    length = next_fast_len(width + 2 * _MARGIN)
    column = np.clip(np.arange(length) - _MARGIN, 0, width - 1)
    taps = _pulse(axial_sigma(spec))
    reach = len(taps) // 2
    row = np.clip(np.arange(-reach, height + reach), 0, height - 1)
    noise = rng.standard_normal((len(row), 2 * length), dtype=np.float32)
    field = noise.view(np.complex64)
    field *= echo.take(row, axis=0).take(column, axis=1)
    field = _convolve(field.view(np.float32), taps).view(np.complex64)
    bright = _convolve(mirror.take(row, axis=0), taps).take(column, axis=1)
    bright *= np.float32(_MIRROR)
    spectrum = fft(field, axis=1, overwrite_x=True)
    sigma = lateral_sigma(spec, height)[:, None]
    # In units of the beam's width in the Fourier domain; beyond 9 its weight is 0 to rounding.
    frequency = np.clip((2 * np.pi * fftfreq(length)).astype(np.float32)[None, :] * sigma, -9, 9)
    steady = np.exp(np.square(frequency) * np.float32(-0.25))
    bright = ifft(fft(bright, axis=1) * steady, axis=1, overwrite_x=True).real[:, _MARGIN : _MARGIN + width]
    power: F32 = np.square(bright)
    power *= np.float32(spec.beam.looks)
    # A look is exp(-(f - turn * _STEER)^2), but for a factor: the middle one times a step for each turn.
    first = -(spec.beam.looks - 1) / 2
    step = np.exp(np.float32(2 * _STEER) * frequency)
    beam = np.exp(-np.square(frequency) + np.float32(2 * _STEER * first) * frequency)
    for look in range(spec.beam.looks):
        if look:
            beam *= step
        beam *= np.sqrt(np.float32(length / 2) / np.einsum("ij,ij->i", beam, beam))[:, None]
        part = ifft(spectrum * beam, axis=1, overwrite_x=True)[:, _MARGIN : _MARGIN + width]
        power += part.real * part.real
        power += part.imag * part.imag
    power /= np.float32(spec.beam.looks)
    return power


def _pulse(sigma: float) -> F32:
    """The pulse's envelope, a Gaussian of unit energy, one value a row."""
    reach = int(np.ceil(2.8 * sigma))
    taps = np.exp(-np.square(np.arange(-reach, reach + 1) / sigma) / 2)
    unit: F32 = (taps / np.sqrt(np.square(taps).sum())).astype(np.float32)
    return unit


def _convolve(field: F32, taps: F32) -> F32:
    """Convolve the rows' axis of (H + 2 r, W) with 2 r + 1 symmetric taps: (H, W)."""
    reach = len(taps) // 2
    height = len(field) - 2 * reach
    out: F32 = field[reach : reach + height] * taps[reach]
    for k in range(1, reach + 1):
        pair = field[reach - k : reach - k + height] + field[reach + k : reach + k + height]
        pair *= taps[reach + k]
        out += pair
    return out


def compress(spec: PhantomSpec, power: F32) -> NDArray[np.uint8]:
    """Log compression, smoothing and grey curve: uint8 (H, W)."""
    level = np.log10(np.maximum(power, np.float32(1e-12)))
    level *= np.float32(10)
    level = _smooth(level, spec.display.smoothing)
    white = np.float32(19.0 - spec.display.gain_db)  # dB over the gland's mean that shows as white
    level -= white - np.float32(spec.display.dynamic_range_db)
    level *= np.float32(1 / spec.display.dynamic_range_db)
    np.clip(level, 0, 1, out=level)
    grey = level ** np.float32(spec.display.gamma)
    grey *= np.float32(255)
    pixels: NDArray[np.uint8] = np.rint(grey).astype(np.uint8)
    return pixels


def _smooth(level: F32, strength: float) -> F32:
    """A 1-2-1 filter both ways, mixed in by `strength`: a scanner's persistence and smoothing."""
    held = np.pad(level, 1, mode="edge")
    rows = held[:-2] + held[2:]
    rows *= np.float32(0.25)
    rows += held[1:-1] * np.float32(0.5)
    both = rows[:, :-2] + rows[:, 2:]
    both *= np.float32(0.25)
    both += rows[:, 1:-1] * np.float32(0.5)
    both -= level
    both *= np.float32(strength)
    both += level
    return both
