"""Callables that do not come back, or not alone."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time

import torch
from torch.nn.functional import scaled_dot_product_attention as right

_HELD = []


def hangs(query, key, value, **options):
    time.sleep(1000)


def hangs_in_backward(query, key, value, **options):
    return _Backward.apply(right(query, key, value, **options), lambda: time.sleep(1000))


def raises_in_backward(query, key, value, **options):
    return _Backward.apply(right(query, key, value, **options), _raise)


def segfaults_in_backward(query, key, value, **options):
    return _Backward.apply(right(query, key, value, **options), lambda: ctypes.string_at(0))


def exits(query, key, value, **options):
    os._exit(0)


def leaves(query, key, value, **options):
    sys.exit("enough")


def interrupts(query, key, value, **options):
    raise KeyboardInterrupt


def segfaults(query, key, value, **options):
    ctypes.string_at(0)


def aborts(query, key, value, **options):
    os.abort()


def recurses(query, key, value, **options):
    return recurses(query, key, value, **options)


def exhausts(query, key, value, **options):
    _HELD.extend(torch.empty(2**28) for _ in range(64))  # never touched: RLIMIT_AS counts it


def leaks(query, key, value, **options):
    """A gibibyte with every call."""
    _HELD.append(torch.empty(2**30, dtype=torch.uint8))
    return right(query, key, value, **options)


def forks(query, key, value, **options):
    os.fork()
    return right(query, key, value, **options)


def spawns(query, key, value, **options):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    return right(query, key, value, **options)


def shouts(query, key, value, **options):
    print("{}\n" * 1_000_000)
    os.write(2, b"\xff\x00\x1b[31m" * 500_000)
    return right(query, key, value, **options)


def closes_everything(query, key, value, **options):
    os.closerange(0, 256)
    return right(query, key, value, **options)


def only_short(query, key, value, **options):
    if query.shape[2] > 16:
        raise NotImplementedError("at most 16 queries")
    return right(query, key, value, **options)


def only_three(query, key, value):
    return right(query, key, value)


def no_arguments():
    return None


def _raise():
    raise RuntimeError("no backward today")


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, out, deed):
        ctx.deed = deed
        return out.clone()

    @staticmethod
    def backward(ctx, dout):
        ctx.deed()
        return dout, None
