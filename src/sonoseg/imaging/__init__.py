"""Frames: reading any picture, and the way to the network's grid and back."""
