"""torch's TransformerEncoder with padding: `encoder.py train|eval|eval-causal`."""

import sys

import torch
from torch import nn

torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True)
model = nn.TransformerEncoder(layer, 2)
tokens = torch.randn(3, 20, 64)
padding = torch.arange(20)[None] >= torch.tensor([20, 11, 4])[:, None]  # True is padding here
causal = nn.Transformer.generate_square_subsequent_mask(20)
match sys.argv[1]:
    case "train":
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            loss = model(tokens, src_key_padding_mask=padding).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        print(loss.item())
    case "eval":
        with torch.inference_mode():
            print(model.eval()(tokens, src_key_padding_mask=padding).sum().item())
    case "eval-causal":
        with torch.no_grad():
            print(model.eval()(tokens, mask=causal, is_causal=True).sum().item())
