"""Callables that change what is not theirs: their inputs, torch's settings."""

from __future__ import annotations

import os
import threading

import torch
from torch.nn.functional import scaled_dot_product_attention as right
from torch.utils._python_dispatch import TorchDispatchMode


def query(query, key, value, **options):
    out = right(query, key, value, **options)
    query.data.mul_(2.0)
    return out


def mask(query, key, value, attn_mask=None, **options):
    out = right(query, key, value, attn_mask, **options)
    if attn_mask is not None:
        attn_mask.data.fill_(1)
    return out


def cotangent(query, key, value, **options):
    return _Doubles.apply(right(query, key, value, **options))


def default_dtype(query, key, value, **options):
    torch.set_default_dtype(torch.float64)
    return right(query, key, value, **options)


def default_device(query, key, value, **options):
    torch.set_default_device("meta")
    return right(query, key, value, **options)


def determinism(query, key, value, **options):
    torch.use_deterministic_algorithms(True)
    return right(query, key, value, **options)


def seed(query, key, value, **options):
    torch.manual_seed(1234)
    return right(query, key, value, **options)


def gradients_off(query, key, value, **options):
    out = right(query, key, value, **options)
    torch.set_grad_enabled(False)
    return out


def autocast(query, key, value, **options):
    out = right(query, key, value, **options)
    torch.autocast("cpu", dtype=torch.bfloat16).__enter__()
    return out


class _Sees(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


def an_operation_mode(query, key, value, **options):
    out = right(query, key, value, **options)
    _Sees().__enter__()
    return out


def anomaly_detection(query, key, value, **options):
    torch.autograd.set_detect_anomaly(True)
    return right(query, key, value, **options)


def directory(query, key, value, **options):
    os.chdir("/")
    return right(query, key, value, **options)


def torchs_own_attention(query, key, value, **options):
    torch.nn.functional.scaled_dot_product_attention = torchs_own_attention
    return right(query, key, value, **options)


def a_method_of_tensors(query, key, value, **options):
    torch.Tensor.exp = lambda tensor: tensor * 0
    return right(query, key, value, **options)


def threads(query, key, value, **options):
    for _ in range(4):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    return right(query, key, value, **options)


class _Doubles(torch.autograd.Function):
    @staticmethod
    def forward(ctx, out):
        return out.clone()

    @staticmethod
    def backward(ctx, dout):
        given = dout.clone()
        dout.data.mul_(2.0)
        return given
