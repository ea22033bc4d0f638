"""One compiled graph: the attention calls in it, and what its runs say of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from attnprobe.capture import look, site
from attnprobe.capture.clock import count_backward
from attnprobe.capture.computed import Computed
from attnprobe.capture.derived import Underivable, derive
from attnprobe.capture.facts import autocast, hint, identity
from attnprobe.capture.hand_written import traced
from attnprobe.capture.later import in_backward
from attnprobe.capture.owners import OWNER
from attnprobe.capture.recorder import Recorder
from attnprobe.capture.reread import Reread
from attnprobe.capture.seen import Seen
from attnprobe.capture.site import origin_in
from attnprobe.capture.tally import Tally
from attnprobe.capture.targets import flex, mha, sdpa, varlen
from attnprobe.core.capture import CapturedMask

_READERS = {
    "scaled_dot_product_attention": ("sdpa", sdpa.read),
    "flex_attention": ("flex", flex.read_traced),
    "varlen_attn": ("varlen", varlen.read_traced),
    "_varlen_attn": ("varlen", varlen.read_traced),
    "multi_head_attention_forward": ("mha", mha.read_forward),
    "_native_multi_head_attention": ("mha-fast-path", mha.read_native),
    "_transformer_encoder_layer_fwd": ("encoder-fast-path", mha.read_layer),
}
"""By the name of a node's target, what it is and who reads its arguments."""


INSIDE = "made inside the compiled region"
UNTOLD = "its backend is not told from that of another call of its shape in the compiled region"


class Region:
    """A graph with attention in it.

    Attributes:
        tallies: Its calls, each with how often one run makes it.

    Args:
        gm: What dynamo traced.
        recorder: Whose tallies they are.
    """

    def __init__(self, gm: torch.fx.GraphModule, recorder: Recorder) -> None:
        self._recorder, self._runs = recorder, 0
        self.tallies: Counter[Tally] = Counter()
        self._masks: dict[Tally, int | torch.Tensor | Computed | Reread] = {}
        inputs = {n: i for i, n in enumerate(n for n in gm.graph.nodes if n.op == "placeholder")}
        casting = _Autocast()
        for node in gm.graph.nodes:
            casting.passes(node)
            reader = _READERS.get(_target(node))
            if reader is None:
                continue
            api, read = reader
            args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), _example)
            seen = read(args, kwargs)
            if seen is not None and isinstance(seen.q, torch.Tensor):
                tally = self._add(api, seen, node, casting.dtype)
                if tally is not None and seen.look is not None:
                    self._masks[tally] = Reread(gm, read, node, inputs, seen)
                elif tally is not None:
                    self._find_mask(gm, node, inputs, seen, tally)
        for found in traced.found_in(gm.graph):
            self._add_hand_written(gm, found)

    def _add_hand_written(self, gm: torch.fx.GraphModule, found: traced.Found) -> None:
        tally = self._add("hand-written", found.seen, found.node, _Autocast().dtype)
        if tally is not None:
            tally.steps = found.steps
            if found.masked and tally not in self._masks:
                self._derive(gm, tally, tuple(part.node for part in found.masked), found.masked)

    def _add(
        self, api: str, seen: Seen, node: torch.fx.Node, casting: torch.dtype | None
    ) -> Tally | None:
        where = origin_in(node.meta.get("stack_trace") or "", self._recorder.root)
        tensors = tuple(_numbers(identity(t)) for t in (seen.q, seen.k, seen.v, seen.mask))
        key = ("compiled", api, where, tensors, seen.flags, torch.is_grad_enabled(), casting)

        def made() -> Tally:
            tally = Tally(api, seen._replace(look=None), where, compiled=True)
            tally.autocast = casting
            return tally

        tally = self._recorder.tally(key, made)
        if tally is not None:
            self.tallies[tally] += 1
        return tally

    def _find_mask(
        self,
        gm: torch.fx.GraphModule,
        node: torch.fx.Node,
        inputs: dict[Any, int],
        seen: Seen,
        tally: Tally,
    ) -> None:
        """Where the mask will come from: an input of the graph, a constant in it, or a computation."""
        if seen.mask is None:
            return
        source = next((n for n in node.all_input_nodes if _example(n) is seen.mask), None)
        if source in inputs:
            self._masks[tally] = inputs[source]
        elif source is not None and source.op == "get_attr":
            self._masks[tally] = getattr(gm, str(source.target))
        elif source is not None:
            self._derive(gm, tally, (source,), ())

    def _derive(
        self,
        gm: torch.fx.GraphModule,
        tally: Tally,
        nodes: tuple[torch.fx.Node, ...],
        parts: tuple[traced.Part, ...],
    ) -> None:
        """The mask is computed in the graph; it can be computed again, or else it is not known."""
        try:
            self._masks[tally] = Computed(derive(gm, nodes), parts)
        except Underivable as error:
            if not tally.masks:
                tally.masks.append(CapturedMask("unknown", note=f"{INSIDE}: {error}"))

    def begins(self, args: tuple[Any, ...]) -> None:
        """It runs, with these inputs."""
        again = in_backward()
        self._runs += 1
        for tally, times in self.tallies.items():
            if again:
                tally.recomputed += times
                continue
            tally.count += times
            try:
                self._name(tally)
                self._look(tally, args)
            except Exception as error:  # noqa: BLE001 - the region has to run
                self._recorder.gap(f"mask of {tally.api} at {tally.where}", error)

    def _name(self, tally: Tally) -> None:
        """A library's function that was compiled by itself is called from where it runs."""
        if not tally.where:
            tally.origin = site.origin(site.place(), self._recorder.root, torch.nn.Module)

    def _look(self, tally: Tally, args: tuple[Any, ...]) -> None:
        mask: Any = self._masks.get(tally)
        if isinstance(mask, Reread):
            if look.due(self._runs, self._recorder):
                found = mask(args)
                tally.masks += [found] if found is not None else []
            return
        if isinstance(mask, Computed):
            if look.due(self._runs, self._recorder):
                sizes = (tensor.shape[-2] for tensor in tally.tensors[:2])
                found = look.recognised(mask(args), *sizes)
                tally.masks += [found] if found is not None else []
            return
        if tally.api == "flex":
            mask = flex.made_of(args)
        elif isinstance(mask, int):
            mask = args[mask]
        if mask is None:
            return
        tally.passed(mask)
        if not look.due(self._runs, self._recorder):
            return
        if tally.api == "flex":
            found = flex.written_out(mask)
        else:
            found = look.recognised(mask, *(tensor.shape[-2] for tensor in tally.tensors[:2]))
        if found is not None:
            tally.masks.append(found)

    def ended(self, out: Any) -> None:
        """It has run; its backward pass is one node."""
        self._recorder.called()
        outputs = out if isinstance(out, (tuple, list)) else (out,)
        node = next((t.grad_fn for t in outputs if isinstance(t, torch.Tensor) and t.grad_fn), None)
        for tally, times in self.tallies.items():
            for _ in range(times):
                count_backward(tally, node)
        if node is not None:
            node.metadata[OWNER] = self  # type: ignore[index] # typed as the method that it is not

    def chose(self, backend: str) -> None:
        """A library inside says which operator it took: of the calls here, it cannot say whose."""

    def ran(self, operator: str, arguments: tuple[Any, ...]) -> None:
        """An operator ran inside: it belongs to the call whose queries have its queries' shape."""
        shapes = {tuple(a.shape) for a in arguments[:3] if isinstance(a, torch.Tensor)}
        owners = [tally for tally in self.tallies if _heads_apart(tally) in shapes]
        if not owners and len(self.tallies) == 1:
            owners = list(self.tallies)
        for tally in owners:
            if len(owners) == 1:
                tally.kernels[operator] += 1
            elif UNTOLD not in tally.notes:
                tally.notes.append(UNTOLD)


def _heads_apart(tally: Tally) -> tuple[int, ...]:
    """The shape of the queries as a fused operator takes them, (B, H, M, K)."""
    shape, heads = tally.tensors[0].shape, tally.flags.heads[0]
    match tally.flags.layout:
        case "MBD" if len(shape) == 3:
            return (shape[1], heads, shape[0], shape[2] // heads)
        case "BMD" if len(shape) == 3:
            return (shape[0], heads, shape[1], shape[2] // heads)
    return shape


class _Autocast:
    """The dtype that autocast computes in at a node: as where the graph begins, or as entered inside."""

    def __init__(self) -> None:
        devices = ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",)
        found = [dtype for device in devices if (dtype := autocast(device)) is not None]
        self._entered: list[torch.dtype | None] = [found[0] if found else None]

    @property
    def dtype(self) -> torch.dtype | None:
        """None without autocast."""
        return self._entered[-1]

    def passes(self, node: torch.fx.Node) -> None:
        """A node in the order of the graph."""
        name = _target(node)
        if name == "_enter_autocast":
            device, dtype, enabled = node.args[:3]
            if enabled and dtype is None:
                dtype = torch.get_autocast_dtype(str(device))
            self._entered.append(dtype if enabled else None)  # type: ignore[arg-type] # a dtype
        elif name == "_exit_autocast" and len(self._entered) > 1:
            self._entered.pop()


def _target(node: torch.fx.Node) -> str:
    if node.op not in ("call_function", "call_method"):
        return ""
    return str(getattr(node.target, "__name__", node.target)).removesuffix(".default")


def _example(node: torch.fx.Node) -> Any:
    return node.meta.get("example_value")


def _numbers(found: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """Shapes and strides with the numbers that symbolic sizes had while tracing."""
    if found is None:
        return None
    return tuple(
        tuple(hint(n) for n in part) if isinstance(part, (tuple, torch.Size)) else part
        for part in found
    )
