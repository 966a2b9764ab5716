"""`pretrain sample MODEL ... --prompt P`: text from one or several models, as it is generated."""

import sys
from typing import Annotated

import typer

from pretrain.cli.common import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    console,
    errors_end_the_command,
    print_json,
)


def sample_command(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="A run id, `latest`, STAGE/FINGERPRINT, or a folder."),
    ],
    prompt: Annotated[str, typer.Option(help="Text to go on from.")] = "",
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Tokens to generate.")] = 100,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(min=1, help="Draw from the k likeliest tokens.")] = 50,
    seed: Annotated[int, typer.Option(help="Same seed, same text.")] = 0,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Stream text from a trained model."""
    from transformers.utils import logging

    from pretrain.catalog import find_model
    from pretrain.sampling import stream_text
    from pretrain.store import open_store

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar over the weights is noise here
    samples = []
    with errors_end_the_command():
        folders = [find_model(open_store(store), model) for model in models]
        for model, folder in zip(models, folders, strict=True):
            if not as_json and len(models) > 1:
                console().print(str(model), style="bold", markup=False)
            pieces = []
            if not as_json:
                sys.stdout.write(prompt)
            for piece in stream_text(
                folder, prompt, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, seed=seed
            ):
                pieces.append(piece)
                if not as_json:
                    sys.stdout.write(piece)
                    sys.stdout.flush()
            samples.append({"model": model, "prompt": prompt, "text": "".join(pieces)})
            if not as_json:
                sys.stdout.write("\n")
    if as_json:
        print_json({"samples": samples})
