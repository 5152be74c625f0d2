"""Temperature scaling: the fit finds what was hidden, and no mask is lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sonoseg.errors import EmptyMaskError, ShapeError
from sonoseg.metrics import temperature as module
from sonoseg.metrics.temperature import LogitCounts, moved_threshold


def drawn(temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose sigmoid, divided by `temperature`, says how often a pixel is lesion; and the lesions."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 2, (300, 400))
    return rng.random(honest.shape) < 1 / (1 + np.exp(-honest)), (honest * temperature).astype(np.float32)


def counted(true: np.ndarray, logit: np.ndarray) -> LogitCounts:
    counts = LogitCounts()
    counts.add(true, logit, np.ones_like(true))
    return counts


@settings(max_examples=10, deadline=None)
@given(st.floats(0.3, 6), st.integers(0, 9))
def test_the_hidden_temperature_is_found(temperature: float, seed: int) -> None:
    counts = counted(*drawn(temperature, seed))
    found = counts.fit()
    assert found == pytest.approx(temperature, rel=0.04)
    for other in (0.8 * found, 1.25 * found):
        assert counts.nll(found) < counts.nll(other)


def test_the_likelihood_is_that_of_the_pixels() -> None:
    true, logit = drawn(3.0)
    p = 1 / (1 + np.exp(-logit.astype(float) / 1.7))
    expected = -np.where(true, np.log(p), np.log1p(-p)).mean()
    assert counted(true, logit).nll(1.7) == pytest.approx(expected, rel=1e-4)


def test_images_add_up_and_only_the_region_counts() -> None:
    true, logit = drawn(2.0)
    whole, parts = counted(true, logit), LogitCounts()
    upper = np.zeros_like(true)
    upper[:100] = True
    parts.add(true, logit, upper)
    assert parts.n_pixels == 100 * 400
    parts.add(true, logit, ~upper)
    assert np.array_equal(parts.lesion, whole.lesion)
    assert np.array_equal(parts.other, whole.other)


def test_logits_of_any_size_are_counted() -> None:
    counts = counted(np.array([[True, False]]), np.array([[1e9, -np.inf]]))
    assert counts.n_pixels == 2
    assert counts.nll(1) < 1e-9


def test_without_pixels_of_both_kinds_there_is_no_temperature() -> None:
    assert math.isnan(LogitCounts().nll(1))
    with pytest.raises(EmptyMaskError, match="lesion"):
        counted(np.zeros((4, 4), bool), np.ones((4, 4))).fit()
    with pytest.raises(ShapeError, match="logits"):
        LogitCounts().add(np.ones((4, 4), bool), np.ones((4, 5)), np.ones((4, 4), bool))


@given(st.floats(0.05, 0.95), st.floats(0.2, 5), st.floats(0.2, 5))
def test_a_moved_threshold_gives_the_same_mask(threshold: float, before: float, after: float) -> None:
    # Further out probabilities come so near to 1 that floats no longer tell them apart.
    assume(abs(math.log(threshold / (1 - threshold))) * max(before / after, 1) < 12)
    logit = np.linspace(-20, 20, 20001)
    one = 1 / (1 + np.exp(-logit / before)) >= threshold
    other = 1 / (1 + np.exp(-logit / after)) >= moved_threshold(threshold, before, after)
    assert abs(int(one.sum()) - int(other.sum())) <= 1  # a logit on the very edge
    back = moved_threshold(moved_threshold(threshold, before, after), after, before)
    assert back == pytest.approx(threshold)


def test_the_range_and_the_bins() -> None:
    assert (module.LIMIT, module.LEAST, module.MOST) == (64.0, 0.05, 20.0)
    assert LogitCounts().lesion.size == 8192
