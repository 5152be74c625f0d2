"""One training run, from a recipe and a prepared set to a Model."""

from __future__ import annotations

from pathlib import Path

from sonoseg._util.files import sha256_file
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import TrainingError, UsageError
from sonoseg.model.card import CardResult
from sonoseg.model.model import CARD, Model
from sonoseg.model.network_weights import stored_weights
from sonoseg.networks.attention_unet import AttentionUNet
from sonoseg.networks.peer_networks import PeerNetwork
from sonoseg.training import distributed as processes
from sonoseg.training.batches import TrainingImages
from sonoseg.training.device import uses_cpu
from sonoseg.training.initial_weights import check_start
from sonoseg.training.model_writing import training_sets, write_model
from sonoseg.training.recipe import Recipe, load_recipe
from sonoseg.training.run_folder import Run
from sonoseg.training.threshold_choice import choose_threshold
from sonoseg.training.trainer import Report, Trainer


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
    """Train by `recipe` on one fold of `split`, and write a Model to `out`/model.

    Checkpoint and threshold are chosen on the validation part; the test part is not opened. With `resume` an
    interrupted run continues from its last checkpoint, and a finished one returns its Model.
    Raises TrainingError, DatasetError, OutputError, UsageError.
    """
    run = Run(out)
    split.check(prepared)
    initial = check_start(recipe)  # before anything is written: the same command works later
    parts = split.part(fold)
    if recipe.batch < processes.count():
        raise UsageError(
            f"{processes.count()} processes cannot share a batch of {recipe.batch} images",
            remedy="Start fewer, or use a larger batch: --set batch=N, with a suitable rate",
        )
    processes.join(cpu=uses_cpu(device))
    if resume:
        _check_same_run(run, recipe, prepared, fold)
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
    if resume and (run.model / CARD).exists():
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
    network = trainer.load_best()
    assert isinstance(network, AttentionUNet | PeerNetwork)
    # The threshold and all figures are of the weights as they are stored.
    network.load_state_dict(stored_weights(network, recipe.store))
    threshold, dice = choose_threshold(trainer)
    processes.wait()
    if processes.is_main():
        run.draw_curves(progress.history, progress.best_epoch)
        result = CardResult(
            measure="mean lesion Dice on the network's grid, threshold chosen here",
            value=round(dice, 4),
            n=int((prepared.table.loc[parts.validation, "lesion_area_px"] > 0).sum()),
            on="validation",
            command="sonoseg train",
        )
        training = {
            "recipe": recipe.model_dump(mode="json"),
            "best_epoch": progress.best_epoch,
            "hours": round(sum(entry["seconds"] for entry in progress.history) / 3600, 3),
            "precision": trainer.precision,
            "split_sha256": sha256_file(run.split),
            "fingerprint": prepared.fingerprint,
            **{key: run.given()[key] for key in ("fold", "parts", "versions", "git")},
        }
        data = training_sets(prepared, parts.train, recipe, initial)
        write_model(
            network, recipe, run.model, threshold=threshold, data=data, training=training, results=[result]
        )
    processes.wait()
    return Model.load(run.model)


def resume_run(out: Path) -> tuple[Recipe, PreparedSet, Split, int]:
    """Return recipe, prepared set, split and fold of the run in `out`, for `train` with `resume`."""
    run = Run(out)
    given = run.given()
    try:
        prepared, fold = PreparedSet.open(str(given["prepared"])), int(given["fold"])
    except KeyError as error:
        raise TrainingError(f"the key {error} is missing", where=run.description) from error
    except (TypeError, ValueError, OverflowError) as error:
        raise TrainingError(f"'fold' is not a number ({error})", where=run.description) from error
    return load_recipe(run.recipe), prepared, Split.load(run.split), fold


def _check_same_run(run: Run, recipe: Recipe, prepared: PreparedSet, fold: int) -> None:
    """Raise UsageError unless the run folder was begun with these."""
    given = run.given()
    stored = load_recipe(run.recipe)
    if stored != recipe:
        mine, theirs = recipe.model_dump(), stored.model_dump()
        key = next(key for key in mine if mine[key] != theirs[key])
        raise UsageError(
            f"the run was started with another recipe ('{key}' differs)",
            where=run.recipe,
            remedy="Leave --recipe and --set out to resume, or start a new run in another folder",
        )
    if (given["fingerprint"], given["fold"]) != (prepared.fingerprint, fold):
        raise UsageError(
            "the run was started on another prepared set or fold",
            where=run.description,
            remedy="Leave --data, --split and --fold out to resume",
        )
