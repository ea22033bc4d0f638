"""Attention functions of users, most of which ruin their process: backends for real trials."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as right


def segfault(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    ctypes.string_at(0)
    return query


def abort(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    os.abort()


def leave(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    os._exit(0)


def quit(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    sys.exit("enough")


def hang(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    time.sleep(1000)
    return query


def exhaust(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    return torch.empty(1 << 33, dtype=torch.uint8)


def fail(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    raise ValueError("no")


def refuse(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    raise NotImplementedError("not on this machine")


def nothing(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> None:
    return None


def chatter(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    print("working " * 100_000)
    return right(query, key, value, **options)


__all__ = ["right"]
