"""One file per library: how its call is written out. The twins of device/lowering/, without torch.

That each says the same as the lowering, tensor by tensor, is tested by running the script.
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.errors import UsageError
from attnprobe.repro.calls import (
    eager,
    flash_attn,
    flex,
    lucidrains,
    mha,
    njt,
    sdpa,
    user,
    varlen,
    xformers,
)
from attnprobe.repro.calls.base import Call

_BY_PREFIX = {
    "eager": eager.write,
    "sdpa-": sdpa.write,
    "flex": flex.write,
    "varlen": varlen.write,
    "njt": njt.write,
    "mha": mha.write,
    "xformers-": xformers.write,
    "flash-attn-": flash_attn.write,
    "lucidrains": lucidrains.write,
}


def write(case: Case, backend: str) -> Call:
    """The call that this backend makes of a case.

    Raises:
        UsageError: Nobody knows how to write it out.
    """
    if ":" in backend:
        return user.write(case, backend)
    for prefix, found in _BY_PREFIX.items():
        if backend.startswith(prefix):
            return found(case, backend)
    raise UsageError(
        f"the call of {backend} cannot be written out",
        why="it comes from another package, and only attnprobe's own backends are known here",
    )
