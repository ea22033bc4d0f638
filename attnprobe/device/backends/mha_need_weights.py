"""nn.MultiheadAttention as it is called by default, `need_weights=True`: matmul, softmax, matmul.

Source: torch@2.13.0:torch/nn/functional.py, `multi_head_attention_forward`: q is scaled, and the scores
and the probabilities are rounded to the storage type.
"""

from attnprobe.device.backends._mha import Mha, forward

BACKEND = Mha(
    name="mha-need-weights",
    contracts={"cpu": "unfused", "cuda": "unfused"},
    call=forward(need_weights=True),
    materialises=True,
    empty_rows="nan",  # a plain softmax over -inf
)
