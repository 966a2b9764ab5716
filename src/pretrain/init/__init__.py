"""The model before training: random weights or a checkpoint, then operations on layers, as one HF folder."""
