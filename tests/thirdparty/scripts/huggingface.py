"""A tiny random model of Hugging Face transformers: `huggingface.py MODEL eager|sdpa|flex [compiled]`.

Training steps where the implementation has a backward pass on a CPU, else a forward pass.
"""

import sys

import torch
import transformers
from transformers import logging

logging.set_verbosity_error()
torch.manual_seed(0)

name, implementation = sys.argv[1:3]
compiled = "compiled" in sys.argv[3:]
SMALL = {"attn_implementation": {"flex": "flex_attention"}.get(implementation, implementation)}
TOKENS = {"vocab_size": 64, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
LLAMA = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
BERT = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


def gpt2():
    config = transformers.GPT2Config(
        n_layer=2, n_embd=64, n_head=4, n_positions=64, **TOKENS, **SMALL
    )
    return transformers.GPT2LMHeadModel(config), text()


def llama():
    config = transformers.LlamaConfig(**LLAMA, **TOKENS, **SMALL)
    return transformers.LlamaForCausalLM(config), text()


def mistral():
    config = transformers.MistralConfig(**LLAMA, sliding_window=8, **TOKENS, **SMALL)
    return transformers.MistralForCausalLM(config), text()


def t5():
    shape = {"num_layers": 2, "d_model": 64, "d_kv": 16, "d_ff": 64, "num_heads": 4}
    config = transformers.T5Config(**shape, decoder_start_token_id=0, **TOKENS, **SMALL)
    return transformers.T5ForConditionalGeneration(config), text()


def bert():
    config = transformers.BertConfig(**BERT, **TOKENS, **SMALL)
    mask = torch.arange(24)[None] < torch.tensor([24, 9])[:, None]
    return transformers.BertForMaskedLM(config), {**text(), "attention_mask": mask.long()}


def vit():
    config = transformers.ViTConfig(**BERT | {"image_size": 32, "patch_size": 8}, **SMALL)
    model = transformers.ViTForImageClassification(config)
    return model, {"pixel_values": torch.randn(2, 3, 32, 32), "labels": torch.tensor([0, 1])}


def whisper():
    config = transformers.WhisperConfig(
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        d_model=64,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_source_positions=40,
        num_mel_bins=8,
        decoder_start_token_id=1,
        **TOKENS,
        **SMALL,
    )
    model = transformers.WhisperForConditionalGeneration(config)
    return model, {"input_features": torch.randn(2, 8, 80), "labels": text()["labels"]}


def bloom():
    config = transformers.BloomConfig(n_layer=2, hidden_size=64, n_head=4, **TOKENS, **SMALL)
    return transformers.BloomForCausalLM(config), {**text(), "attention_mask": padded_left()}


def gemma2():
    shape = {"head_dim": 16, "sliding_window": 8}
    config = transformers.Gemma2Config(**LLAMA, **shape, **TOKENS, **SMALL)
    return transformers.Gemma2ForCausalLM(config), text()


def opt():
    shape = {"num_hidden_layers": 2, "hidden_size": 64, "ffn_dim": 64, "num_attention_heads": 4}
    sizes = {"max_position_embeddings": 64, "word_embed_proj_dim": 64}
    config = transformers.OPTConfig(**shape, **sizes, **TOKENS, **SMALL)
    return transformers.OPTForCausalLM(config), {**text(), "attention_mask": padded_left()}


def swin():
    shape = {"image_size": 32, "patch_size": 2, "embed_dim": 16, "window_size": 4}
    config = transformers.SwinConfig(**shape, depths=[2, 2], num_heads=[2, 4], **SMALL)
    model = transformers.SwinForImageClassification(config)
    return model, {"pixel_values": torch.randn(2, 3, 32, 32), "labels": torch.tensor([0, 1])}


def padded_left():
    return (torch.arange(24)[None] >= torch.tensor([0, 9])[:, None]).long()


def text():
    tokens = torch.randint(3, 64, (2, 24))
    return {"input_ids": tokens, "labels": tokens}


MODELS = (gpt2, llama, mistral, t5, bert, vit, whisper, bloom, gemma2, opt, swin)
model, batch = {f.__name__: f for f in MODELS}[name]()
run = torch.compile(model) if compiled else model
if implementation == "flex":
    with torch.no_grad():
        print(run(**batch).loss.item())
else:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(3):
        loss = run(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    print(loss.item())
