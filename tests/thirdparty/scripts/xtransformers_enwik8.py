"""x-transformers' decoder as its enwik8 example trains it, small: `xtransformers_enwik8.py [flash]`.

The example is examples/enwik8_simple/train.py of lucidrains/x-transformers: rotary positions, Adam,
gradient accumulation and clipping. Characters are random here.
"""

import sys

import torch
from x_transformers import Decoder, TransformerWrapper
from x_transformers.autoregressive_wrapper import AutoregressiveWrapper

BATCH, ACCUMULATED, LENGTH = 4, 2, 32

torch.manual_seed(0)
decoder = Decoder(
    dim=64, depth=2, heads=4, attn_dim_head=16, rotary_pos_emb=True, attn_flash="flash" in sys.argv
)
model = AutoregressiveWrapper(
    TransformerWrapper(num_tokens=256, max_seq_len=LENGTH, attn_layers=decoder)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
for _ in range(3):
    model.train()
    for _ in range(ACCUMULATED):
        loss = model(torch.randint(0, 256, (BATCH, LENGTH + 1)))
        (loss / ACCUMULATED).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    optimizer.zero_grad()
print(loss.item())
