"""One engine for one request, whoever makes it: Python, the command line, the node, the server, a batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from sonoseg.errors import ModelError
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.runtimes import choice
from sonoseg.results.prediction_run import PredictionRun


def _python(**options: Any) -> Predictor:
    return Predictor(**options)


def _few(**options: Any) -> Predictor:
    return PredictionRun(["scan.png"], Path("out"), **options)._predictor(1)


def _many(**options: Any) -> Predictor:
    return PredictionRun(["scans"], Path("out"), **options)._predictor(100 * choice.FEW)


def _node(**options: Any) -> Predictor:
    pytest.importorskip("pynetdicom")
    from sonoseg.pacs.node_settings import load_settings
    from sonoseg.pacs.segmenter import Segmenter

    return Segmenter(load_settings(None, archive="A@localhost:1", **options))._predictor


def _server(**options: Any) -> Predictor:
    pytest.importorskip("fastapi")
    from sonoseg.review.predictions import Predictions
    from sonoseg.review.prometheus import Metrics
    from sonoseg.review.settings import Settings

    predictions = Predictions(cast(Any, None), Settings(folder=Path("state"), **options), Metrics())
    predictions._load()
    predictions.close()
    assert predictions.predictor is not None
    return predictions.predictor


def _batch(**options: Any) -> Predictor:
    pytest.importorskip("ray")
    from sonoseg.batch.ray_engine import RayPlan

    return RayPlan(model=None, **options).predictor()


SLOW = pytest.param(_batch, marks=pytest.mark.slow)  # Ray takes seconds to import
ENTRY_POINTS = (_python, _few, _many, _node, _server, SLOW)


@pytest.mark.parametrize("load", ENTRY_POINTS)
def test_every_entry_point_chooses_the_same_engine(load: Callable[..., Predictor]) -> None:
    """With every engine installed that this environment has, and with the shipped model's measured losses."""
    assert load().runtime == Predictor().runtime
    assert load(runtime="auto", precision="fp32").runtime == Predictor(precision="fp32").runtime


@pytest.mark.slow
def test_a_worker_with_other_settings_is_refused() -> None:
    pytest.importorskip("ray")
    from sonoseg.batch.ray_engine import RayPlan
    from sonoseg.results.entries import RunInfo

    about = RunInfo.of(Predictor(), "a batch")
    plan = RayPlan(model=None).with_engine(about)
    assert plan.predictor().settings_hash == about.settings_hash
    with pytest.raises(ModelError, match="this worker differs from the first one"):
        RayPlan(model=None, threshold=0.2).with_engine(about).predictor()
