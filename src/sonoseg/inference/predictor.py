"""The Predictor: loads a model once and segments one or many images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.errors import ModelError, ShapeError, SonosegError, UsageError
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame
from sonoseg.image.grey import grey_array, grey_image
from sonoseg.image.network_grid import Grid
from sonoseg.inference.pipeline import OfflineExecutor
from sonoseg.inference.runtimes import load_runtime
from sonoseg.inference.runtimes.base import RuntimeOutput
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.settings_hash import settings_hash
from sonoseg.inference.steps import NetworkInput, NetworkOutput, PredictionSteps
from sonoseg.inference.test_time_augmentation import average, views_of
from sonoseg.inputs.reading import read_frame
from sonoseg.model.card import Postprocessing
from sonoseg.model.model import Model

ImageInput = Frame | str | Path | NDArray[Any] | Image.Image | Callable[[], Frame]
"""What can be predicted: a Frame, a file, an array (see grey_array), a Pillow image, or a function that
returns a Frame, which is called in the reading threads."""


class PixelOutput(NamedTuple):
    """What the network computed for N images on its grid.

    probability: N arrays float32 (S, S). attention: maps (N, 1, h, w) by gate, empty unless requested.
    training_distance: N values, as in Segmentation.
    """

    probability: list[NDArray[np.float32]]
    attention: dict[str, NDArray[np.float32]]
    training_distance: list[float | None]


class Predictor:
    """A loaded model that segments images.

    model: a Model, or the path of a model folder or training run; None is the shipped model.
    runtime: "auto", "onnx", "openvino" or "torch"; "auto" is the first of runtimes.choice.ORDER that is
        installed.
    precision: "auto", "fp32", "bf16" or "int8"; "auto" is the first one that the model card allows.
    images: about how many images will be predicted, if known; OpenVINO runs several in parallel if there are
        many. The result does not depend on it.
    threshold: probability threshold in place of the card's, between 0 and 1. A pixel is lesion where its
        probability reaches it.
    postprocessing: in place of the card's.
    threads: CPU threads of the network; None leaves the number to the runtime.
    tta: test-time augmentation, "none", "flip" (two passes), "scales" (three) or "full" (six).

    Raises ModelError where the model cannot be loaded, MissingExtra where the runtime is not installed,
    UsageError for an unknown runtime, an unsupported precision, or a threshold out of range.
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
            raise UsageError(f"threshold {threshold} is out of range", remedy="Give a value between 0 and 1")
        self.postprocessing = card.postprocessing if postprocessing is None else postprocessing
        self._preprocessing = card.preprocessing
        self._distance = self.model.training_distance
        self._runtime = load_runtime(runtime, self.model, threads=threads, precision=precision, images=images)
        self.steps = PredictionSteps(
            preprocessing=card.preprocessing,
            postprocessing=self.postprocessing,
            threshold=self.threshold,
            tta=tta,
            model=f"{card.name} ({self.model.hash})",
            runtime=self._runtime.name,
            settings_hash=settings_hash(
                self.model,
                runtime=self._runtime.name,
                engine=self._runtime.engine,
                precision=self._runtime.precision,
                threshold=self.threshold,
                postprocessing=self.postprocessing,
                tta=tta,
            ),
            largest_training_lesion=None
            if card.training_range is None
            else card.training_range.largest_lesion,
        )

    @property
    def runtime(self) -> str:
        """The engine with its version, device and precision."""
        return self._runtime.name

    @property
    def settings_hash(self) -> str:
        """The hash of all settings that can change a result; see `settings_hash`."""
        return self.steps.settings_hash

    @property
    def engine(self) -> str:
        """The engine's name, as load_runtime takes it."""
        return self._runtime.engine

    @property
    def precision(self) -> str:
        """The precision that the engine computes in."""
        return self._runtime.precision

    def predict(
        self, image: ImageInput, *, attention: bool = False, spacing: Spacing | None = None
    ) -> Segmentation:
        """Segment one image.

        attention: also return the attention gates' coefficients on the image's grid.
        spacing: (row, column) mm per pixel of an image that is not a Frame; a Frame carries its own.

        Raises InputError where a file cannot be read, ShapeError for an unsupported array, ModelError where
        the network fails.
        """
        (output,) = self.run([self.read(image, spacing)], attention)
        return self.finish(output)

    def predict_many(
        self,
        images: Iterable[ImageInput],
        *,
        batch: int = 8,
        attention: bool = False,
        spacing: Spacing | None = None,
        on_error: Callable[[ImageInput, SonosegError], None] | None = None,
    ) -> Iterator[Segmentation]:
        """Segment images in their order, reading ahead and finishing while the network runs.

        images: consumed as needed; about four batches are held at a time, however many there are.
        batch: images per run of the network.
        attention, spacing: as in `predict`.
        on_error: called, in the images' order, with an image that cannot be read and its error, and the
            iteration continues; without it the error is raised.

        Raises as `predict`.
        """
        load = partial(as_frame, spacing=spacing)
        executor = OfflineExecutor(self, lambda found: found, load=load, batch=batch, attention=attention)
        for image, outcome in executor.map(images):
            if isinstance(outcome, Segmentation):
                yield outcome
            elif on_error is None:
                raise outcome
            else:
                on_error(image, outcome)

    def predict_grid(self, pixels: NDArray[np.uint8], *, batch: int = 8) -> NDArray[np.float32]:
        """Return probabilities for images that are on the network's grid already.

        pixels: uint8 (N, S, S), S the card's size. Returns float32 (N, S, S), 0..1.
        Raises ShapeError for another shape, ModelError where the network fails.
        """
        return _sigmoid(self.logit_grid(pixels, batch=batch), self.model.card.temperature)

    def logit_grid(self, pixels: NDArray[np.uint8], *, batch: int = 8) -> NDArray[np.float32]:
        """Return logits before the temperature, float32 (N, S, S); otherwise as `predict_grid`."""
        size = self._preprocessing.size
        if pixels.ndim != 3 or pixels.shape[1:] != (size, size) or pixels.dtype != np.uint8:
            raise ShapeError(
                f"this model takes uint8 (N, {size}, {size}), got {pixels.dtype} {pixels.shape}",
                remedy=f"Prepare the set at size {size}, or use predict, which resizes",
            )
        logit = np.empty(pixels.shape, dtype=np.float32)
        for start in range(0, len(pixels), batch):
            part = slice(start, start + batch)
            logit[part] = self._run_network(pixels[part], attention=False).logit[:, 0]
        return logit

    def read(self, image: ImageInput, spacing: Spacing | None = None) -> NetworkInput:
        """Read an image and resize it for the network: the first step of `predict`, in any thread.

        Raises InputError, ShapeError.
        """
        return self.steps.prepare(as_frame(image, spacing=spacing))

    def run(self, inputs: Sequence[NetworkInput], attention: bool = False) -> list[NetworkOutput]:
        """Run the network on a batch: the second step, in one thread at a time. Raises ModelError."""
        pixels = np.stack([one.pixels for one in inputs])
        found = self.run_pixels(pixels, [one.grid for one in inputs], attention)
        return [
            NetworkOutput(
                one.frame,
                one.grid,
                found.probability[n],
                {name: values[n, 0] for name, values in found.attention.items()} if attention else None,
                found.training_distance[n],
            )
            for n, one in enumerate(inputs)
        ]

    def run_pixels(
        self, pixels: NDArray[np.uint8], grids: Sequence[Grid], attention: bool = False
    ) -> PixelOutput:
        """Run the network on pixels without their frames, one pass per view and `len(pixels)` images a pass.

        pixels: uint8 (N, V, S, S), as in NetworkInput. grids: the N placements of these images.

        Raises ModelError.
        """
        passes = [self._run_network(pixels[:, n], attention and n == 0) for n in range(len(self._views))]
        answers = [_sigmoid(one.logit[:, 0], self.model.card.temperature) for one in passes]
        probability = [
            average([view[n] for view in answers], grid, self._views) for n, grid in enumerate(grids)
        ]
        plain, distance = passes[0], list[float | None]([None] * len(grids))
        if self._distance is not None and plain.features is not None:
            distance = self._distance.relative(plain.features).tolist()
        return PixelOutput(probability, plain.attention, distance)

    def finish(self, output: NetworkOutput) -> Segmentation:
        """Make the mask on the image's grid: the third step of `predict`, in any thread."""
        return self.steps.finish(output)

    def features_grid(self, pixels: NDArray[np.uint8], *, batch: int = 8) -> NDArray[np.float32]:
        """Return the network's features, float32 (N, C); otherwise as `predict_grid`.

        Raises ModelError for a network without this output.
        """
        found = list[NDArray[np.float32]]()
        for start in range(0, len(pixels), batch):
            features = self._run_network(pixels[start : start + batch], attention=False).features
            if features is None:
                raise ModelError(
                    "the network has no output 'features'",
                    where=self.model.folder,
                    remedy="Export the model again from its training run",
                )
            found.append(features)
        return np.concatenate(found)

    def _run_network(self, pixels: NDArray[np.uint8], attention: bool) -> RuntimeOutput:
        """Run the network on pixels uint8 (N, S, S)."""
        card = self._preprocessing
        scaled = (pixels.astype(np.float32) / np.float32(255) - np.float32(card.mean)) / np.float32(card.std)
        output = self._runtime.run(np.repeat(scaled[:, None], card.channels, axis=1), attention)
        if not np.isfinite(output.logit).all():
            raise ModelError(
                "the network's output is not finite",
                where=self.model.folder,
                remedy="Train it again, or use another model",
            )
        return output


def as_frame(image: ImageInput, *, spacing: Spacing | None = None) -> Frame:
    """Return the Frame of anything that can be predicted. Raises InputError, ShapeError.

    spacing: (row, column) mm per pixel of an image that is not a Frame; a Frame is returned as it is.
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
    """Return the probability of a logit, by way of tanh, which overflows at neither end."""
    return np.asarray(np.float32(0.5) * (np.tanh(logit / np.float32(2 * temperature)) + np.float32(1)))
