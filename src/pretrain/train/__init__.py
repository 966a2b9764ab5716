"""Training: the initialised model on packed sequences, by Hugging Face's Trainer in a process of its own."""
