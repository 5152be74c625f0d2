"""The training distance: its value, and files that hold it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis

from sonoseg.errors import ModelError
from sonoseg.model.training_distance import TrainingDistance


def make(channels: int = 3, seed: int = 0, limit: float = 2.0) -> tuple[TrainingDistance, np.ndarray]:
    """A distance, and the inverse covariance that it stands for."""
    random = np.random.default_rng(seed)
    root = random.normal(size=(channels, channels)).astype(np.float32) + 3 * np.eye(
        channels, dtype=np.float32
    )
    mean = random.normal(size=channels).astype(np.float32)
    return TrainingDistance(mean, root, limit), (root @ root.T).astype(np.float64)


@given(channels=st.integers(1, 8), seed=st.integers(0, 100), limit=st.floats(0.1, 50))
def test_relative_distance_is_that_of_mahalanobis_over_the_limit(
    channels: int, seed: int, limit: float
) -> None:
    distance, inverse = make(channels, seed, limit)
    features = np.random.default_rng(seed + 1).normal(size=(4, channels)).astype(np.float32)
    expected = [mahalanobis(one, distance.mean, inverse) / limit for one in features.astype(np.float64)]
    assert distance.relative(features) == pytest.approx(expected, rel=1e-4)


def test_the_mean_has_no_distance() -> None:
    distance, _ = make()
    assert distance.relative(distance.mean[None]).tolist() == [0.0]


def test_a_written_file_is_read_back_and_the_same_each_time(tmp_path: Path) -> None:
    distance, _ = make()
    for name in ("a.npz", "b.npz"):
        distance.write(tmp_path / name)
    again = TrainingDistance.load(tmp_path / "a.npz")
    assert np.array_equal(again.mean, distance.mean)
    assert np.array_equal(again.whitening, distance.whitening)
    assert again.limit == distance.limit
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"mean": np.zeros(3), "whitening": np.eye(3)},
        {"mean": np.zeros(3), "whitening": np.eye(2), "limit": 1.0},
        {"mean": np.zeros((3, 1)), "whitening": np.eye(3), "limit": 1.0},
        {"mean": np.zeros(3), "whitening": np.eye(3), "limit": 0.0},
        {"mean": np.zeros(3), "whitening": np.eye(3), "limit": np.nan},
        {"mean": np.full(3, np.nan), "whitening": np.eye(3), "limit": 1.0},
        {"mean": np.array(["a", "b", "c"]), "whitening": np.eye(3), "limit": 1.0},
        {"mean": np.array([{}, {}, {}], dtype=object), "whitening": np.eye(3), "limit": 1.0},
    ],
)
def test_a_file_of_other_content_is_refused(tmp_path: Path, arrays: dict[str, object]) -> None:
    path = tmp_path / "training-distance.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="training distance"):
        TrainingDistance.load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not an archive", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "training-distance.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="training distance"):
        TrainingDistance.load(path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    distance, _ = make(16)
    path = tmp_path / "training-distance.npz"
    distance.write(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            TrainingDistance.load(path)
