"""Copies of one scan: found among strangers, whatever their order."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from sonoseg.data.inspection import thumbnail
from sonoseg.data.near_duplicates import NEAR_DUPLICATE_SIMILARITY, identical_groups, near_duplicate_pairs


def texture(seed: int) -> np.ndarray:
    """A smooth random image that darkens with depth, like a scan. uint8 (120, 150)."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(120, 150)), 6)
    depth = np.linspace(1, 0.2, 120)[:, None]
    return np.clip((noise / noise.std() * 40 + 120) * depth, 0, 255).astype(np.uint8)


def test_copies_are_found_and_strangers_are_not() -> None:
    scan = texture(0)
    marked = scan.copy()
    marked[40, 50:57] = marked[37:44, 53] = marked[70, 90:97] = marked[67:74, 93] = 255  # callipers
    copies = [
        scan,
        marked,
        np.clip(scan * 1.2 + 5, 0, 255).astype(np.uint8),
        np.asarray(Image.fromarray(scan).resize((200, 170))),
        scan[3:-2, 2:-4],
    ]
    thumbs = np.stack([thumbnail(p) for p in copies] + [thumbnail(texture(seed)) for seed in range(1, 30)])
    pairs = {(i, j) for i, j, _ in near_duplicate_pairs(thumbs)}
    assert pairs == set(combinations(range(5), 2))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.5, 0.99))
def test_blocks_change_nothing(seed: int, threshold: float) -> None:
    values = np.random.default_rng(seed).normal(size=(40, 3)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    many = np.concatenate([values, np.zeros((600, 3), np.float32), values[:5]])
    found = {(i, j) for i, j, _ in near_duplicate_pairs(many, threshold)}
    every = many @ many.T
    assert found == {(int(i), int(j)) for i, j in np.argwhere(np.triu(every, 1) >= threshold)}


def test_likest_first() -> None:
    thumbs = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    thumbs[1] = (0.9, np.sqrt(1 - 0.81), 0)
    (pair,) = near_duplicate_pairs(thumbs)
    assert pair[:2] == (0, 1)
    assert pair[2] >= NEAR_DUPLICATE_SIMILARITY


def test_a_flat_image_is_like_nothing() -> None:
    flat = thumbnail(np.full((40, 40), 90, np.uint8))
    rows = thumbnail(np.repeat(np.arange(40, dtype=np.uint8)[:, None], 40, axis=1))
    assert not near_duplicate_pairs(np.stack([flat, flat, rows, rows]))


def test_identical() -> None:
    assert identical_groups(["a", "", "b", "a", "", "a"]) == [[0, 3, 5]]


def test_a_similarity_of_exactly_0_85_is_a_near_duplicate() -> None:
    assert NEAR_DUPLICATE_SIMILARITY == 0.85
    for similarity, found in ((0.85, 1), (0.8499, 0)):
        pair = np.array([[1, 0], [similarity, np.sqrt(1 - similarity**2)]], dtype=np.float32)
        assert len(near_duplicate_pairs(pair)) == found


def test_the_most_similar_pair_comes_first() -> None:
    thumbs = np.array([[1, 0], [0.9, np.sqrt(0.19)], [1, 0]], dtype=np.float32)
    pairs = near_duplicate_pairs(thumbs)
    assert [pair[:2] for pair in pairs] == [(0, 2), (0, 1), (1, 2)]
    assert [pair[2] for pair in pairs] == pytest.approx([1, 0.9, 0.9])


def test_pairs_of_equal_similarity_are_in_the_order_of_their_rows() -> None:
    thumbs = np.eye(2, dtype=np.float32)[[0, 1, 1, 0, 0]]
    assert [pair[:2] for pair in near_duplicate_pairs(thumbs)] == [(0, 3), (0, 4), (1, 2), (3, 4)]
