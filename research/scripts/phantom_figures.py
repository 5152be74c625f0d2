"""Draw the figures of phantoms for README and docs: `make figures`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from sonoseg import Predictor, samples
from sonoseg.data.phantoms import KINDS, draw_spec, render
from sonoseg.image.overlay import overlay
from sonoseg.lesions.callipers import draw_callipers
from sonoseg.lesions.measurement import measure, measure_mask
from sonoseg.metrics.overlap import dice
from sonoseg.networks import build
from sonoseg.networks.layer_table import summary
from sonoseg.plots.cases import Case, best_median_worst
from sonoseg.plots.network_diagram import architecture
from sonoseg.plots.style import save
from sonoseg.samples.sheet import sheet

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def demo() -> Image.Image:
    """Draw the sample scans, unprocessed above and with the lesions of the shipped model below."""
    predictor, columns = Predictor(runtime="onnx", precision="fp32"), []
    font = ImageFont.load_default(size=22)
    width, height, text = 440, 356, 34
    for frame in [frame for frame in samples.frames() if frame.name in SHOWN]:
        segmentation = predictor.predict(frame)
        lesions = measure(segmentation).lesions
        sizes = ", ".join(f"{lesion.longest_axis:.1f} mm" for lesion in lesions) or "no lesion found"
        column = Image.new("RGB", (width, 2 * height + text), "white")
        found = overlay(frame.pixels, segmentation.mask)
        for row, pixels in enumerate((np.repeat(frame.pixels[..., None], 3, axis=2), found)):
            shown = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
            column.paste(shown, (0, row * height))
        ImageDraw.Draw(column).text((width / 2, 2 * height + text / 2), sizes, "black", font, "mm")
        columns.append(column)
    gap = 8
    image = Image.new("RGB", (len(columns) * (width + gap) - gap, columns[0].height), "white")
    for k, column in enumerate(columns):
        image.paste(column, (k * (width + gap), 0))
    return image


def measured() -> Image.Image:
    """Draw phantoms with exact masks and callipers: parallel, not parallel, and one of a few mm."""
    tiles = []
    for kind, seed in MEASURED:
        phantom = render(draw_spec(seed, kind=kind))
        findings = measure_mask(phantom.frame, phantom.mask)
        drawn = overlay(phantom.frame.pixels, phantom.mask, fill=0.12)
        tile = Image.fromarray(draw_callipers(drawn, findings, mask=phantom.mask))
        tile.thumbnail((520, 400), Image.Resampling.LANCZOS)
        (lesion,) = findings.lesions
        page = Image.new("RGB", (520, 434), "white")
        page.paste(tile, ((520 - tile.width) // 2, 0))
        words = ", ".join(str(word) for word in (lesion.orientation, lesion.echo_level, lesion.posterior))
        at = (260, tile.height + 17)
        ImageDraw.Draw(page).text(at, words, "black", ImageFont.load_default(size=17), "mm")
        tiles.append(page)
    image = Image.new("RGB", (1048, 876), "white")
    for k, tile in enumerate(tiles):
        image.paste(tile, (k % 2 * 528, k // 2 * 442))
    return image


def failures() -> Figure:
    """Where the shipped model fails on phantoms: the worst of a fixed row of each kind."""
    predictor = Predictor(runtime="onnx", precision="fp32")
    found: dict[str, list[tuple[float, Case]]] = {}
    for kind in KINDS:
        for seed in TRIED:
            phantom = render(draw_spec(seed, kind=kind))
            seen = predictor.predict(phantom.frame)
            score = dice(phantom.mask, seen.mask) if phantom.mask.any() else float("nan")
            # A normal is the worse, the more is drawn on it.
            rank = float(seen.mask.mean()) if kind == "normal" else 1 - score
            case = Case(
                name=f"{kind}, {phantom.spec.size_mm:.0f} mm" if phantom.mask.any() else "normal",
                pixels=phantom.frame.pixels,
                true=phantom.mask,
                predicted=seen.raw_mask,
                processed=seen.mask,
                dice=score,
            )
            found.setdefault(kind, []).append((rank, case))
    rows: dict[str, list[Case]] = {}
    for name, ranked in found.items():
        bad = sum(rank > (0.001 if name == "normal" else 0.9) for rank, _ in ranked)
        what = "false positive" if name == "normal" else "missed"
        worst = sorted(ranked, key=lambda one: -one[0])[:4]
        rows[f"{name}\n{what}: {bad} of {len(ranked)}"] = [case for _, case in worst]
    return best_median_worst(rows)


TRIED = range(500, 540)

MEASURED = (("cyst", 1), ("oval", 8), ("spiculated", 2), ("oval", 20))

SHOWN = ("cyst-9mm", "oval-16mm", "spiculated-15mm", "oval-4mm")


def main() -> None:
    """Write them all."""
    IMAGES.mkdir(exist_ok=True)
    demo().save(IMAGES / "demo.png", optimize=True)
    measured().save(IMAGES / "measuring.png", optimize=True)
    save(failures(), IMAGES / "failures.png", dpi=100)
    for preset in ("seed", "sonoseg"):
        layers = [row._asdict() for row in summary(build(preset))]
        save(architecture(layers), IMAGES / f"{preset}-network.png", dpi=100)
    sheet(IMAGES / "phantoms.png")


if __name__ == "__main__":
    main()
