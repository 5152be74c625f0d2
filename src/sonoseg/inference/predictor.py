"""Load a model once, predict many images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.errors import ModelError, ShapeError, SonosegError, UsageError
from sonoseg.image.frame import Frame, Spacing
from sonoseg.image.grey import grey_array, grey_image
from sonoseg.image.network_grid import Grid
from sonoseg.inference.pipeline import ahead
from sonoseg.inference.runtimes import load_runtime
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.steps import NetworkInput, NetworkOutput, PredictionSteps
from sonoseg.inference.test_time_augmentation import average, views_of
from sonoseg.inputs.reading import read_frame
from sonoseg.model.card import Postprocessing
from sonoseg.model.model import Model

ImageInput = Frame | str | Path | NDArray[Any] | Image.Image | Callable[[], Frame]
"""What can be predicted: a Frame, a file, an array (see grey_array), a Pillow image as it lies, or what gives
a Frame when it is called: that is done in the threads that read, when its turn comes."""


class Predictor:
    """A loaded model, ready for images.

    model: a Model, or the path of a model folder or training run; None is the model that ships.
    runtime: "auto", "onnx", "openvino" or "torch"; "auto" is the fastest that is installed.
    precision: "auto", "fp32", "bf16" or "int8"; "auto" is the fastest that the card allows.
    images: about how many will be predicted, where that is known: "auto" then weighs the engine's start.
    threshold: in place of the card's; a place is lesion where its probability reaches this; between 0 and 1.
    postprocessing: in place of the card's.
    threads: CPU threads for the network; None leaves it to the runtime.
    tta: test-time augmentation, "none", "flip" (two passes), "scales" (three) or "full" (six): see tta.py.

    Raises ModelError where the model cannot be loaded, MissingExtra where the runtime is not installed,
    UsageError for an unknown runtime, a precision it has not, or a threshold out of range.
    """

    def __init__(
        self,
        model: Model | str | Path | None = None,
        *,
        runtime: str = "auto",
        precision: str = "auto",
        images: int | None = None,
        threshold: float | None = None,
        postprocessing: Postprocessing | None = None,
        threads: int | None = None,
        tta: str = "none",
    ) -> None:
        self._views = views_of(tta)
        self.tta = tta
        self.model = model if isinstance(model, Model) else Model.load(model)
        card = self.model.card
        self.threshold = card.threshold if threshold is None else threshold
        if not 0 < self.threshold < 1:
            raise UsageError(f"a threshold of {threshold}", remedy="Give a probability between 0 and 1")
        self.postprocessing = card.postprocessing if postprocessing is None else postprocessing
        self._preprocessing = card.preprocessing
        self._runtime = load_runtime(runtime, self.model, threads=threads, precision=precision, images=images)
        self.steps = PredictionSteps(
            preprocessing=card.preprocessing,
            postprocessing=self.postprocessing,
            threshold=self.threshold,
            tta=tta,
            model=f"{card.name} ({self.model.hash})",
            runtime=self._runtime.name,
        )

    @property
    def runtime(self) -> str:
        """The engine, its version, its device and its precision."""
        return self._runtime.name

    @property
    def engine(self) -> str:
        """What load_runtime calls the engine."""
        return self._runtime.engine

    @property
    def precision(self) -> str:
        """What the engine computes in."""
        return self._runtime.precision

    def predict(
        self, image: ImageInput, *, attention: bool = False, spacing: Spacing | None = None
    ) -> Segmentation:
        """Segment one image.

        attention: bring the gates' coefficients to the image's grid too.
        spacing: (row, column) mm per pixel of what is no Frame; a Frame carries its own.

        Raises InputError where a file cannot be read, ShapeError where an array is no image, ModelError
        where the network fails.
        """
        ready = self.read(image, spacing)
        return self.finish(*self.run([ready], attention))

    def predict_many(
        self,
        images: Iterable[ImageInput],
        *,
        batch: int = 8,
        attention: bool = False,
        spacing: Spacing | None = None,
        on_error: Callable[[ImageInput, SonosegError], None] | None = None,
    ) -> Iterator[Segmentation]:
        """Segment images in their order, reading ahead and finishing while the network works.

        images: consumed as needed; about four batches are held at a time, however many there are.
        batch: images a run of the network.
        attention, spacing: as in `predict`.
        on_error: called with an image that cannot be used and the reason, and the work goes on; without it
            the reason is raised.

        Raises as `predict`.
        """
        if batch < 1:
            raise UsageError(f"a batch of {batch} images", remedy="Give a batch of 1 or more")
        # Two hands to read and finish; one for the network, whose engine has threads of its own.
        hands, engine = ThreadPoolExecutor(2, "sonoseg-hand"), ThreadPoolExecutor(1, "sonoseg-network")

        def batches() -> Iterator[list[NetworkInput]]:
            together: list[NetworkInput] = []
            for image, future in ahead(hands, lambda image: self.read(image, spacing), images, 2 * batch):
                try:
                    together.append(future.result())
                except SonosegError as error:
                    if on_error is None:
                        raise
                    on_error(image, error)
                if len(together) == batch:
                    yield together
                    together = []
            if together:
                yield together

        def found() -> Iterator[NetworkOutput]:
            for _, future in ahead(engine, lambda ready: self.run(ready, attention), batches(), 2):
                yield from future.result()

        try:
            for _, future in ahead(hands, self.finish, found(), 3):
                yield future.result()
        finally:
            for pool in (hands, engine):
                pool.shutdown(wait=True, cancel_futures=True)

    def predict_grid(self, pixels: NDArray[np.uint8], *, batch: int = 8) -> NDArray[np.float32]:
        """Probabilities at the network's size, for images that lie on its grid already.

        pixels: uint8 (N, S, S), S the card's size. Returns float32 (N, S, S), 0..1.
        Raises ShapeError for another shape, ModelError where the network fails.
        """
        return _sigmoid(self.logit_grid(pixels, batch=batch), self.model.card.temperature)

    def logit_grid(self, pixels: NDArray[np.uint8], *, batch: int = 8) -> NDArray[np.float32]:
        """As `predict_grid`, the network's own logits, before the temperature: float32 (N, S, S)."""
        size = self._preprocessing.size
        if pixels.ndim != 3 or pixels.shape[1:] != (size, size) or pixels.dtype != np.uint8:
            raise ShapeError(
                f"this model takes uint8 (N, {size}, {size}), got {pixels.dtype} {pixels.shape}",
                remedy=f"Prepare the set at size {size}, or use predict, which resizes",
            )
        logit = np.empty(pixels.shape, dtype=np.float32)
        for start in range(0, len(pixels), batch):
            part = slice(start, start + batch)
            logit[part] = self._logit(pixels[part], attention=False)[0]
        return logit

    def read(self, image: ImageInput, spacing: Spacing | None = None) -> NetworkInput:
        """The first of the three steps of `predict`, for a caller with threads of its own: read and resize.

        In any thread. Raises as `predict`.
        """
        return self.steps.ready(as_frame(image, spacing=spacing))

    def run(self, ready: list[NetworkInput], attention: bool = False) -> list[NetworkOutput]:
        """The second step: the network, on one or more images at once; in one thread at a time.

        A pass a view: no more images at once than were asked for, for memory's sake. Raises ModelError.
        """
        pixels = np.stack([one.pixels for one in ready])
        probability, maps = self.answer(pixels, [one.grid for one in ready], attention)
        return [
            NetworkOutput(one, probability[n], {k: v[n, 0] for k, v in maps.items()} if attention else None)
            for n, one in enumerate(ready)
        ]

    def answer(
        self, pixels: NDArray[np.uint8], grids: Sequence[Grid], attention: bool = False
    ) -> tuple[list[NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
        """The second step for pixels that come without their frames.

        pixels: uint8 (N, V, S, S), as `Ready` has them. grids: the N places they stand for.

        Returns a probability float32 (S, S) each, and the attention maps (N, 1, h, w) a gate; empty where
        they were not asked for. Raises ModelError.
        """
        passes = [self._probability(pixels[:, n], attention and n == 0) for n in range(len(self._views))]
        maps = passes[0][1]  # the gates are shown as they saw the image as it is
        probability = [
            average([answers[n] for answers, _ in passes], grid, self._views) for n, grid in enumerate(grids)
        ]
        return probability, maps

    def _probability(
        self, pixels: NDArray[np.uint8], attention: bool
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Probabilities (N, S, S) and attention maps (N, 1, h, w) for pixels uint8 (N, S, S)."""
        logit, maps = self._logit(pixels, attention)
        return _sigmoid(logit, self.model.card.temperature), maps

    def _logit(
        self, pixels: NDArray[np.uint8], attention: bool
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """The network's logits (N, S, S) and attention maps (N, 1, h, w) for pixels uint8 (N, S, S)."""
        card = self._preprocessing
        scaled = (pixels.astype(np.float32) / np.float32(255) - np.float32(card.mean)) / np.float32(card.std)
        logit, maps = self._runtime.run(np.repeat(scaled[:, None], card.channels, axis=1), attention)
        if not np.isfinite(logit).all():
            raise ModelError(
                "the network gave numbers that are not finite",
                where=self.model.folder,
                remedy="Train it again, or use another model",
            )
        return logit[:, 0], maps

    def finish(self, found: NetworkOutput) -> Segmentation:
        """The third step: back to the image's grid, threshold, post-processing. In any thread."""
        return self.steps.finish(found)


def as_frame(image: ImageInput, *, spacing: Spacing | None = None) -> Frame:
    """The Frame of anything that can be predicted. Raises InputError and ShapeError.

    spacing: (row, column) mm per pixel of what is no Frame; a Frame is returned as it is.
    """
    if isinstance(image, Frame):
        return image
    if callable(image):
        return image()
    if isinstance(image, str | Path):
        return read_frame(image, spacing=spacing)
    if isinstance(image, Image.Image):
        return Frame(grey_image(image), spacing)
    return Frame(grey_array(np.asarray(image)), spacing)


def _sigmoid(logit: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """The probability of a logit, by way of tanh: no overflow at either end."""
    return np.asarray(np.float32(0.5) * (np.tanh(logit / np.float32(2 * temperature)) + np.float32(1)))
