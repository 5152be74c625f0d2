"""Frames: reading any image, and the way to the network's grid and back."""
