"""The `shard` stage: documents split into train and validation, shuffled, and cut into equal parts."""
