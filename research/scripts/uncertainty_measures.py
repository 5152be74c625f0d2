"""Measure the choices of docs/uncertainty.md on validation images.

    python research/scripts/uncertainty_measures.py MODEL --data PREPARED --split SPLIT [--fold K] \
        [--logits FILE.npy]

Compares measures of uncertainty, the region that the temperature is fitted on and the levels of the
uncertainty band. Runs a calibrated model over the validation part in the six views of `tta="full"`, on the
network's grid, and writes research/measurements/uncertainty-*.md. Logits are stored in FILE.npy where it is
given, and read from it the next time. The test part is not used.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evidence import MEASUREMENTS
from page_tables.markdown import table
from sonoseg._util.files import atomic_write_text
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.evaluation.bootstrap import resampled
from sonoseg.evaluation.policy import POLICY
from sonoseg.evaluation.risk_coverage import aurc, curve, spearman
from sonoseg.image.network_grid import Grid
from sonoseg.inference.postprocessing import postprocess
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.test_time_augmentation import VIEWS, apply_view, average, invert_view
from sonoseg.inference.uncertainty import LOWER, NOTHING_FOUND, UPPER, image_uncertainty, uncertainty_band
from sonoseg.metrics.probability_calibration import (
    ReliabilityBins,
    boundary_band,
    foreground,
    reliability_bins,
)
from sonoseg.metrics.temperature import LogitCounts

REGIONS = ("whole", "foreground", "band")
CHOSEN = "quartile masks (chosen)"
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Image:
    """One validation image on the network's grid, cut to the image.

    true: bool (h, w). logit: (h, w), of the plain view. answers: float16 (V, S, S), every view's logits.
    """

    true: Array
    logit: Array
    answers: Array
    grid: Grid
    name: str
    group: str


def logits_of(predictor: Predictor, prepared: PreparedSet, ids: Sequence[str], kept: Path | None) -> Array:
    """Return the logits of every view, float16 (N, V, S, S); read from `kept` where it exists."""
    if kept is not None and kept.exists():
        return np.load(kept, mmap_mode="r")
    card, views = predictor.model.card.preprocessing, VIEWS["full"]
    logits = np.empty((len(ids), len(views), card.size, card.size), np.float16)
    for index, name in enumerate(ids):
        frame = prepared.frame(name)
        grid = Grid(frame.shape, card.size, card.fit)
        shown = np.stack([apply_view(frame.pixels, grid, view) for view in views])
        logits[index] = predictor.logit_grid(shown).clip(-60, 60)
    if kept is not None:
        np.save(kept, logits)
    return logits


def images(predictor: Predictor, prepared: PreparedSet, ids: Sequence[str], logits: Array) -> Iterator[Image]:
    """Yield the images one after the other."""
    card = predictor.model.card.preprocessing
    for name, answers in zip(ids, logits, strict=True):
        true = prepared.mask(name)
        grid = Grid(true.shape, card.size, card.fit)
        box = inside(grid)
        logit = np.asarray(answers[0][box], np.float32)
        group = str(prepared.table.loc[name, "group"])
        yield Image(grid.mask_to_network(true)[box], logit, np.asarray(answers), grid, name, group)


def inside(grid: Grid) -> tuple[slice, slice]:
    """The rows and columns of the image in the network's square."""
    top, left, height, width = grid.box
    return slice(top, top + height), slice(left, left + width)


def sigmoid(logit: Array, temperature: float) -> Array:
    """The probability of a logit."""
    return (0.5 * (np.tanh(np.asarray(logit, np.float32) / (2 * temperature)) + 1)).astype(np.float32)


def entropy(p: Array) -> Array:
    """The entropy of a probability, bits per pixel."""
    q = np.clip(p, 1e-7, 1 - 1e-7)
    return np.asarray(-(q * np.log2(q) + (1 - q) * np.log2(1 - q)))


def soft_dice(p: Array, mask: Array) -> float:
    """Soft Dice confidence: Borges, Pacheco and Silva, arXiv 2402.10665, 2024."""
    return float(2 * p[mask].sum() / (mask.sum() + p.sum()))


def dice(one: Array, other: Array) -> float:
    """Dice of two masks; 1 where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def measured(one: Image, predictor: Predictor) -> dict[str, Any]:
    """The Dice of one image and its uncertainty by every candidate."""
    card, threshold = predictor.model.card, predictor.threshold
    p, raw = sigmoid(one.logit, card.temperature), sigmoid(one.logit, 1.0)
    mask = postprocess(p >= threshold, p, card.postprocessing)
    found: dict[str, Any] = {"dice": dice(mask, one.true), "empty": not mask.any(), "peak": one.logit.max()}
    views, box = VIEWS["full"], inside(one.grid)
    maps = [sigmoid(answer, card.temperature) for answer in one.answers]
    for word in ("none", "flip", "scales", "full"):
        own = [n for n, view in enumerate(views) if view in VIEWS[word]]
        mean = average([maps[n] for n in own], one.grid, [views[n] for n in own])[box]
        averaged = postprocess(mean >= threshold, mean, card.postprocessing)
        found[f"dice {word}"] = dice(averaged, one.true)
        found[f"uncertainty {word}"] = image_uncertainty(mean, averaged, threshold)
        if len(own) > 1:
            back = [invert_view(maps[n], one.grid, views[n])[0][box] for n in own]
            each = [postprocess(b >= threshold, b, card.postprocessing) for b in back]
            found[f"disagreement {word}"] = 1 - float(np.mean([dice(k, averaged) for k in each]))
    uncertainties = {
        CHOSEN: found["uncertainty none"],
        "the same after `tta=full`": found["uncertainty full"],
        "soft Dice confidence, calibrated": 1 - soft_dice(p, mask),
        "soft Dice confidence, not calibrated": 1 - soft_dice(raw, mask),
        "disagreement of the passes of `tta=flip`": found["disagreement flip"],
        "disagreement of the passes of `tta=full`": found["disagreement full"],
    }
    if mask.any():
        width = POLICY.band_percent / 100 * math.hypot(*mask.shape)
        inner, outer = uncertainty_band(p, mask, threshold)
        uncertainties |= {
            "masks at 0.1 and 0.9": 1 - dice(inner, outer),
            "1 - mean probability inside": 1 - float(p[mask].mean()),
            "mean entropy inside": float(entropy(p)[mask].mean()),
            "mean entropy along the predicted outline": float(entropy(p)[boundary_band(mask, width)].mean()),
            "1 - highest probability": 1 - float(p.max()),
        }
        edge = one.true ^ _eroded(one.true)
        for low, high in ((0.1, 0.9), (LOWER, UPPER)):
            inner, outer = uncertainty_band(p, mask, threshold, low=low, high=high)
            band = outer & ~_eroded(inner)
            found[f"edge {low:g}"] = float(band[edge].mean()) if edge.any() else math.nan
            found[f"area {low:g}"] = float(band.sum() / mask.sum())
    found["uncertainties"] = uncertainties
    return found


def _eroded(mask: Array) -> Array:
    from scipy.ndimage import binary_erosion

    return np.asarray(binary_erosion(mask, border_value=1))


def gain(scores: Array, uncertainties: Array, weights: Array | None = None) -> Array:
    """The gain of an order: 0 for chance, 1 for the best order; (1,) or (R,)."""
    chance = 1 - np.reshape(curve(scores, uncertainties, np.zeros(1), weights), -1)
    reached, best = (chance - aurc(scores, by, weights) for by in (uncertainties, -scores))
    return np.asarray(reached / best)


def span(figure: Callable[..., Array], groups: Array) -> str:
    """A figure with its 95 % interval over groups, as text."""
    drawn = np.concatenate([np.ravel(figure(w)) for w in resampled(groups, resamples=1000)])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{float(np.ravel(figure(None))[0]):.3f} [{low:.3f}, {high:.3f}]"


def candidates_table(rows: list[dict[str, Any]], sets: Array, groups: Array) -> str:
    """Compare the candidates; without a finding each is 1, so that only the other images differ."""
    scores = np.array([row["dice"] for row in rows])
    columns = {
        name: np.array([1.0 if row["empty"] else row["uncertainties"][name] for row in rows])
        for name in next(row["uncertainties"] for row in rows if not row["empty"])
    }
    head = ["measure", "correlation with the Dice", "gain", *(f"gain, {one}" for one in sorted(set(sets)))]
    head += [
        "gain minus that of the chosen measure",
        "Dice after referring the 20 % most uncertain",
        "1 - uncertainty",
        "distance from the Dice",
    ]
    lines = [head]
    promised = ~np.array([row["empty"] for row in rows])
    for name, uncertainties in columns.items():
        rest = [
            f"{gain(scores[sets == one], uncertainties[sets == one])[0]:.3f}" for one in sorted(set(sets))
        ]
        lines.append(
            [
                name,
                span(lambda w, d=uncertainties: spearman(d, scores, w), groups),
                f"{gain(scores, uncertainties)[0]:.3f}",
                *rest,
                ""
                if name == CHOSEN
                else span(
                    lambda w, d=uncertainties: gain(scores, d, w) - gain(scores, columns[CHOSEN], w), groups
                ),
                f"{curve(scores, uncertainties, np.array([0.2]))[0]:.3f}",
                f"{float((1 - uncertainties[promised]).mean()):.3f}",
                f"{float(np.abs(1 - uncertainties - scores)[promised].mean()):.3f}",
            ]
        )
    return (
        table(lines[0], lines[1:])
        + "\n"
        + (
            f"\nMean Dice of the {int(promised.sum())} images with a finding: {scores[promised].mean():.3f}. "
            "The last two columns are of these images: the mean of 1 - uncertainty, and its mean distance "
            "from the Dice.\n"
        )
    )


def tta_table(rows: list[dict[str, Any]], groups: Array) -> str:
    """Compare the Dice and the uncertainty by the number of passes."""
    lines = [
        ["`--tta`", "passes", "mean lesion Dice", "minus that of `none`", "correlation", "gain"],
    ]
    plain = np.array([row["dice none"] for row in rows])
    for word, views in VIEWS.items():
        scores, uncertainties = (
            np.array([row[f"{kind} {word}"] for row in rows]) for kind in ("dice", "uncertainty")
        )
        lines.append(
            [
                f"`{word}`",
                str(len(views)),
                f"{scores.mean():.4f}",
                "" if word == "none" else span(lambda w, s=scores: _mean(s - plain, w), groups),
                span(lambda w, d=uncertainties, s=scores: spearman(d, s, w), groups),
                span(lambda w, d=uncertainties, s=scores: gain(s, d, w), groups),
            ]
        )
    return table(lines[0], lines[1:]) + "\n"


def _mean(values: Array, weights: Array | None) -> Array:
    return np.atleast_1d(values.mean()) if weights is None else (weights * values).sum(1) / weights.sum(1)


def nothing_table(rows: list[dict[str, Any]], normals: list[dict[str, Any]], sets: Array) -> str:
    """Compare the order by the least uncertainty of an image without a finding."""
    scores = np.array([row["dice"] for row in rows])
    empty = np.array([row["empty"] for row in rows])
    lines = [
        [
            "lowest uncertainty without a finding",
            "correlation",
            "gain",
            *(f"gain, {one}" for one in sorted(set(sets))),
        ]
    ]
    for least in (0.0, 0.25, NOTHING_FOUND, 0.75, 1.0):
        uncertainties = np.array([least if row["empty"] else row["uncertainty none"] for row in rows])
        rest = [
            f"{gain(scores[sets == one], uncertainties[sets == one])[0]:.3f}" for one in sorted(set(sets))
        ]
        figures = (f"{spearman(uncertainties, scores)[0]:.3f}", f"{gain(scores, uncertainties)[0]:.3f}")
        lines.append([f"{least:g}", *figures, *rest])
    logits = [", ".join(f"{row['peak']:.1f}" for row in part if row["empty"]) for part in (rows, normals)]
    return (
        table(lines[0], lines[1:])
        + "\n"
        + (
            f"\n{int(empty.sum())} of {len(rows)} lesion images and "
            f"{sum(row['empty'] for row in normals)} of "
            f"{len(normals)} normals have no finding. Their highest logits: {logits[0]} (lesions); "
            f"{logits[1]} (normals).\n"
        )
    )


def band_table(rows: list[dict[str, Any]]) -> str:
    """The share of the true outline inside the uncertainty band, and the area of the band."""
    lines = [
        ["levels", "true outline inside the band, mean of the images", "band's area, share of the mask"],
    ]
    for low, high in ((0.1, 0.9), (LOWER, UPPER)):
        edge, area = (
            np.array([row[f"{kind} {low:g}"] for row in rows if not row["empty"]])
            for kind in ("edge", "area")
        )
        lines.append(
            [f"{low:g} and {high:g}", f"{100 * edge.mean():.0f} %", f"{np.median(area):.2f} (median)"]
        )
    return table(lines[0], lines[1:]) + "\n"


def temperature_table(found: list[Image]) -> str:
    """The temperature by the region it is fitted on, and the ECE that remains in each region."""
    regions = [
        {"whole": np.ones_like(one.true)}
        | {
            "foreground": foreground(one.true, POLICY.foreground_percent / 100 * math.hypot(*one.true.shape)),
            "band": boundary_band(one.true, POLICY.band_percent / 100 * math.hypot(*one.true.shape)),
        }
        for one in found
    ]
    halves = np.unique([one.group for one in found], return_inverse=True)[1] % 2

    def fit(region: str, where: Array) -> float:
        counts = LogitCounts()
        for one, own, chosen in zip(found, regions, where, strict=True):
            if chosen:
                counts.add(one.true, one.logit, own[region])
        return counts.fit()

    def errors(temperature: Sequence[float]) -> list[str]:
        total = {name: ReliabilityBins.empty() for name in REGIONS}
        for one, own, t in zip(found, regions, temperature, strict=True):
            for name in REGIONS:
                total[name] += reliability_bins(one.true, sigmoid(one.logit, t), own[name])
        return [f"{total[name].ece:.4f}" for name in REGIONS]

    everything = np.ones(len(found), bool)
    lines = [["fitted on", "temperature", *(f"ECE, {name}" for name in REGIONS)]]
    lines.append(["nothing", "1", *errors([1.0] * len(found))])
    for region in REGIONS:
        t = fit(region, everything)
        lines.append(
            [
                f"{region}{' (chosen)' if region == 'foreground' else ''}",
                f"{t:.3f}",
                *errors([t] * len(found)),
            ]
        )
    two = [fit("foreground", halves == part) for part in (1, 0)]  # each half by the other's
    crossed = errors([two[int(half)] for half in halves])
    halved = "foreground of one half of the groups, measured on the other"
    lines.append([halved, f"{two[0]:.3f}, {two[1]:.3f}", *crossed])
    return table(lines[0], lines[1:]) + "\n"


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--logits", type=Path)
    given = parser.parse_args()
    prepared, split = PreparedSet.open(given.data), Split.load(given.split)
    split.check(prepared)
    ids = split.part(given.fold).validation
    predictor = Predictor(given.model, runtime="onnx", precision="fp32")
    logits = logits_of(predictor, prepared, ids, given.logits)
    lesions: list[Image] = []
    rows: list[dict[str, Any]] = []
    normals: list[dict[str, Any]] = []
    for one in images(predictor, prepared, ids, logits):
        (rows if one.true.any() else normals).append(measured(one, predictor))
        if one.true.any():
            lesions.append(one)
    sets = np.array([str(prepared.table.loc[one.name, "set"]) for one in lesions])
    groups = np.array([one.group for one in lesions])
    tables = {
        "candidates": candidates_table(rows, sets, groups),
        "nothing-found": nothing_table(rows, normals, sets),
        "tta": tta_table(rows, groups),
        "band": band_table(rows),
        "temperature": temperature_table(lesions),
    }
    for name, text in tables.items():
        atomic_write_text(MEASUREMENTS / f"uncertainty-{name}.md", text)
    print(*tables.values(), sep="\n")


if __name__ == "__main__":
    main()
