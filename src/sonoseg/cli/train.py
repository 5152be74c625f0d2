"""`sonoseg train`: from a prepared set to a Model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out


class DeviceChoice(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def train(
    to: Annotated[Path, typer.Option("--out", "-o", help="The run folder.")],
    recipe: Annotated[
        str | None, typer.Option(help="A recipe's name (seed, compact, quick, sonoseg) or a YAML file.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The prepared set.")] = None,
    split: Annotated[Path | None, typer.Option(help="The split file made for it.")] = None,
    fold: Annotated[int, typer.Option(min=0, help="The fold to keep for the test.")] = 0,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change one value: optimiser.rate=0.0005. Repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    device: Annotated[DeviceChoice, typer.Option(help="Where to train.")] = DeviceChoice.auto,
) -> None:
    """Train a network by a recipe, on one fold of a split; leaves a Model in OUT/model.

    A run that was killed goes on with: sonoseg train --resume --out OUT. On several processes:
    torchrun --nproc-per-node 2 -m sonoseg train ... (docs/distributed.md)
    """
    require("train", "torch", "accelerate", "onnx", "onnxscript", "safetensors", "yaml", "pandas", "sklearn")
    from sonoseg.training.allocator import reexecute

    reexecute()
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.errors import UsageError
    from sonoseg.training import distributed as processes
    from sonoseg.training.computing_precision import imitated
    from sonoseg.training.recipe import load_recipe
    from sonoseg.training.train import resume_run
    from sonoseg.training.train import train as run

    with processes.job():
        if resume:
            plan, prepared, parts, fold_used = resume_run(to)
            given = (recipe is not None or change, data is not None, split is not None)
            if any(given):
                raise UsageError(
                    "a resumed run takes what it was started with", remedy="Give only --resume and --out"
                )
        elif recipe is None or data is None or split is None:
            raise UsageError(
                "a new run needs --recipe, --data and --split", remedy="To go on with one: --resume --out RUN"
            )
        else:
            plan, prepared = load_recipe(recipe, change or []), PreparedSet.open(data)
            parts, fold_used = Split.load(split), fold
        if processes.is_main():
            note = processes.one_alone_by_mistake()
            if processes.count() > 1:
                note = f"{processes.count()} processes share each batch of {plan.batch}"
            for line in (note, imitated(plan.precision, device.value)):
                if line:
                    err.print(line, soft_wrap=True)
        with _Bar(plan.epochs) as bar:
            model = run(
                plan,
                prepared,
                parts,
                to,
                fold=fold_used,
                resume=resume,
                device=device.value,
                report=bar.report,
            )
        if not processes.is_main():
            return
        chosen = model.card.results[0]
        out.print(
            f"{model.folder}: {model.card.name}, validation Dice {chosen.value:.3f} (n = {chosen.n}) "
            f"at threshold {model.card.threshold:g}, best epoch {model.card.training['best_epoch']}"
        )


class _Bar:
    """A progress bar on a terminal; elsewhere a line an epoch, so that a log shows where a run stands."""

    def __init__(self, epochs: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from sonoseg.training.distributed import is_main

        self.epochs = epochs
        self.quiet = not is_main()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=self.quiet or not err.is_terminal,
        )
        self.task = self.bar.add_task("training", total=None)

    def __enter__(self) -> _Bar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def report(self, epoch: int, step: int, steps: int, ended: dict[str, Any] | None) -> None:
        """What the loop calls after each step."""
        self.bar.update(
            self.task,
            description=f"epoch {epoch + 1}/{self.epochs}",
            total=self.epochs * steps,
            completed=epoch * steps + step,
        )
        if ended and not self.quiet:
            train, validation = ended["train"], ended["validation"]
            line = (
                f"epoch {epoch + 1:3d}/{self.epochs}  loss {train['loss']:.4f}  "
                f"validation loss {validation['loss']:.4f}  Dice {validation['dice']:.3f}  "
                f"IoU {validation['iou']:.3f}"
            )
            if validation["false_positive_rate"] is not None:
                line += f"  false positives on normals {validation['false_positive_rate']:.0%}"
            speed = train["images_per_second"]
            err.print(line + (f"  {speed:.1f} images/s" if speed else ""))
