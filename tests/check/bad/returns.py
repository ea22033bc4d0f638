"""Callables that compute the right numbers and return them in a wrong way."""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention as right

_KEPT = {}


def a_row_short(query, key, value, **options):
    return right(query, key, value, **options)[:, :, :-1]


def heads_last(query, key, value, **options):
    return right(query, key, value, **options).transpose(1, 2)


def float64(query, key, value, **options):
    return right(query, key, value, **options).double()


def on_meta(query, key, value, **options):
    return torch.empty_like(query, device="meta")


def a_tuple(query, key, value, **options):
    return right(query, key, value, **options), None


def nothing(query, key, value, **options):
    return None


def numpy_array(query, key, value, **options):
    return right(query, key, value, **options).detach().numpy()


def its_value(query, key, value, **options):
    return value.view_as(value)


def detached(query, key, value, **options):
    return right(query, key, value, **options).detach()


def value_without_gradient(query, key, value, **options):
    return right(query, key, value.detach(), **options)


def one_buffer(query, key, value, **options):
    out = right(query, key, value, **options)
    with torch.no_grad():
        kept = _KEPT.setdefault((out.shape, out.dtype), torch.empty_like(out))
    return _Into.apply(out, kept)


def sparse(query, key, value, **options):
    return right(query, key, value, **options).detach().to_sparse()


def complex_numbers(query, key, value, **options):
    return right(query, key, value, **options).to(torch.complex64)


def integers(query, key, value, **options):
    return right(query, key, value, **options).int()


class _Sparse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, out):
        return out.clone()

    @staticmethod
    def backward(ctx, dout):
        return dout.to_sparse()


def sparse_gradient(query, key, value, **options):
    return right(_Sparse.apply(query), key, value, **options)


def not_contiguous(query, key, value, **options):
    out = right(query, key, value, **options)
    return out.transpose(1, 2).contiguous().transpose(1, 2)


class _Into(torch.autograd.Function):
    @staticmethod
    def forward(ctx, out, kept):
        return kept.copy_(out).view_as(kept)

    @staticmethod
    def backward(ctx, dout):
        return dout, None
