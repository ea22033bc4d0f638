"""What a case costs on this device: time, memory, kernels, and the limit they are held against.

`measure` answers one case with one backend; `compare` (paired.py) and `versus` say which of
several is faster;
`observe` and `unexpected` (kernels.py) say what really ran.
"""

from attnprobe.device.measure.kernels import believed, observe, short, unexpected
from attnprobe.device.measure.paired import Comparison, compare
from attnprobe.device.measure.timing import first_call, measure
from attnprobe.device.measure.turn import turn
from attnprobe.device.measure.versus import versus

__all__ = [
    "Comparison",
    "believed",
    "compare",
    "first_call",
    "measure",
    "observe",
    "short",
    "turn",
    "unexpected",
    "versus",
]
