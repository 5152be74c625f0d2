"""The Model: a folder with a card, an ONNX file to predict with and weights to train on. No torch here."""
