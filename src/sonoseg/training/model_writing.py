"""Write the Model of a run: the network's two files, and the card from the recipe and the run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg._util.files import atomic_path, sha256_file
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.model.card import CardResult, ModelCard, Preprocessing, TrainingSet
from sonoseg.model.export.onnx import write_onnx
from sonoseg.model.model import CARD, ONNX, WEIGHTS, Model
from sonoseg.model.network_weights import stored_weights
from sonoseg.networks.attention_unet import AttentionUNet
from sonoseg.networks.peer_networks import PeerNetwork
from sonoseg.networks.presets import build
from sonoseg.training.recipe import Recipe

LIMITS = (
    RESEARCH_ONLY,
    "One image, one view: nothing is known of the lesion's third dimension, and nothing of its histology.",
    "Trained on the machines and centres of the sets named here; others look different.",
)


def write_model(
    network: AttentionUNet | PeerNetwork,
    recipe: Recipe,
    folder: Path,
    *,
    threshold: float,
    data: list[TrainingSet],
    training: dict[str, Any],
    results: list[CardResult],
) -> Model:
    """Write a Model folder: model.onnx, weights.safetensors, and last the card with their hashes.

    Both files hold the same weights, rounded where the recipe stores float16.
    Raises ModelError where the exported network differs from the trained one, OutputError.
    """
    size = recipe.data.size
    state = stored_weights(network, recipe.store)
    stored = build(network.options)
    stored.load_state_dict(state)
    attention = write_onnx(stored, folder / ONNX, size)
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(state, temporary)
    card = ModelCard(
        name=recipe.name,
        created=datetime.now(UTC).date().isoformat(),
        sonoseg=__version__,
        preprocessing=Preprocessing(
            size=size,
            fit=recipe.data.fit,
            channels=network.options.channels,
            mean=recipe.data.mean,
            std=recipe.data.std,
        ),
        threshold=threshold,
        postprocessing=recipe.postprocessing,
        network=network.options.model_dump(mode="json"),
        attention=attention,
        data=data,
        training=training,
        results=results,
        limits=list(LIMITS),
        sha256={name: sha256_file(folder / name) for name in (ONNX, WEIGHTS)},
    )
    card.write(folder / CARD)
    return Model.load(folder)


def training_sets(
    prepared: PreparedSet, train: list[str], recipe: Recipe, initial: list[TrainingSet]
) -> list[TrainingSet]:
    """Return the card's data sets: those of the prepared set, then those behind the initial weights.

    train: the ids of the training images.
    """
    counts = prepared.table.loc[train, "set"].value_counts()
    sets = [
        TrainingSet(
            name=source["name"],
            title=source.get("title", ""),
            licence=source.get("licence", ""),
            citation=source.get("citation", ""),
            images=0 if recipe.data.times.get(source["name"]) == 0 else int(counts.get(source["name"], 0)),
        )
        for source in prepared.sources
    ]
    return sets + [one for one in initial if one.name not in {own.name for own in sets}]
