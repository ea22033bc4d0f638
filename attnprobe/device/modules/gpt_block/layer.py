"""The small GPT and its training step; a variant is an attention backend and a form of SwiGLU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from attnprobe.core import cost
from attnprobe.core.case import Case, Pass
from attnprobe.device import backends
from attnprobe.device.backends.base import Backend, Gradients
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.modules.base import Body, Layer, LayerInputs, Tensors, by_pass, width
from attnprobe.device.modules.gpt_block import VARIANTS
from attnprobe.device.modules.gpt_block.attention import exchanged, written_out
from attnprobe.device.modules.rows import AsTheyAre
from attnprobe.device.training.model import Attention, FeedForward, Gpt, Packed, Separate
from attnprobe.device.training.task import VOCABULARY, Task

LAYERS = 3
FEED_FORWARDS: dict[str, FeedForward] = {"packed": Packed, "separate": Separate}
MOMENTS = 7
"""Float32 numbers per weight that AdamW moves: reads the weight, its gradient and two moments, writes
the weight and the moments."""


class GptStep(Layer):
    """Tokens (B, Mq) to the loss of each; the mean is what is trained on. Weights are float32."""

    notes = (
        "bwd_s, fwd_bwd_s: the AdamW update is part of them: fwd+bwd is a whole training step",
    )

    @property
    def bodies(self) -> Mapping[str, Callable[[LayerInputs], Body | Refusal]]:
        """`BACKEND+SWIGLU`."""
        return {name: partial(_body, name) for name in VARIANTS}

    def available(self, variant: str) -> None:
        """Imports the backend's package."""
        _backend(variant).available()

    def compiles(self, variant: str) -> bool:
        """Where attention is compiled."""
        return _backend(variant).compiles

    def kernels(self, variant: str) -> str:
        """The backend's."""
        return _backend(variant).kernels

    def problems(self, case: Case) -> tuple[str, ...]:
        """Causal, trained, sequences of one length, and a dtype that needs no loss scaling."""
        found = super().problems(case)
        if not case.mask.is_causal or case.Mq != case.Mkv or case.lengths is not None:
            found += ("the model attends causally over sequences of one length: mask causal",)
        if case.passes != "fwd+bwd":
            found += (f"a training step is fwd+bwd, not {case.passes}",)
        if case.dtype not in ("float32", "bfloat16"):
            found += (f"{case.dtype}: float16 needs a loss scaler; float32 or bfloat16 (autocast)",)
        return found

    def shapes(self, case: Case) -> dict[str, tuple[int, ...]]:
        """Of the parameters, gate and up apart."""
        return {
            name: tuple(p.shape) for name, p in _model(case, Separate, "meta").named_parameters()
        }

    def out_shape(self, case: Case) -> tuple[int, ...]:
        """(B, M)."""
        return (case.B, case.Mq)

    def make(self, case: Case) -> LayerInputs:
        """Torch's own first weights, a batch of the training task, and the gradient of a mean."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(case.seed)
            model = _model(case, Separate, "cpu")
        tensors = {name: p.detach().to(case.device) for name, p in model.named_parameters()}
        tokens, following = Task(case.B, case.Mq, case.seed, case.device).batch(0)
        out = torch.full(self.out_shape(case), 1.0 / (case.B * case.Mq), device=case.device)
        return LayerInputs(case, self, {**tensors, "tokens": tokens, "following": following}, out)

    def compute(self, case: Case, tensors: Tensors) -> Tensor:
        """Attention and SwiGLU written out; under autocast unless the tensors are float64."""
        weights = {name: t for name, t in tensors.items() if t.is_floating_point()}
        model = _model(case, Separate, "meta")

        def logits(tokens: Tensor) -> Tensor:
            found: Tensor = functional_call(model, weights, (tokens, written_out))
            return found

        exact = next(iter(weights.values())).dtype is torch.float64
        return _losses(logits, tensors["tokens"], tensors["following"], case, exact)

    def flops(self, case: Case) -> dict[Pass, int]:
        """Weights of matmuls times tokens, and the attended pairs of every block."""
        W = width(case)
        per_token = LAYERS * (4 + 3 * 2) * W * W + W * VOCABULARY
        attention = case.edit(module="", B=case.B * LAYERS)
        return by_pass(2 * case.B * case.Mq * per_token, attention)

    def activations(self, case: Case) -> int:
        """Per block some twenty tensors as wide as the model, and three score matrices."""
        tokens = case.B * case.Mq
        return LAYERS * (20 * tokens * width(case) + 3 * case.Hq * tokens * case.Mq)

    def terms(self, case: Case) -> int:
        """Tokens, or the outputs of the widest matmul."""
        return max(case.B * case.Mq, 4 * width(case), VOCABULARY)

    def demand(self, given: LayerInputs) -> cost.Demand:
        """Weights read once a pass, and the update; activations between blocks count as nothing."""
        weights = sum(t.numel() for t in given.tensors.values() if t.is_floating_point()) * 4
        fwd, bwd = weights, (2 + MOMENTS) * weights
        moved: dict[Pass, int] = {"fwd": fwd, "bwd": bwd, "fwd+bwd": fwd + bwd}
        return cost.Demand(self.flops(given.case), moved, weights)


def _backend(variant: str) -> Backend:
    return backends.load(variant.partition("+")[0])


def _model(case: Case, feed_forward: FeedForward, device: str) -> Gpt:
    with torch.device(device):
        return Gpt(case.Hq, case.K, case.Mq, VOCABULARY, LAYERS, feed_forward)


def _losses(
    logits: Callable[[Tensor], Tensor], tokens: Tensor, following: Tensor, case: Case, exact: bool
) -> Tensor:
    """(B, M) cross entropies."""
    dtype = getattr(torch, case.dtype)
    mixed = not exact and dtype is not torch.float32
    with torch.autocast(tokens.device.type, dtype if mixed else torch.bfloat16, enabled=mixed):
        found = logits(tokens).flatten(0, 1)
    found = found if exact else found.float()
    return cross_entropy(found, following.flatten(), reduction="none").view(tokens.shape)


def _body(variant: str, given: LayerInputs) -> Body | Refusal:
    backend, _, swiglu = variant.partition("+")
    attend = exchanged(backend, given.case)
    if isinstance(attend, Refusal):
        return attend
    model = _model(given.case, FEED_FORWARDS[swiglu], "meta")
    leaves: Tensors = {}
    for name in list(dict(model.named_parameters())):
        halves = (name.replace("gate_and_up", half) for half in ("gate", "up"))
        canonical = "+".join(dict.fromkeys(halves))
        joined = torch.cat([given.tensors[part] for part in canonical.split("+")])
        leaves[canonical] = _replace(model, name, joined)  # a copy: it will be trained
    step = _Step(model, attend.attention, given)
    said = f"{attend.form}, SwiGLU {swiglu}, AdamW"
    autocast = "" if given.case.dtype == "float32" else f", autocast to {given.case.dtype}"
    return Body(
        step.losses,
        leaves,
        AsTheyAre(),
        said + autocast,
        around=attend.around,
        differentiate=step.update,
    )


def _replace(model: nn.Module, name: str, value: Tensor) -> nn.Parameter:
    """A parameter put in the place of one without data."""
    owner, _, attribute = name.rpartition(".")
    parameter = nn.Parameter(value)
    setattr(model.get_submodule(owner), attribute, parameter)
    return parameter


class _Step:
    """One training step in two halves.

    The optimizer holds aliases of the weights: an update of the weights themselves would spoil every
    other forward that still waits for its backward, and a timing of many backwards in a row has those.

    Args:
        model: The model, its weights in place.
        attention: How it attends.
        given: The batch.
    """

    def __init__(self, model: Gpt, attention: Attention, given: LayerInputs) -> None:
        self._model, self._attention, self._given = model, attention, given
        self._aliases = [nn.Parameter(weight.data) for weight in model.parameters()]
        self._optimizer = torch.optim.AdamW(self._aliases)

    def losses(self, *weights: Tensor) -> Tensor:
        """Forward; the weights are the model's own."""
        tokens, following = (self._given.tensors[name] for name in ("tokens", "following"))
        logits = partial(self._model, attention=self._attention)
        return _losses(logits, tokens, following, self._given.case, exact=False)

    def update(self, losses: Tensor, weights: Sequence[Tensor], dout: Tensor) -> Gradients:
        """Backward and the optimizer's step; the gradients that it stepped along."""
        torch.autograd.backward(losses, dout)
        found = tuple(weight.grad for weight in weights)
        for alias, weight in zip(self._aliases, self._model.parameters(), strict=True):
            alias.grad, weight.grad = weight.grad, None
        self._optimizer.step()
        self._optimizer.zero_grad()
        return found


LAYER = GptStep()
