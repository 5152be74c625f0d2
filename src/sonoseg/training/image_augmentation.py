"""Augmentation of single images on the CPU: lesion copy-paste, amplitude mixing, marks, windows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sonoseg.training.amplitude_mixing import mix_amplitudes
from sonoseg.training.batches import Change
from sonoseg.training.drawn_marks import draw_marks
from sonoseg.training.lesion_copy_paste import Another, insert_lesions, remove_lesions
from sonoseg.training.random_windows import draw_window
from sonoseg.training.recipe import AugmentationOptions


def image_augmentation(
    options: AugmentationOptions,
    seed: tuple[int, ...],
    indices: Iterable[int],
    another: Another,
) -> Change | None:
    """Return the function that augments a batch's pixels and masks, uint8 (n, S, S), in place.

    seed: of the run, the epoch and the step. indices: each image's index in the whole batch, so that its
    draws do not depend on the process that takes it. another: draws an image and its mask, uint8 (S, S).
    Returns None where the options ask for none of these augmentations.
    """
    if not (
        options.lesion_removal
        or options.lesion_insertion
        or options.mix
        or options.marks
        or options.crop
        or options.erase
    ):
        return None
    own = [np.random.default_rng([*seed, 1 << 21, index]) for index in indices]

    def change(pixels: NDArray[np.uint8], masks: NDArray[np.uint8]) -> None:
        for image, mask, random in zip(pixels, masks, own, strict=True):
            if options.lesion_removal and random.random() < options.lesion_removal:
                remove_lesions(image, mask, another, random)
            if options.lesion_insertion and random.random() < options.lesion_insertion:
                insert_lesions(image, mask, another, random)
            if options.mix and random.random() < options.mix:
                mix_amplitudes(image, another(random)[0], random.random())
            window = draw_window(mask, options, random)
            if random.random() < options.marks:
                draw_marks(image, mask, random)
            if window is not None:
                kept = image[window].copy(), mask[window].copy()
                image[:], mask[:] = 0, 0
                image[window], mask[window] = kept

    return change
