"""Stage `eval`: scores the trained model and its baselines on tasks made from the validation split."""
