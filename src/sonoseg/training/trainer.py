"""The training loop, on Accelerate: one process or many, CPU or GPU, resumable at any step.

Every random draw is seeded by (run, epoch, step), so a checkpoint holds no generator state: on a CPU, a run
that was killed and resumed ends with the weights of an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast, set_seed
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sonoseg._util.text import first_line
from sonoseg.errors import SonosegError, TrainingError
from sonoseg.networks.presets import build
from sonoseg.training.batch_augmentation import apply, draw
from sonoseg.training.batches import TrainingImages, network_input, seed_for
from sonoseg.training.checkpoint import load_checkpoint, save_checkpoint
from sonoseg.training.device import resolve_precision, uses_cpu
from sonoseg.training.distributed import lost_another
from sonoseg.training.epoch_metrics import EpochMetrics
from sonoseg.training.image_augmentation import image_augmentation
from sonoseg.training.initial_weights import start_network
from sonoseg.training.losses import LOSSES, image_losses
from sonoseg.training.optimiser import make_optimiser, set_learning_rate
from sonoseg.training.recipe import Recipe
from sonoseg.training.run_folder import Run
from sonoseg.training.synchronised_norm import count_images, join_norms

Report = Callable[[int, int, int, dict[str, Any] | None], None]
Rows = NDArray[np.intp]


@dataclass
class Progress:
    """The state of a run: the next step, the sums of the current epoch, the log so far."""

    epoch: int = 0
    step: int = 0
    sums: Tensor | None = None
    seconds: float = 0.0
    best_epoch: int = -1
    best_dice: float = -1.0
    history: list[dict[str, Any]] = field(default_factory=list)


class Trainer:
    """Train one network by a recipe; log and checkpoints go to the run folder.

    train, validation: the images of two parts of the split. report: called after each step with the epoch,
    the step, the number of steps and, at the end of an epoch, its log entries.
    """

    def __init__(
        self,
        recipe: Recipe,
        train: TrainingImages,
        validation: TrainingImages,
        run: Run,
        *,
        device: str = "auto",
        report: Report | None = None,
    ) -> None:
        self.recipe, self.train_images, self.validation_images, self.run = recipe, train, validation, run
        self.report = report or (lambda *_: None)
        cpu = uses_cpu(device)
        self.precision = resolve_precision(recipe.precision, PartialState(cpu=cpu).device)
        # Accelerate keeps its settings for the process; a second run in it may need others.
        AcceleratorState._reset_state()
        mixed = "bf16" if self.precision == "bf16" else "no"
        self.accelerator = Accelerator(mixed_precision=mixed, cpu=cpu)
        self.device, self.is_main = self.accelerator.device, self.accelerator.is_main_process
        self.rank, self.processes = self.accelerator.process_index, self.accelerator.num_processes
        set_seed(recipe.seed)
        network = build(recipe.network)
        start_network(network, recipe)
        network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.processes > 1:
            if self.device.type == "cuda":  # torch's own is faster, and for CUDA only
                network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
            else:
                join_norms(network)
        self.ema: AveragedModel | None = None
        if recipe.optimiser.ema:
            # Buffers (running means) are averaged too: they belong to the averaged weights.
            average = get_ema_multi_avg_fn(recipe.optimiser.ema)  # type: ignore[no-untyped-call]
            self.ema = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
        optimiser = make_optimiser(network, recipe.optimiser)
        self.network, self.optimiser = self.accelerator.prepare(network, optimiser)
        self.progress = Progress()
        self.steps = math.ceil(len(train) / recipe.batch)

    @property
    def unwrapped(self) -> nn.Module:
        """The network without the wrappers of Accelerate."""
        network: nn.Module = self.accelerator.unwrap_model(self.network)
        return network

    @property
    def evaluated(self) -> nn.Module:
        """The network that is validated and kept: with averaged weights where the recipe averages."""
        return self.ema.module if self.ema is not None else self.unwrapped

    def fit(self) -> Progress:
        """Train to the recipe's last epoch. Raises TrainingError, OutputError."""
        p, recipe, saved = self.progress, self.recipe, time.monotonic()
        while p.epoch < recipe.epochs:
            metrics, order = EpochMetrics(p.sums), self.train_images.order(recipe.seed, p.epoch)
            self.network.train()
            while p.step < self.steps:
                began = time.monotonic()
                self._step(order[p.step * recipe.batch :][: recipe.batch], metrics)
                p.step, p.sums = p.step + 1, metrics.sums
                p.seconds += time.monotonic() - began
                self.report(p.epoch, p.step, self.steps, None)
                if self._checkpoint_due(saved) and p.step < self.steps:
                    self.save()
                    saved = time.monotonic()
            self._end_epoch(metrics)
            saved = time.monotonic()
        return p

    def _step(self, rows: Rows, metrics: EpochMetrics) -> None:
        """Take one step on the images `rows` of the whole batch; each process takes its share of them."""
        p, recipe = self.progress, self.recipe
        torch.manual_seed(seed_for(recipe.seed, p.epoch, p.step, self.rank))
        share = slice(self.rank, None, self.processes)
        mine = rows[share]
        if self.processes > 1:
            count_images(self.network, len(mine) > 0)
        try:
            # A process without an image of a short last batch takes part with one of weight zero.
            images, masks = self._augmented(rows, share if len(mine) else slice(1))
            rate = set_learning_rate(self.optimiser, recipe, p.epoch + p.step / self.steps)
            self.optimiser.zero_grad()
            outputs = self.network(images)
            losses = image_losses(outputs, masks, recipe.loss) * (1 if len(mine) else 0)
            # Accelerate averages over processes: weighted by images, the mean is over images.
            loss = losses.sum() * self.processes / len(rows)
            if not bool(torch.isfinite(loss)):
                raise TrainingError(
                    f"the loss is no longer a number (learning rate {rate:.3g})",
                    where=self._position(mine, 8),
                    remedy="The last good checkpoint is intact: start again with a lower optimiser.rate, "
                    "or with optimiser.clip=1",
                )
            self.accelerator.backward(loss)
            if recipe.optimiser.clip:
                self.accelerator.clip_grad_norm_(self.network.parameters(), recipe.optimiser.clip)
            self.optimiser.step()
        except SonosegError:
            raise
        except Exception as error:
            if lost_another(error):
                raise
            raise TrainingError(
                f"{type(error).__name__}: {first_line(error)}",
                where=self._position(mine, 4),
                remedy="The last good checkpoint is intact: remove the cause, then continue with --resume",
            ) from error
        if self.ema is not None:
            self.ema.update_parameters(self.unwrapped)
        if len(mine):
            metrics.add(losses, outputs.logit, masks)

    def _augmented(self, rows: Rows, share: slice) -> tuple[Tensor, Tensor]:
        """Return the images of this process's share of a batch as network input, and their masks.

        Augmentation is drawn for the whole batch, so that it does not depend on the number of processes.
        """
        options = self.recipe.augmentation
        seed = (self.recipe.seed, self.progress.epoch, self.progress.step)
        change = image_augmentation(options, seed, np.arange(len(rows))[share], self.train_images.any)
        pairs = self.train_images.take(rows[share], change).to(self.device)
        if options.active and len(pairs):
            generator = torch.Generator().manual_seed(seed_for(*seed, 1 << 20))
            pairs = apply(draw(options, len(rows), generator)[share].to(self.device), pairs)
        return self._input(pairs), pairs[:, 1:]

    def _input(self, pairs: Tensor) -> Tensor:
        return network_input(pairs, self.recipe).contiguous(memory_format=torch.channels_last)

    def _position(self, rows: Rows, names: int) -> str:
        """Name the current step and the first images of its batch, for errors."""
        images = ", ".join(self.train_images.ids[row] for row in rows[:names])
        return f"epoch {self.progress.epoch + 1}, step {self.progress.step + 1} ({images})"

    def _end_epoch(self, metrics: EpochMetrics) -> None:
        """Validate, log, keep the best weights, save a checkpoint."""
        p = self.progress
        validated, seconds = self.validate()
        number, speed = p.epoch + 1, len(self.train_images) / p.seconds if p.seconds else None
        means = EpochMetrics(self.summed(metrics.sums)).means()
        train = {"epoch": number, "split": "train", **means, "seconds": p.seconds, "images_per_second": speed}
        validation = {"epoch": number, "split": "validation", **validated, "seconds": seconds}
        p.history += [train, validation]
        dice = validated["dice"] or 0.0
        if dice > p.best_dice:
            p.best_dice, p.best_epoch = dice, number
            if self.is_main:
                save_checkpoint(self.run.best, {"network": self.evaluated.state_dict(), "epoch": number})
        p.epoch, p.step, p.sums, p.seconds = p.epoch + 1, 0, None, 0.0
        self.save()
        if self.is_main:
            self.run.write_log(p.history)
        self.report(p.epoch - 1, self.steps, self.steps, {"train": train, "validation": validation})

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float | None], float]:
        """Return the metrics of the evaluated network on the validation part, and the seconds it took."""
        began, metrics = time.monotonic(), EpochMetrics()
        for logit, target in self.predict(self.validation_images):
            metrics.add(LOSSES[self.recipe.loss.kind](logit, target), logit, target)
        self.evaluated.train()
        means = EpochMetrics(self.summed(metrics.sums)).means()
        return means, time.monotonic() - began

    @torch.no_grad()
    def predict(self, images: TrainingImages) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield logits and targets, float (n, 1, S, S), of this process's share of `images`, in batches."""
        self.evaluated.eval()
        mine = np.arange(self.rank, len(images), self.processes)
        for start in range(0, len(mine), self.recipe.batch):
            pairs = images.take(mine[start : start + self.recipe.batch]).to(self.device)
            with self.accelerator.autocast():
                logit = self.evaluated(self._input(pairs)).logit
            yield logit.float(), pairs[:, 1:]

    def summed(self, sums: Tensor) -> Tensor:
        """Add up float64 sums over all processes."""
        if self.processes == 1:
            return sums
        # In float32: GPUs of some makers have no float64.
        total = self.accelerator.reduce(sums.float().to(self.device), reduction="sum")
        return torch.as_tensor(total).double().cpu()

    def _checkpoint_due(self, saved: float) -> bool:
        """Whether a checkpoint is due, by the clock of process 0: all processes take part in one."""
        due = time.monotonic() - saved > 60 * self.recipe.checkpoint_minutes
        if self.processes == 1:
            return due
        return bool(broadcast(torch.tensor([int(due)], device=self.device))[0])

    def save(self) -> None:
        """Write the checkpoint that `resume` reads."""
        p = self.progress
        sums = None if p.sums is None else self.summed(p.sums)
        if not self.is_main:
            return
        state = {
            "network": self.unwrapped.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "progress": {**vars(p), "sums": sums},
        }
        save_checkpoint(self.run.last, state)

    def resume(self) -> None:
        """Restore the state of the last checkpoint. Raises TrainingError."""
        state = load_checkpoint(self.run.last)
        try:
            self.unwrapped.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            if self.ema is not None:
                self.ema.load_state_dict(state["ema"])
            self.progress = Progress(**state["progress"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise TrainingError(
                f"the checkpoint does not fit this run ({first_line(error)})", where=self.run.last
            ) from error
        if self.progress.sums is not None:
            # Process 0 carries the sums of all; the others start from zero.
            self.progress.sums = self.progress.sums.cpu() * (1 if self.is_main else 0)

    def load_best(self) -> nn.Module:
        """Load the weights of the best validation Dice into the evaluated network, and return it."""
        self.accelerator.wait_for_everyone()  # process 0 may still be writing them
        self.evaluated.load_state_dict(load_checkpoint(self.run.best)["network"])
        return self.evaluated
