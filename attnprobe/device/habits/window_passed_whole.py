"""A window of W keys is passed as `window_size=(W, 0)`, whose left side excludes the query's own key.

It is tried with `varlen_attn` on a GPU where that takes the case, else with a dense mask for SDPA that
counts alike. Source: flash-attention README, 2.3: query i attends keys i - left to i + right, inclusive.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from attnprobe.core.case import Case
from attnprobe.device.habits._told import Told
from attnprobe.device.lowering import varlen
from attnprobe.device.lowering.base import Refusal


def _wider(case: Case) -> Case:
    left = case.mask.left
    return case if left is None else case.edit(mask=replace(case.mask, left=left + 1))


def _by(case: Case) -> str:
    on_gpu = case.device != "cpu" and case.dtype != "float32"
    takes = on_gpu and not isinstance(varlen.said(case, torch.device("meta")), Refusal)
    return "varlen" if takes else "sdpa-default"


WRITTEN = Told("written/window-passed-whole", _wider, _by)
MENDED = Told("mended/window-passed-whole", lambda case: case, _by)
