"""A Case is the recipe of one attention call: everything needed to make it again, and no tensor."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from attnprobe.core.jsonio import encode
from attnprobe.core.mask import NONE, Mask
from attnprobe.core.score import Score

Storage = Literal["padded", "packed", "packed-padded-keys"]
Pass = Literal["fwd", "bwd", "fwd+bwd"]

LAYOUTS = (
    "BHMK",
    "BMHK",
    "packed-qkv",
    "expanded-kv",
    "strided",
    "unaligned",
    "kv-cache",
    "mixed",
    "shared-kv",
)
"""How memory can be laid out (device/memory.py)."""

FAMILIES = (
    "normal",
    "uniform",
    "large-logits",
    "very-negative-lse",
    "outlier-channels",
    "constant-keys",
    "one-hot",
    "cancelling",
    "rising",
)
"""What values can be drawn (device/inputs.py)."""

MASK_FORMS = ("best", "dense-bool", "dense-float")

ELEMENT_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class Lengths:
    """How many queries and keys each sequence really has, and how the sequences are stored.

    Args:
        q: Queries per sequence.
        kv: Keys per sequence.
        storage: `padded`: (B, Mq) and (B, Mkv) slots, sequence b fills the first `q[b]` and `kv[b]`;
            `packed`: sequences follow each other in one row (THK with cu_seqlens);
            `packed-padded-keys`: queries packed, keys in slots of Mkv (xFormers' PaddedKeys, a
            KV cache).
        tail: Tokens behind the last sequence of a packed row, which belong to none.
    """

    q: tuple[int, ...]
    kv: tuple[int, ...]
    storage: Storage = "padded"
    tail: int = 0


@dataclass(frozen=True)
class Sequence:
    """One sequence of a case, in canonical coordinates: rows of q and of k/v that attend each other."""

    batch: int
    q_start: int
    Mq: int
    kv_start: int
    Mkv: int
    index: int


@dataclass(frozen=True)
class Case:
    """One attention call.

    Canonical tensors, whatever the storage: q (Bc, Hq, Tq, K), k (Bc, Hkv, Tkv, K),
    v (Bc, Hkv, Tkv, Kv) with Bc = B and Tq = Mq for padded storage, Bc = 1 for packed.

    Args:
        B: Sequences.
        Hq: Query heads.
        Hkv: Key and value heads; divides Hq.
        Mq: Queries per sequence (the longest, with `lengths`).
        Mkv: Keys per sequence (the longest, with `lengths`).
        K: Head dim of q and k.
        Kv: Head dim of v.
        dtype: float32, float16, bfloat16 (float64 for references).
        device: cpu or cuda.
        mask: Which pairs attend, within one sequence.
        score: What else happens to the logit.
        lengths: Real lengths and storage; None is full (B, Mq) and (B, Mkv).
        layout: How memory is laid out: BHMK, BMHK, packed-qkv (one (B, M, 3, H, K) tensor),
            expanded-kv (stride 0 over B), strided (last stride 2), unaligned (storage offset 1),
            kv-cache (K and V are the first slots of longer caches, NaN behind them), mixed (an order
            of its own for each of q, k and v), shared-kv (K and V are one tensor).
        mask_form: How the caller passes the mask: best (what the backend prefers), dense-bool,
            dense-float.
        dropout_p: Dropout probability.
        passes: What is run: fwd, bwd (alone) or fwd+bwd.
        grads: Which of q, k, v want gradients (a bias says so itself).
        family: Input family (device/inputs.py).
        seed: Seed of the generator.
        name: A label for people; not part of the identity.
        module: The layer around the attention call that is timed instead of it (device/modules/), of
            width Hq * K; empty for the attention call itself.
    """

    B: int
    Hq: int
    Hkv: int
    Mq: int
    Mkv: int
    K: int
    Kv: int
    dtype: str = "bfloat16"
    device: str = "cpu"
    mask: Mask = NONE
    score: Score = field(default_factory=Score)
    lengths: Lengths | None = None
    layout: str = "BHMK"
    mask_form: str = "best"
    dropout_p: float = 0.0
    passes: Pass = "fwd+bwd"
    grads: tuple[str, ...] = ("q", "k", "v")
    family: str = "normal"
    seed: int = 0
    name: str = field(default="", compare=False)
    module: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """Every reason why this case describes no attention call; empty when it is sound."""
        found = [
            f"{n} is {getattr(self, n)}; it must be at least 1"
            for n in ("B", "Hq", "Hkv", "K", "Kv")
            if getattr(self, n) < 1
        ]
        found += [f"{n} is {getattr(self, n)}" for n in ("Mq", "Mkv") if getattr(self, n) < 0]
        if self.Hkv > 0 and self.Hq % self.Hkv:
            found.append(f"Hkv={self.Hkv} does not divide Hq={self.Hq}")
        if not 0.0 <= self.dropout_p < 1.0:
            found.append(f"dropout_p is {self.dropout_p}; it must be in [0, 1)")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                found.append(f"{name} is {getattr(self, name)!r}; known: {', '.join(known)}")
        if self.layout == "packed-qkv" and not self.q_shape == self.k_shape == self.v_shape:
            found.append("layout packed-qkv needs q, k and v of one shape")
        if self.layout == "shared-kv" and self.k_shape != self.v_shape:
            found.append("layout shared-kv needs k and v of one shape")
        if self.lengths is not None:
            q, kv = self.lengths.q, self.lengths.kv
            if len(q) != self.B or len(kv) != self.B:
                found.append(f"lengths name {len(q)} and {len(kv)} sequences, B is {self.B}")
            elif any(not 0 <= n <= self.Mq for n in q) or any(not 0 <= n <= self.Mkv for n in kv):
                found.append(f"lengths must lie in 0..Mq={self.Mq} and 0..Mkv={self.Mkv}")
            if self.lengths.storage != "padded" and self.score.bias is not None:
                found.append("a tensor bias needs padded storage")
        return tuple(found)

    @property
    def storage(self) -> Storage:
        """How sequences are stored."""
        return self.lengths.storage if self.lengths else "padded"

    @property
    def groups(self) -> int:
        """Query heads per key head (G); 1 is plain multi-head attention."""
        return self.Hq // self.Hkv

    @property
    def scale(self) -> float:
        """The softmax scale in force."""
        return self.K**-0.5 if self.score.scale is None else self.score.scale

    @property
    def wants_backward(self) -> bool:
        """True when gradients are part of the question."""
        return self.passes != "fwd"

    @property
    def wants_bias_grad(self) -> bool:
        """True when the gradient of a tensor bias is part of the question."""
        return self.wants_backward and self.score.bias is not None and self.score.bias.requires_grad

    @property
    def q_shape(self) -> tuple[int, int, int, int]:
        """Canonical shape of q: (Bc, Hq, Tq, K)."""
        if self.lengths is None or self.lengths.storage == "padded":
            return (self.B, self.Hq, self.Mq, self.K)
        return (1, self.Hq, sum(self.lengths.q) + self.lengths.tail, self.K)

    @property
    def k_shape(self) -> tuple[int, int, int, int]:
        """Canonical shape of k: (Bc, Hkv, Tkv, K)."""
        if self.lengths is None or self.lengths.storage == "padded":
            return (self.B, self.Hkv, self.Mkv, self.K)
        if self.lengths.storage == "packed":
            return (1, self.Hkv, sum(self.lengths.kv) + self.lengths.tail, self.K)
        return (1, self.Hkv, self.B * self.Mkv, self.K)

    @property
    def v_shape(self) -> tuple[int, int, int, int]:
        """Canonical shape of v: (Bc, Hkv, Tkv, Kv)."""
        return (*self.k_shape[:3], self.Kv)

    @property
    def out_shape(self) -> tuple[int, int, int, int]:
        """Canonical shape of the output: (Bc, Hq, Tq, Kv)."""
        return (*self.q_shape[:3], self.Kv)

    @property
    def bias_shape(self) -> tuple[int, int, int, int] | None:
        """Shape of the added tensor, 1 where it broadcasts."""
        bias = self.score.bias
        if bias is None:
            return None
        full = (self.B, self.Hq, self.Mq, self.Mkv)
        return tuple(  # type: ignore[return-value]
            n if has else 1 for n, has in zip(full, (bias.B, bias.H, bias.M, bias.N), strict=True)
        )

    @property
    def sequences(self) -> tuple[Sequence, ...]:
        """Where each sequence lies in the canonical tensors."""
        if self.lengths is None:
            return tuple(Sequence(b, 0, self.Mq, 0, self.Mkv, b) for b in range(self.B))
        found, q_start, kv_start = [], 0, 0
        for index, (mq, mkv) in enumerate(zip(self.lengths.q, self.lengths.kv, strict=True)):
            if self.lengths.storage == "padded":
                found.append(Sequence(index, 0, mq, 0, mkv, index))
                continue
            found.append(Sequence(0, q_start, mq, kv_start, mkv, index))
            q_start += mq
            kv_start += mkv if self.lengths.storage == "packed" else self.Mkv
        return tuple(found)

    def edit(self, **changes: Any) -> Case:
        """The same case with some fields changed."""
        return replace(self, **changes)

    @property
    def id(self) -> str:
        """Twelve hex digits that depend on the recipe alone: not on the machine, nor on `name`."""
        recipe = encode(self)
        del recipe["name"]
        if (
            not self.module
        ):  # so that ids of plain calls are what they were before there were layers
            del recipe["module"]
        canonical = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """One line that names the case: `B2 H8/2 M512x1024 K64 bfloat16 causal(align=top-left)`."""
        heads = f"H{self.Hq}" if self.Hq == self.Hkv else f"H{self.Hq}/{self.Hkv}"
        length = f"M{self.Mq}" if self.Mq == self.Mkv else f"M{self.Mq}x{self.Mkv}"
        dim = f"K{self.K}" if self.Kv == self.K else f"K{self.K}/{self.Kv}"
        extras = [
            self.mask.text if not self.mask.is_none else "",
            f"scale={self.score.scale:g}" if self.score.scale is not None else "",
            f"softcap={self.score.softcap:g}" if self.score.softcap is not None else "",
            "alibi" if self.score.alibi else "",
            ("mask" if self.score.bias.forbids else "bias")
            + f"[{self.score.bias.text}]"
            + ("+grad" if self.score.bias.requires_grad else "")
            if self.score.bias
            else "",
            f"lengths({self.lengths.storage})" if self.lengths else "",
            f"dropout={self.dropout_p:g}" if self.dropout_p else "",
            self.layout if self.layout != "BHMK" else "",
            self.mask_form if self.mask_form != "best" else "",
            self.passes if self.passes != "fwd+bwd" else "",
        ]
        head = f"B{self.B} {heads} {length} {dim} {self.dtype}"
        return " ".join(
            [*([self.module] if self.module else []), head, *(extra for extra in extras if extra)]
        )


_CHOICES: dict[str, tuple[str, ...]] = {
    "dtype": tuple(ELEMENT_BYTES),
    "layout": LAYOUTS,
    "family": FAMILIES,
    "mask_form": MASK_FORMS,
    "passes": get_args(Pass),
}
