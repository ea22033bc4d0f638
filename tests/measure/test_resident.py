"""Peak resident memory in a fresh process: what was held at once, seen from outside the allocator."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

if not Path("/proc/self/clear_refs").exists():
    pytest.skip("this system does not tell the peak of a process", allow_module_level=True)

MIB = 2**20

CODE = """
import json, sys, torch
from attnprobe.device.measure.resident import resident
from attnprobe.device.measure.memory import peak
MIB = 2**20
CALLS = {
    "together": lambda: [torch.ones(MIB) for _ in range(10)],
    "after": lambda: [torch.ones(MIB).sum() for _ in range(10)],
    "small": lambda: [torch.ones(MIB // 8) for _ in range(80)],
    "nothing": lambda: None,
}
found = resident(CALLS[sys.argv[1]], torch.device("cpu"), int(sys.argv[2]))
print(json.dumps([found.bytes, found.how, peak(CALLS[sys.argv[1]], torch.device("cpu"), 0).bytes]))
"""


def seen(call: str, floor: int = 0) -> tuple[int | None, str, int]:
    """Resident peak, how it was had, and what torch's allocator says, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, call, str(floor)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    found, how, allocated = json.loads(done.stdout.splitlines()[-1])
    return found, how, allocated


@pytest.mark.parametrize("call", ["together", "small"])
def test_what_is_held_at_once_is_counted(call: str) -> None:
    """Forty megabytes in ten blocks or in eighty: the allocator says the same, within a megabyte."""
    found, how, allocated = seen(call)
    assert found == pytest.approx(40 * MIB, abs=MIB)
    assert found == pytest.approx(allocated, abs=MIB)
    assert "threads" in how


def test_what_is_freed_is_not_added_up() -> None:
    """Ten blocks after each other are one block at once: glibc keeps none of them."""
    assert seen("after")[0] == pytest.approx(4 * MIB, abs=MIB)


def test_a_reading_below_the_floor_is_not_believed() -> None:
    """A call that reuses what was there would look as if it needed nothing."""
    found, how, _ = seen("nothing", 64 * MIB)
    assert found is None
    assert "less than the outputs need" in how
