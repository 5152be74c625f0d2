"""Training: recipe, augmentation, losses, the loop, export to a Model."""
