"""What a call replaced in torch is told from what torch replaces in itself."""

from __future__ import annotations

import subprocess
import sys

LATE = """
import sys
from attnprobe.device import functions
assert "torch._dynamo" not in sys.modules
before = functions.now()
import torch._dynamo
print(functions.restore(before))
"""


def test_the_first_import_of_dynamo_is_no_deed_of_the_call() -> None:
    """A call that compiles or checkpoints imports it, and it wraps torch.manual_seed."""
    done = subprocess.run(
        [sys.executable, "-c", LATE], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "()"
