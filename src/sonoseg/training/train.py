"""One training run, from a recipe and a prepared set to a Model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sonoseg._util.files import sha256_file
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Parts, Split
from sonoseg.errors import TrainingError, UsageError
from sonoseg.metrics.overlap import THRESHOLDS, best_threshold
from sonoseg.model.card import CardResult, TrainingSet
from sonoseg.model.model import Model
from sonoseg.networks.attention_unet import AttentionUNet
from sonoseg.networks.peer_networks import PeerNetwork
from sonoseg.training import distributed as processes
from sonoseg.training.batches import TrainingImages
from sonoseg.training.initial_weights import check_start
from sonoseg.training.model_writing import export_model
from sonoseg.training.recipe import Recipe, load_recipe
from sonoseg.training.run_folder import Run
from sonoseg.training.trainer import Progress, Report, Trainer, no_gpu
from sonoseg.training.weight_precision import to_store


def train(
    recipe: Recipe,
    prepared: PreparedSet,
    split: Split,
    out: Path,
    *,
    fold: int = 0,
    resume: bool = False,
    device: str = "auto",
    report: Report | None = None,
) -> Model:
    """Train by `recipe` on one fold of `split`, and leave a Model in `out`/model.

    Checkpoint and threshold are chosen on the validation part; the test part is not touched. A finished run
    is not repeated. Raises TrainingError, DatasetError, OutputError, UsageError.
    """
    run = Run(out)
    split.check(prepared)
    before = check_start(recipe)  # before anything is written: the same command works later
    parts = split.part(fold)
    if recipe.batch < processes.count():
        raise UsageError(
            f"{processes.count()} processes cannot share a batch of {recipe.batch} images",
            remedy="Start fewer, or take a larger batch: --set batch=N, with a rate that suits it",
        )
    processes.join(cpu=device == "cpu" or no_gpu(device))
    if resume:
        _same_run(run, recipe, prepared, fold)
    elif processes.is_main():
        given = {
            "recipe": recipe.name,
            "seed": recipe.seed,
            "prepared": str(prepared.folder.resolve()),
            "fingerprint": prepared.fingerprint,
            "fold": fold,
            "parts": {name: len(ids) for name, ids in parts._asdict().items()},
        }
        run.begin(given, recipe.yaml())
        split.save(run.split)
    processes.wait()
    processes.check_shared(run.split)
    if resume and (run.model / "card.json").exists():
        return Model.load(run.model)
    trainer = Trainer(
        recipe,
        TrainingImages.of(prepared, parts.train, recipe.data, "train"),
        TrainingImages.of(prepared, parts.validation, recipe.data, "validation"),
        run,
        device=device,
        report=report,
    )
    if resume and run.last.exists():
        trainer.resume()
    progress = trainer.fit()
    network = trainer.keep_best()
    assert isinstance(network, AttentionUNet | PeerNetwork)
    # What is measured from here on is what is stored.
    network.load_state_dict(to_store(network, recipe.store))
    threshold, dice = choose_threshold(trainer, recipe)
    trainer.accelerator.wait_for_everyone()
    if trainer.accelerator.is_main_process:
        draw_curves(run, progress)
        model = _finish(
            run, recipe, prepared, parts, before, progress, network, threshold, dice, trainer.precision
        )
    trainer.accelerator.wait_for_everyone()
    return model if trainer.accelerator.is_main_process else Model.load(run.model)


def resume_run(out: Path) -> tuple[Recipe, PreparedSet, Split, int]:
    """What the run in `out` was given, so that `--resume --out` is all a user has to say."""
    run = Run(out)
    given = run.given()
    try:
        return (
            load_recipe(run.recipe),
            PreparedSet.open(given["prepared"]),
            Split.load(run.split),
            given["fold"],
        )
    except KeyError as error:
        raise TrainingError(f"the description lacks the key {error}", where=run.description) from error


def choose_threshold(trainer: Trainer, recipe: Recipe) -> tuple[float, float]:
    """The threshold of the best mean lesion Dice on validation, on the network's grid, and that Dice.

    A number in the recipe is taken as it is. Of equal thresholds the one nearest to 0.5.
    """
    wanted = THRESHOLDS if recipe.threshold is None else np.array([recipe.threshold])
    sums, lesions = torch.zeros(len(wanted), dtype=torch.float64), 0.0
    cuts = torch.tensor(np.log(wanted / (1 - wanted)), dtype=torch.float32, device=trainer.device)
    for logit, target in trainer.predict(trainer.validation_images):
        true = target >= 0.5
        has = true.any(dim=3).any(dim=2).any(dim=1)
        lesions += float(has.sum())
        for k, cut in enumerate(cuts):
            found = logit[has] >= cut
            both = (found & true[has]).sum((1, 2, 3)).double()
            total = found.sum((1, 2, 3)).double() + true[has].sum((1, 2, 3)).double()
            sums[k] += (2 * both / total).sum().cpu()
    if trainer.accelerator.num_processes > 1:
        packed = torch.cat([sums, torch.tensor([lesions], dtype=torch.float64)]).float().to(trainer.device)
        packed = torch.as_tensor(trainer.accelerator.reduce(packed, reduction="sum")).double().cpu()
        sums, lesions = packed[:-1], float(packed[-1])
    dice = np.round(sums.numpy() / lesions, 6)
    return best_threshold(wanted, dice), float(dice.max())


def draw_curves(run: Run, progress: Progress) -> None:
    """Draw loss, pixel accuracy, IoU and Dice of training and validation to curves.png."""
    import pandas as pd

    from sonoseg.plots.style import save
    from sonoseg.plots.training_curves import curves

    save(curves(pd.DataFrame(progress.history), progress.best_epoch), run.folder / "curves.png")


def _finish(
    run: Run,
    recipe: Recipe,
    prepared: PreparedSet,
    parts: Parts,
    before: list[TrainingSet],
    progress: Progress,
    network: AttentionUNet | PeerNetwork,
    threshold: float,
    dice: float,
    precision: str,
) -> Model:
    lesions = int((prepared.table.loc[parts.validation, "lesion_area_px"] > 0).sum())
    sets = prepared.table.loc[parts.train, "set"].value_counts()
    data = [
        TrainingSet(
            name=source["name"],
            title=source.get("title", ""),
            licence=source.get("licence", ""),
            citation=source.get("citation", ""),
            images=0 if recipe.data.times.get(source["name"]) == 0 else int(sets.get(source["name"], 0)),
        )
        for source in prepared.sources
    ]
    data += [one for one in before if one.name not in {own.name for own in data}]
    seconds = sum(entry["seconds"] for entry in progress.history)
    training = {
        "recipe": recipe.model_dump(mode="json"),
        "best_epoch": progress.best_epoch,
        "hours": round(seconds / 3600, 3),
        "precision": precision,
        "split_sha256": sha256_file(run.split),
        "fingerprint": prepared.fingerprint,
        **{key: run.given()[key] for key in ("fold", "parts", "versions", "git")},
    }
    result = CardResult(
        measure="mean lesion Dice on the network's grid, threshold chosen here",
        value=round(dice, 4),
        n=lesions,
        on="validation",
        command="sonoseg train",
    )
    return export_model(
        network, recipe, run.model, threshold=threshold, data=data, training=training, results=[result]
    )


def _same_run(run: Run, recipe: Recipe, prepared: PreparedSet, fold: int) -> None:
    given = run.given()
    stored = load_recipe(run.recipe)
    if stored != recipe:
        mine, theirs = recipe.model_dump(), stored.model_dump()
        key = next(key for key in mine if mine[key] != theirs[key])
        raise UsageError(
            f"the run was started with another recipe ('{key}' differs)",
            where=run.recipe,
            remedy="Leave --recipe and --set out when you resume, or start a new run in another folder",
        )
    if (given["fingerprint"], given["fold"]) != (prepared.fingerprint, fold):
        raise UsageError(
            "the run was started on another prepared set or fold",
            where=run.description,
            remedy="Leave --data, --split and --fold out when you resume",
        )
