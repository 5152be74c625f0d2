"""Training: recipe, augmentation, losses, training loop, run folder, and the Model of a run."""
