"""The `tokenizer` stage: a tokenizer trained on the shards, or one brought from outside."""
