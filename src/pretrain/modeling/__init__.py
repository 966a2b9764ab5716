"""Models as files and numbers: shapes, parameter and FLOP counts, and folders in the Hugging Face layout.

Stages share it. Nothing here imports torch or transformers before a model is loaded, so that counting costs
nothing.
"""
