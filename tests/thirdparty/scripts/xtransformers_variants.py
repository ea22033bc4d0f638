"""Attention of x-transformers in some of its ways: `xtransformers_variants.py WAY [flash]`."""

import sys

import torch
from x_transformers import Decoder, Encoder, TransformerWrapper

WAYS = {
    "alibi": (Decoder, {"alibi_pos_bias": True}),
    "t5": (Decoder, {"rel_pos_bias": True}),
    "grouped": (Decoder, {"attn_kv_heads": 2}),
    "softclamp": (Decoder, {"attn_softclamp_logits": True}),
    "padded": (Encoder, {}),
}

torch.manual_seed(0)
layers, options = WAYS[sys.argv[1]]
flash = {"attn_flash": "flash" in sys.argv}
attention = layers(dim=64, depth=2, heads=4, attn_dim_head=16, **options, **flash)
model = TransformerWrapper(num_tokens=64, max_seq_len=32, attn_layers=attention)
tokens = torch.randint(0, 64, (2, 32))
mask = torch.arange(32)[None] < torch.tensor([32, 20])[:, None]
out = model(tokens, mask=mask) if sys.argv[1] == "padded" else model(tokens)
out.square().mean().backward()
print(out.sum().item())
