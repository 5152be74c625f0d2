"""The Model: a folder with a card, an ONNX file for inference and weights for training."""
