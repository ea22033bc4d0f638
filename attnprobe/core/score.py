"""What happens to a logit besides masking: scale, soft cap, ALiBi, an added tensor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bias:
    """A tensor that is added to the scaled logits. Described here, generated in the child.

    Args:
        B: True when the tensor has the batch dimension, False when it is 1 and broadcasts.
        H: The same for query heads.
        M: The same for queries.
        N: The same for keys.
        requires_grad: Whether the gradient of the bias is wanted.
        dtype: Element type; None is the dtype of the queries.
        forbids: Whether it is a mask of its own, different in all its dimensions: -inf for about half
            of the pairs, 0 for the rest, and 0 for the first key. With `mask_form` dense-bool the
            caller passes it as a boolean tensor.
    """

    B: bool = False
    H: bool = True
    M: bool = True
    N: bool = True
    requires_grad: bool = False
    dtype: str | None = None
    forbids: bool = False

    @property
    def text(self) -> str:
        """The broadcast dims as written in YAML, e.g. `1,H,M,N`."""
        return ",".join(n if getattr(self, n) else "1" for n in "BHMN")

    @classmethod
    def parse(
        cls,
        text: str,
        requires_grad: bool = False,
        dtype: str | None = None,
        forbids: bool = False,
    ) -> Bias:
        """Reads `1,H,M,N`.

        Raises:
            ValueError: Not four entries, or an entry that is neither 1 nor its own letter.
        """
        parts = [part.strip() for part in text.split(",")]
        if len(parts) != 4 or any(p not in ("1", n) for p, n in zip(parts, "BHMN", strict=False)):
            raise ValueError(f"bias shape {text!r}: write B,H,M,N with 1 where it broadcasts")
        flags = {n: p == n for p, n in zip(parts, "BHMN", strict=True)}
        return cls(**flags, requires_grad=requires_grad, dtype=dtype, forbids=forbids)


@dataclass(frozen=True)
class Score:
    """logit = softcap(scale * q.k) + alibi + bias, in this order.

    The soft cap is `softcap * tanh(x / softcap)` applied to the scaled product (Gemma 2,
    arXiv:2408.00118, section 2). ALiBi adds `-slope_h * |i + Mkv - Mq - j|` with the slopes of Press
    et al. (arXiv:2108.12409); diagonal 0 sits bottom-right, as in flash-attn's `alibi_slopes`.

    Args:
        scale: Softmax scale; None is K ** -0.5.
        softcap: Limit of the soft cap; None is no cap.
        alibi: Whether ALiBi is added.
        bias: An added tensor, or None.
    """

    scale: float | None = None
    softcap: float | None = None
    alibi: bool = False
    bias: Bias | None = None

    @property
    def is_plain(self) -> bool:
        """True when the logit is `scale * q.k` and nothing else."""
        return self.softcap is None and not self.alibi and self.bias is None
