"""Every parameter of a phantom: drawn in `parameter_sampling`, applied in `phantom`.

Lengths in mm, levels in dB with the gland's mean as 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from sonoseg.data.phantoms.outline import Outline, make_outline
from sonoseg.errors import UsageError
from sonoseg.image.calibration import Spacing

Kind: TypeAlias = Literal["cyst", "oval", "spiculated", "normal"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LABELS: dict[Kind, str] = {"cyst": "benign", "oval": "benign", "spiculated": "malignant", "normal": "normal"}


@dataclass(frozen=True)
class LesionSpec:
    """One lesion.

    depth_mm, lateral_mm: middle of its bounding box, from the middle of the first pixel. size_mm: longest
    axis. aspect: short over long axis of the ellipse it starts from. angle_deg: of that long axis. lobes:
    height of the lobulation, relative. corners: angular points of the margin. contrast_db: its echo
    level. through_db: gain of what lies below, above 0 enhancement, below 0 shadow. edge_db: depth of the
    shadows below its sides. rim_db: wall or halo. soft_mm: width of the margin.
    """

    size_mm: float
    depth_mm: float
    lateral_mm: float
    aspect: float
    angle_deg: float
    lobes: float
    corners: int
    contrast_db: float
    through_db: float
    edge_db: float
    rim_db: float
    soft_mm: float


@dataclass(frozen=True)
class TissueSpec:
    """The breast. *_mm: depth of each layer's lower border at rest.

    fat_db: fat's echo level. fibre_db: strength of the fibrous texture. bend_mm: how far layers wave.
    dip: their slope. mix: how much fat lies in the gland, 0..1. ribs: whether a rib is cut. lobules,
    ducts, shadows: how many of each.
    """

    skin_mm: float
    fat_mm: float
    gland_mm: float
    retromammary_mm: float
    muscle_mm: float
    fat_db: float
    fibre_db: float
    bend_mm: float
    dip: float
    mix: float
    ribs: bool
    lobules: int
    ducts: int
    shadows: int


@dataclass(frozen=True)
class BeamSpec:
    """The probe. looks: number of sub-apertures compounded."""

    frequency_mhz: float
    f_number: float
    focus_mm: float
    looks: int


@dataclass(frozen=True)
class DisplaySpec:
    """The console.

    style: its name in STYLES. slope_db_per_mm: attenuation that the gain curve leaves in the depth.
    noise_db: electronic noise at the skin. lateral_db: unevenness across the probe. smoothing: of the
    display's filter, 0..1.
    """

    style: str
    slope_db_per_mm: float
    noise_db: float
    lateral_db: float
    dynamic_range_db: float
    gain_db: float
    gamma: float
    smoothing: float


@dataclass(frozen=True)
class PhantomSpec:
    """The parameters of one phantom; the same spec gives the same image.

    shape: (H, W) in pixels, black borders included. border: their pixels at (top, right, bottom, left).
    lesion: None for a normal.
    """

    kind: Kind
    seed: int
    shape: tuple[int, int]
    spacing: Spacing
    lesion: LesionSpec | None
    tissue: TissueSpec
    beam: BeamSpec
    display: DisplaySpec
    border: tuple[int, int, int, int] = (0, 0, 0, 0)
    marks: bool = False

    @property
    def label(self) -> str:
        """benign, malignant or normal."""
        return LABELS[self.kind]

    @property
    def size_mm(self) -> float:
        """The lesion's longest axis in mm; 0 for a normal."""
        return self.lesion.size_mm if self.lesion else 0.0

    @property
    def inner(self) -> tuple[int, int]:
        """Height and width in pixels within the black borders."""
        top, right, bottom, left = self.border
        return self.shape[0] - top - bottom, self.shape[1] - left - right

    def pixels(self, rows_mm: float, columns_mm: float) -> tuple[float, float]:
        """A pair of lengths in mm, down and across, as pixels."""
        return rows_mm / self.spacing.row, columns_mm / self.spacing.column

    def rng(self, stream: int) -> np.random.Generator:
        """A generator of its own for each part of the image, so that the parts are independent."""
        return np.random.default_rng([self.seed, stream])

    def outline(self) -> Outline | None:
        """The lesion's curve in mm within the borders, None for a normal."""
        return outline_of(self.lesion, self.seed) if self.lesion else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            **asdict(self),
            "spacing": list(self.spacing),
            "shape": list(self.shape),
            "border": list(self.border),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PhantomSpec:
        """The spec that `as_dict` wrote. Raises UsageError for values that do not fit this version."""
        try:
            return cls(
                **{
                    **values,
                    "shape": tuple(values["shape"]),
                    "spacing": Spacing(*values["spacing"]),
                    "border": tuple(values["border"]),
                    "lesion": LesionSpec(**values["lesion"]) if values["lesion"] else None,
                    "tissue": TissueSpec(**values["tissue"]),
                    "beam": BeamSpec(**values["beam"]),
                    "display": DisplaySpec(**values["display"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise UsageError(
                f"not the parameters of a phantom: {error}",
                where="phantom spec",
                remedy="Use a dictionary written by PhantomSpec.as_dict of this version",
            ) from error


def outline_of(lesion: LesionSpec, seed: int) -> Outline:
    """The curve of `lesion`, in mm: its lobes and corners come from `seed`."""
    return make_outline(
        np.random.default_rng([seed, 1]),
        size_mm=lesion.size_mm,
        centre=(lesion.depth_mm, lesion.lateral_mm),
        aspect=lesion.aspect,
        angle_deg=lesion.angle_deg,
        lobes=lesion.lobes,
        corners=lesion.corners,
    )
