"""Raw text to an evaluated language model: every stage of pretraining as a cached, resumable function."""
