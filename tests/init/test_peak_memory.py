"""A model of 500 million parameters through surgery, in a process whose memory is looked at when it is done."""

import json
import subprocess
import sys

import pytest

from tests.init.tiny_models import byte_tokenizer, run_init

# 501,007,872 parameters; 16 layers again after the operations
ARCHITECTURE = {
    "num_hidden_layers": 16,
    "hidden_size": 1536,
    "intermediate_size": 4096,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
}
OPERATIONS = [{"op": "drop_layers", "num_layers": 2}, {"op": "upscale_depth", "overlap": 6}]

SCRIPT = """
import json, resource, sys
from pathlib import Path
from tests.init.tiny_models import byte_tokenizer, run_init
import pretrain.init.forward
folder, config = Path(sys.argv[1]), json.loads(sys.argv[2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
_, stats = run_init(folder, config, tokenizer=byte_tokenizer(num_extra_tokens=31_741), name="made")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"parameters": stats["parameters"], "before": before * 1024, "peak": peak * 1024}))
"""


def build(folder, config):
    """Builds the model in a process of its own; its parameters, and its memory before and at the peak, in bytes."""
    arguments = [sys.executable, "-c", SCRIPT, str(folder), json.dumps(config)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_no_copy_of_a_large_model_is_ever_in_memory(tmp_path):
    tokenizer = byte_tokenizer(num_extra_tokens=31_741)
    config = {"architecture": ARCHITECTURE, "dtype": "bfloat16"}
    folder, _ = run_init(tmp_path, config, tokenizer=tokenizer, name="source")
    told = build(tmp_path, {"from": str(folder), "operations": OPERATIONS})
    copy_bytes = 4 * told["parameters"]  # of the float32 model that is written; that which is read has half of it
    taken = told["peak"] - told["before"]
    print(
        f"\n{told['parameters']:,} parameters, {copy_bytes / 1e6:,.0f} MB in float32: {told['before'] / 1e6:,.0f} MB "
        f"with the libraries loaded, {told['peak'] / 1e6:,.0f} MB at the peak"
    )
    assert told["parameters"] == 501_007_872
    assert taken < 0.25 * copy_bytes
