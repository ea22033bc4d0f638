"""A tiny random Llama that writes: `generate.py dynamic|static`, for its key-value cache."""

import sys

import torch
import transformers
from transformers import logging

logging.set_verbosity_error()
torch.manual_seed(0)
config = transformers.LlamaConfig(
    num_hidden_layers=2,
    hidden_size=64,
    intermediate_size=64,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    vocab_size=64,
    bos_token_id=1,
    eos_token_id=None,
    pad_token_id=0,
    attn_implementation="sdpa",
)
model = transformers.LlamaForCausalLM(config).eval()
prompt = torch.randint(3, 64, (2, 10))
mask = torch.ones_like(prompt)
mask[1, :4] = 0  # a shorter prompt, padded on the left
written = model.generate(
    prompt,
    attention_mask=mask,
    max_new_tokens=8,
    do_sample=False,
    cache_implementation=None if sys.argv[1] == "dynamic" else "static",
)
print(written.sum().item())
