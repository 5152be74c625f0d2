"""Breast-ultrasound lesion segmentation. Research software, not a medical device.

The public names are loaded on first use, which keeps `import sonoseg` fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

RESEARCH_ONLY = "Research software, not a medical device: not for diagnosis or treatment."

if TYPE_CHECKING:
    from sonoseg.image.calibration import Spacing as Spacing
    from sonoseg.image.frame import Frame as Frame
    from sonoseg.inference.predictor import Predictor as Predictor
    from sonoseg.inference.segmentation import Segmentation as Segmentation
    from sonoseg.inputs.reading import read_frame as read_frame
    from sonoseg.model.model import Model as Model

_MODULES = {
    "Frame": "sonoseg.image.frame",
    "Spacing": "sonoseg.image.calibration",
    "read_frame": "sonoseg.inputs.reading",
    "Predictor": "sonoseg.inference.predictor",
    "Segmentation": "sonoseg.inference.segmentation",
    "Model": "sonoseg.model.model",
}

__all__ = [
    "RESEARCH_ONLY",
    "Frame",
    "Model",
    "Predictor",
    "Segmentation",
    "Spacing",
    "__version__",
    "read_frame",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'sonoseg' has no attribute {name!r}")
