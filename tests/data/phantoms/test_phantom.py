"""Phantoms behave as ultrasound does: speckle, resolution, enhancement, shadow; masks are exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from sonoseg.data.phantoms import KINDS, LABELS, STYLES, PhantomSpec, draw_spec, make_phantoms, render
from sonoseg.data.phantoms.acoustics import envelope_power, lateral_sigma

SMALL = {"shape": (192, 240), "spacing": 0.15}


def speckle(looks: int, **wishes: object) -> tuple[np.ndarray, PhantomSpec]:
    """The power of an even medium without mirrors, 420 x 420 px."""
    spec = draw_spec(11, kind="normal", shape=(420, 420), spacing=0.08, borders=False)
    spec = replace(spec, beam=replace(spec.beam, looks=looks, **wishes))
    even = np.ones(spec.inner, np.float32)
    return envelope_power(spec, even, np.zeros_like(even)), spec


def half_width(image: np.ndarray, axis: int) -> float:
    """Pixels to where the autocorrelation along `axis` falls to a half."""
    centred = image - image.mean()
    count = image.shape[axis]
    spectrum = np.abs(np.fft.rfft(centred, 2 * count, axis=axis)) ** 2
    correlation = np.fft.irfft(spectrum, axis=axis).mean(axis=1 - axis)[:count]
    correlation /= correlation[0]
    below = int(np.argmax(correlation < 0.5))
    above = correlation[below - 1]
    return below - 1 + float((above - 0.5) / (above - correlation[below]))


def test_one_look_is_rayleigh() -> None:
    power, _ = speckle(1)
    envelope = np.sqrt(power)
    assert envelope.mean() / envelope.std() == pytest.approx(1.91, abs=0.08)
    assert power.mean() == pytest.approx(1.0, abs=0.08)
    # Rayleigh's own share below half its mean: 1 - exp(-pi / 16)
    assert (envelope < 0.5 * envelope.mean()).mean() == pytest.approx(1 - np.exp(-np.pi / 16), abs=0.02)


def test_looks_compounded_raise_the_signal_to_noise_ratio_as_independent_ones_do() -> None:
    ratios = []
    for looks in (1, 2, 4):
        power, _ = speckle(looks)
        assert power.mean() == pytest.approx(1.0, abs=0.08)
        ratios.append(float(power.mean() / power.std()))
    # the power of n independent looks has a ratio of sqrt(n)
    assert ratios == pytest.approx([1, np.sqrt(2), 2], rel=0.12)


def test_lateral_resolution_is_worse_than_axial_and_worst_away_from_the_focus() -> None:
    power, spec = speckle(3, focus_mm=8.0)
    axial, lateral = half_width(power, 0), half_width(power, 1)
    assert 0.7 < axial < 2.5
    assert lateral > 1.2 * axial
    sigma = lateral_sigma(spec, 420)
    assert int(sigma.argmin()) == pytest.approx(100, abs=2)
    deep, focal = half_width(power[-100:], 1), half_width(power[60:140], 1)
    assert deep > 1.3 * focal


def grey_of(kind: str, seed: int, **changes: float) -> tuple[np.ndarray, np.ndarray]:
    """An image and mask of a kind whose lesion is changed, on a quiet console."""
    spec = draw_spec(seed, kind=kind, size_mm=9.0, depth_mm=11.0, style="clear", borders=False, **SMALL)
    assert spec.lesion is not None
    console = replace(spec.display, slope_db_per_mm=0.1, noise_db=-60.0, gamma=1.0, dynamic_range_db=60.0)
    phantom = render(replace(spec, lesion=replace(spec.lesion, **changes), display=console))
    return phantom.frame.pixels.astype(float), phantom.mask


def below(mask: np.ndarray) -> np.ndarray:
    """What lies 1 to 5 mm below the lesion's middle third."""
    rows, columns = np.nonzero(mask)
    width = np.ptp(columns) // 6
    middle = int(columns.mean())
    region = np.zeros_like(mask)
    region[rows.max() + 7 : rows.max() + 33, middle - width : middle + width + 1] = True
    return region


@pytest.mark.parametrize(("kind", "gain"), [("cyst", 8.0), ("spiculated", -15.0)])
def test_what_lies_below_is_enhanced_or_shadowed_by_the_stated_decibels(kind: str, gain: float) -> None:
    changes = []
    for seed in range(4):
        plain, mask = grey_of(kind, seed, through_db=0.0, edge_db=0.0)
        changed, _ = grey_of(kind, seed, through_db=gain, edge_db=0.0)
        region = below(mask) & (plain > 40) & (plain < 200) & (changed > 0)  # not clipped by the display
        changes.append((changed - plain)[region].mean() * 60 / 255)
    assert np.mean(changes) == pytest.approx(gain, rel=0.3)


@pytest.mark.parametrize("kind", ["cyst", "oval", "spiculated"])
def test_lesions_are_darker_than_what_surrounds_them(kind: str) -> None:
    for seed in range(4):
        pixels, mask = grey_of(kind, seed)
        rows, columns = np.nonzero(mask)
        beside = np.zeros_like(mask)
        beside[rows.min() : rows.max(), max(0, columns.min() - 20) : columns.max() + 20] = True
        assert pixels[mask].mean() < pixels[beside & ~mask].mean() - 10


@pytest.mark.process
def test_a_cyst_is_the_darkest_lesion() -> None:
    level = {
        kind: np.mean([grey_of(kind, s)[0][grey_of(kind, s)[1]].mean() for s in range(3)])
        for kind in KINDS[:3]
    }
    assert level["cyst"] < 0.6 * level["oval"]


@pytest.mark.process
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["cyst", "oval", "spiculated"]),
    size=st.floats(3.0, 9.0),
    row=st.floats(0.12, 0.2),
    column=st.floats(0.12, 0.25),
)
@example(seed=362880, kind="spiculated", size=3.0, row=0.12, column=0.12)
@settings(max_examples=25, deadline=None)
def test_the_mask_is_exact(seed: int, kind: str, size: float, row: float, column: float) -> None:
    spec = draw_spec(seed, kind=kind, size_mm=size, shape=(150, 180), spacing=(row, column), borders=False)
    phantom = render(spec)
    outline = spec.outline()
    assert outline is not None
    assert outline.longest_axis == pytest.approx(size, rel=1e-9)
    places = np.argwhere(phantom.mask)
    hull = places[ConvexHull(places).vertices] * (row, column)
    diagonal = np.hypot(row, column)
    # Middles of pixels are inside the curve, and each disc of half a pixel's diagonal has one: a thinner tip,
    # as that of the example, is in no mask.
    held = outline.opened(diagonal / 2)
    least = pdist(held[ConvexHull(held).vertices]).max()
    assert least - 1.5 * diagonal < pdist(hull).max() < size + 1e-6
    # Each pixel stands for its own area: the error is less than half a pixel along the curve.
    corners = outline.points
    perimeter = np.linalg.norm(np.roll(corners, 1, axis=0) - corners, axis=1).sum()
    assert abs(phantom.mask.sum() * row * column - outline.area) < 0.25 * perimeter * diagonal
    middle = (places.max(axis=0) + places.min(axis=0)) / 2 * (row, column)
    assert spec.lesion is not None
    assert np.abs(middle - (spec.lesion.depth_mm, spec.lesion.lateral_mm)).max() < diagonal
    assert not phantom.mask[[0, -1]].any()
    assert not phantom.mask[:, [0, -1]].any()


@pytest.mark.process
@given(
    seed=st.integers(0, 2**40),
    height=st.integers(100, 200),
    width=st.integers(100, 220),
    kind=st.sampled_from([None, *KINDS]),
    style=st.sampled_from([None, *STYLES]),
    borders=st.sampled_from([None, True, False]),
    marks=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_any_draw_renders(
    seed: int, height: int, width: int, kind: str | None, style: str | None, borders: bool | None, marks: bool
) -> None:
    spec = draw_spec(
        seed, kind=kind, style=style, shape=(height, width), spacing=0.12, borders=borders, marks=marks
    )
    phantom = render(spec)
    assert phantom.frame.pixels.shape == phantom.mask.shape == (height, width)
    assert phantom.frame.pixels.dtype == np.uint8
    assert phantom.frame.spacing == (0.12, 0.12)
    assert phantom.label == LABELS[spec.kind]
    assert phantom.mask.any() == (spec.kind != "normal")
    assert phantom.frame.pixels.std() > 10


def test_the_same_seed_gives_the_same_image_and_another_another() -> None:
    first, second, other = (render(draw_spec(seed, **SMALL)) for seed in (5, 5, 6))
    assert np.array_equal(first.frame.pixels, second.frame.pixels)
    assert np.array_equal(first.mask, second.mask)
    assert not np.array_equal(first.frame.pixels, other.frame.pixels)


def test_a_change_of_one_part_leaves_the_others() -> None:
    spec = draw_spec(5, kind="cyst", size_mm=6.0, depth_mm=14.0, borders=False, **SMALL)
    assert spec.lesion is not None
    bare = render(replace(spec, kind="normal", lesion=None))
    with_cyst = render(spec)
    above = slice(0, max(0, np.nonzero(with_cyst.mask)[0].min() - 25))
    assert above.stop > 20
    assert np.array_equal(bare.frame.pixels[above], with_cyst.frame.pixels[above])


def test_borders_are_black_and_marks_are_off_unless_asked() -> None:
    spec = draw_spec(8, kind="oval", borders=True, **SMALL)
    top, right, bottom, left = spec.border
    assert top == 0
    assert min(right, bottom, left) > 0
    phantom = render(spec)
    outside = np.ones(spec.shape, bool)
    outside[top : -bottom or None, left : -right or None] = False
    assert not phantom.frame.pixels[outside].any()
    assert not phantom.mask[outside].any()
    marked = render(replace(spec, marks=True))
    changed = marked.frame.pixels != phantom.frame.pixels
    assert 0 < changed.mean() < 0.05
    assert np.array_equal(marked.mask, phantom.mask)


def test_make_phantoms_counts_seeds_up() -> None:
    made = list(make_phantoms(3, 40, kind="normal", **SMALL))
    assert [phantom.spec.seed for phantom in made] == [40, 41, 42]
    assert {phantom.label for phantom in made} == {"normal"}
    assert [phantom.frame.name for phantom in made] == ["normal-40", "normal-41", "normal-42"]


@pytest.mark.process
def test_grey_levels_are_those_of_clinical_images() -> None:
    """Medians over a dozen phantoms lie within what 10 to 90 % of BUSI's images show (docs/phantoms.md)."""
    images = [phantom.frame.pixels for phantom in make_phantoms(12, 300, borders=False)]
    median = {
        "mean": float(np.median([p.mean() for p in images])),
        "deviation": float(np.median([p.std() for p in images])),
        "white": float(np.median([np.percentile(p, 99) for p in images])),
    }
    assert 55 < median["mean"] < 115
    assert 38 < median["deviation"] < 62
    assert 165 < median["white"] < 235
