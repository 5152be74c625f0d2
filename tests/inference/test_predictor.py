"""The Predictor: geometry, order, bad inputs, imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sonoseg.errors import InputError, ModelError, ShapeError, SonosegError, UsageError
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import ImageInput, Predictor
from sonoseg.model.card import Postprocessing
from sonoseg.model.model import Model


def scan(
    shape: tuple[int, int] = (120, 160),
    centre: tuple[float, float] = (0.5, 0.5),
    radius: float = 0.2,
    grey: int = 150,
) -> tuple[np.ndarray, np.ndarray]:
    """A grey image with one dark disc, and the disc."""
    rows, columns = np.indices(shape)
    reach = radius * min(shape)
    disc = (rows - centre[0] * shape[0]) ** 2 + (columns - centre[1] * shape[1]) ** 2 <= reach**2
    return np.where(disc, 10, grey).astype(np.uint8), disc


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.fixture(scope="module")
def predictor(dark_model: Path) -> Predictor:
    return Predictor(dark_model)


def test_a_segmentation_lies_on_the_frames_own_grid(predictor: Predictor) -> None:
    pixels, disc = scan()
    frame = Frame(pixels, Spacing(0.1, 0.2), name="one")
    found = predictor.predict(frame)
    assert found.frame is frame
    assert found.probability.dtype == np.float32
    assert found.probability.shape == found.mask.shape == found.raw_mask.shape == (120, 160)
    assert np.array_equal(found.raw_mask, found.probability >= found.threshold)
    assert dice(found.mask, disc) > 0.93
    assert found.attention is None
    assert found.threshold == 0.5
    assert found.model == f"dark ({predictor.model.hash})"
    assert found.runtime == predictor.runtime


@pytest.fixture(scope="module", params=["stretch", "letterbox"])
def fitted(request: pytest.FixtureRequest, make_dark_model: Callable[..., Path]) -> Predictor:
    return Predictor(make_dark_model(fit=request.param))


@pytest.mark.process
@settings(max_examples=30, deadline=None)
@given(
    st.integers(120, 260),
    st.integers(120, 260),
    st.floats(0.3, 0.7),
    st.floats(0.3, 0.7),
    st.floats(0.2, 0.28),
)
def test_a_dark_disc_is_found_where_it_is(
    fitted: Predictor, height: int, width: int, down: float, right: float, radius: float
) -> None:
    pixels, disc = scan((height, width), (down, right), radius)
    mask = fitted.predict(pixels).mask
    edge = 3 * max(height, width) // 64  # a letterbox's black borders do look dark, to this network
    mask[:edge], mask[-edge:], mask[:, :edge], mask[:, -edge:] = False, False, False, False
    assert dice(mask, disc) > 0.85
    for axis in (0, 1):
        was, now = (np.nonzero(m)[axis].mean() for m in (disc, mask))
        assert abs(was - now) < max(height, width) / 64  # within one cell of the network's grid


def test_preprocessing_follows_the_card(make_dark_model: Callable[..., Path]) -> None:
    grey = np.full((64, 64), 102, dtype=np.uint8)  # 0.4
    for channels in (1, 3):
        # logit = 40 * (level - (0.4 - mean) / std)
        folder = make_dark_model(channels=channels, mean=0.1, std=0.5, level=0.65)
        found = Predictor(folder, threshold=0.8).predict(grey)
        expected = 1 / (1 + np.exp(-40 * (0.65 - 0.6)))
        assert np.abs(found.probability - expected).max() < 1e-5
        assert found.raw_mask.all()


def test_temperature_divides_the_logit(make_dark_model: Callable[..., Path]) -> None:
    grey = np.full((64, 64), 51, dtype=np.uint8)  # 0.2: logit 40 * 0.05 = 2
    found = Predictor(make_dark_model(card={"temperature": 4.0})).predict(grey)
    assert np.abs(found.probability - 1 / (1 + np.exp(-0.5))).max() < 1e-5


def test_logits_of_any_size_neither_overflow_nor_warn(make_dark_model: Callable[..., Path]) -> None:
    with np.errstate(all="raise", under="ignore"):
        found = Predictor(make_dark_model(steepness=1e6)).predict(scan()[0])
    assert found.probability.min() == 0
    assert found.probability.max() == 1


def test_a_network_that_gives_nan_is_refused(make_dark_model: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="not finite"):
        Predictor(make_dark_model(level=float("nan"))).predict(scan()[0])


def test_threshold_and_postprocessing_in_place_of_the_cards(make_dark_model: Callable[..., Path]) -> None:
    pixels, _ = scan()
    pixels[50:70, 75:85] = 150  # a hole in the lesion
    pixels[5:15, 5:15] = 10  # and a speck beside it
    cleaning = {"min_area": 0.05, "fill_holes": True}
    folder = make_dark_model(card={"threshold": 0.3, "postprocessing": cleaning})
    found = Predictor(folder).predict(pixels)
    assert found.threshold == 0.3
    assert found.raw_mask[10, 10]
    assert not found.raw_mask[60, 80]
    assert not found.mask[10, 10]
    assert found.mask[60, 80]
    as_it_is = Predictor(folder, threshold=0.6, postprocessing=Postprocessing(min_area=0, fill_holes=False))
    found = as_it_is.predict(pixels)
    assert found.threshold == 0.6
    assert np.array_equal(found.mask, found.raw_mask)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -3.0, float("nan")])
def test_a_threshold_out_of_range_is_refused(dark_model: Path, threshold: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        Predictor(dark_model, threshold=threshold)


def test_attention_is_brought_to_the_frames_grid(fitted: Predictor) -> None:
    pixels, disc = scan((100, 150), centre=(0.35, 0.7), radius=0.3)
    found = fitted.predict(pixels, attention=True)
    assert found.attention is not None
    assert list(found.attention) == ["attention_1", "attention_2", "attention_3", "attention_4"]
    for name, values in found.attention.items():
        assert values.shape == (100, 150)
        assert values.dtype == np.float32
        # The gate looks at what is dark: its coefficients are highest on the disc.
        assert values[disc].mean() > values[~disc].mean() + 0.1, name
    finest = found.attention["attention_4"]
    assert np.abs(finest[5:-5] - (1 - pixels / 255)[5:-5]).mean() < 0.03
    rows, columns = np.nonzero(finest[5:-5] > 0.7)  # without the rows that a letterbox's border touches
    assert abs(rows.mean() + 5 - 35) < 2
    assert abs(columns.mean() - 105) < 2


def test_every_kind_of_image_gives_the_same_answer(predictor: Predictor, tmp_path: Path) -> None:
    pixels, _ = scan()
    path = tmp_path / "scan.png"
    Image.fromarray(pixels).save(path)
    kinds: list[ImageInput] = [
        Frame(pixels),
        path,
        str(path),
        pixels,
        np.repeat(pixels[:, :, None], 3, axis=2),
        Image.fromarray(pixels),
        Image.fromarray(pixels).convert("RGB"),
    ]
    answers = [predictor.predict(kind).probability for kind in kinds]
    assert all(np.array_equal(answers[0], answer) for answer in answers)
    assert predictor.predict(path).frame.source == path


def test_spacing_goes_with_what_carries_none(predictor: Predictor, tmp_path: Path) -> None:
    pixels, _ = scan()
    path = tmp_path / "scan.png"
    Image.fromarray(pixels).save(path)
    given = Spacing(0.1, 0.2)
    for kind in (path, pixels, Image.fromarray(pixels)):
        assert predictor.predict(kind, spacing=given).frame.spacing == given
        assert next(predictor.predict_many([kind], spacing=given)).frame.spacing == given
    own = Frame(pixels, Spacing(1, 1))
    assert predictor.predict(own, spacing=given).frame.spacing == Spacing(1, 1)


def test_a_bad_image_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png"):
        predictor.predict(tmp_path / "gone.png")
    with pytest.raises(ShapeError):
        predictor.predict(np.zeros(5))


@pytest.mark.parametrize("batch", [1, 3, 8, 50])
def test_many_are_the_same_as_one_by_one_in_order(predictor: Predictor, batch: int) -> None:
    shapes = [(80 + 7 * k, 150 - 5 * k) for k in range(11)]
    frames = [Frame(scan(shape, radius=0.1 + 0.015 * k)[0], name=str(k)) for k, shape in enumerate(shapes)]
    many = list(predictor.predict_many(frames, batch=batch, attention=True))
    assert [found.frame for found in many] == frames
    for frame, found in zip(frames, many, strict=True):
        alone = predictor.predict(frame, attention=True)
        assert np.allclose(found.probability, alone.probability, atol=1e-6)
        assert np.array_equal(found.mask, alone.mask)
        assert found.attention is not None
        assert alone.attention is not None
        assert np.allclose(found.attention["attention_2"], alone.attention["attention_2"], atol=1e-6)


def test_many_of_none_is_none(predictor: Predictor) -> None:
    assert list(predictor.predict_many([])) == []


def test_many_reads_no_further_ahead_than_it_must(predictor: Predictor) -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield scan((64, 64))[0]

    found = predictor.predict_many(endless(), batch=2)
    for k in range(20):
        next(found)
        assert taken <= k + 16
    found.close()  # type: ignore[attr-defined]
    before = taken
    assert taken == before


def test_a_batch_goes_on_past_bad_images(predictor: Predictor, tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    Image.fromarray(scan()[0]).save(good)
    bad = tmp_path / "bad.png"
    bad.write_text("text")
    refused: list[tuple[ImageInput, str]] = []

    def note(image: ImageInput, error: SonosegError) -> None:
        refused.append((image, error.found))

    found = list(predictor.predict_many([bad, good, bad, good, bad], batch=2, on_error=note))
    assert [one.frame.source for one in found] == [good, good]
    assert refused == [(bad, "the file holds text, not an image")] * 3
    assert list(predictor.predict_many([bad], on_error=note)) == []


def test_without_a_handler_the_first_bad_image_ends_it(predictor: Predictor, tmp_path: Path) -> None:
    work = predictor.predict_many([scan()[0], tmp_path / "gone.png", scan()[0]], batch=1)
    with pytest.raises(InputError, match=r"gone\.png"):
        list(work)


def test_a_fault_of_the_users_iterable_comes_out_as_it_is(predictor: Predictor) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield scan()[0]
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(predictor.predict_many(broken()))


def test_a_failing_network_raises_a_model_error(make_dark_model: Callable[..., Path]) -> None:
    predictor = Predictor(make_dark_model(level=float("nan")))
    with pytest.raises(ModelError, match="not finite"):
        list(predictor.predict_many([scan()[0]] * 5, batch=2))


def test_an_impossible_batch_is_refused(predictor: Predictor) -> None:
    with pytest.raises(UsageError, match="batch of 0"):
        next(predictor.predict_many([scan()[0]], batch=0))


def test_images_on_the_grid_already(predictor: Predictor) -> None:
    stack = np.stack([scan((64, 64), radius=0.1 + 0.02 * k)[0] for k in range(5)])
    probability = predictor.predict_grid(stack, batch=2)
    assert probability.shape == (5, 64, 64)
    assert probability.dtype == np.float32
    for k in range(5):
        assert np.allclose(probability[k], predictor.predict(stack[k]).probability, atol=1e-6)
    assert predictor.predict_grid(stack[:0]).shape == (0, 64, 64)
    logit = predictor.logit_grid(stack, batch=2)
    assert np.allclose(1 / (1 + np.exp(-logit / predictor.model.card.temperature)), probability, atol=1e-6)


@pytest.mark.parametrize(
    "stack",
    [np.zeros((2, 32, 32), np.uint8), np.zeros((64, 64), np.uint8), np.zeros((1, 64, 64), np.float32)],
)
def test_grids_of_another_size_are_refused(predictor: Predictor, stack: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"this model takes uint8 \(N, 64, 64\)"):
        predictor.predict_grid(stack)


def test_a_model_may_be_given_as_a_model(dark_model: Path) -> None:
    model = Model.load(dark_model)
    assert Predictor(model).model is model
    with pytest.raises(ModelError, match="not a model folder"):
        Predictor(dark_model.parent / "nothing")


@pytest.mark.process
def test_starting_and_predicting_imports_nothing_heavy(dark_model: Path) -> None:
    program = (
        "import sys, time\n"
        "import numpy as np\n"
        "from sonoseg import Predictor\n"
        "Predictor(sys.argv[1]).predict(np.zeros((64, 64), np.uint8), attention=True)\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'sklearn', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(dark_model)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
