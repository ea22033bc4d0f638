"""What a script's attention calls were, as records: facts about tensors, never what is in them.

The JSON of a `Capture` is `jsonio.encode` of it. Paths are relative to the script, or shortened by
`core.paths.public`; the script's arguments are not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from attnprobe.core.environment import Environment
from attnprobe.core.mask import Mask

SCHEMA = "attnprobe-capture/1"

Layout = Literal["BHMK", "BMHK", "BMGHK", "MHK", "BMD", "MBD", "BMK"]
"""What the dims of q, k and v mean: heads before or after tokens (G: groups of them, xFormers), MHK for
packed rows (varlen), BMD and MBD (D = H * K) for layers that split the heads themselves, BMK where heads
are part of the batch, or where there are none and no batch either (two dims)."""

MaskKind = Literal[
    "none",
    "all-true",
    "causal",
    "window",
    "key-padding",
    "block-diagonal",
    "prefix",
    "chunked",
    "dilated",
    "sinks",
    "mixed",
    "arbitrary",
    "empty",
    "unknown",
]
"""Which pairs a mask allows, in one word. `none`: there is no mask; `all-true`: there is one, and it
forbids nothing; `mixed`: planes differ, and each has a word of its own; `empty`: it forbids everything;
`unknown`: nobody looked, and `note` says why."""

ZERO_AND_ONE = "holds 0 and 1 alone: a boolean mask passed as numbers forbids nothing"
"""What `note` says of a float mask that was meant to be a boolean one."""

ValuesKind = Literal["", "alibi", "relative", "dense"]
"""What a float mask adds where it allows: nothing, a slope along the keys, f(j - i), other."""


@dataclass(frozen=True)
class TensorFacts:
    """A tensor as a call received it.

    Args:
        shape: Its shape; for a nested tensor the padded one, (B, longest ...).
        stride: Its strides in elements; empty where it has none (nested).
        dtype: `float32`, `bfloat16` ...
        device: cpu or cuda.
        requires_grad: Whether its gradient is wanted.
        storage_offset_bytes: Address modulo 16 bytes; other than 0 it is unaligned for vector loads.
        kind: `Tensor`, `nested` (jagged or strided), or the name of its class.
        slots: Elements that its storage holds; more than the tensor has for a slice of a cache or
            of a packed projection.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str
    device: str = "cpu"
    requires_grad: bool = False
    storage_offset_bytes: int = 0
    kind: str = "Tensor"
    slots: int = 0


@dataclass(frozen=True)
class CapturedMask:
    """What a mask really is.

    Args:
        kind: Which pairs it allows, in one word.
        form: How it was passed: `flag` (is_causal), `bool`, `float32` ..., or a class name such as
            `LowerTriangularMask` and `BlockMask`.
        mask: The same pairs as a Mask where it has words for them; None where it has none. With
            `lengths`, the mask within the first so many keys of each sequence.
        shape: Shape of the tensor as passed; empty for flags.
        broadcast: The dims it really has, `1,1,M,N`: 1 where it is of size 1 or expanded (stride 0).
        lengths: Keys that each sequence really has (key padding, right side); empty where the mask
            says nothing about it. At most 512 are kept.
        padding_left: Masked keys before the first allowed one in each sequence, where that is where
            padding lies; empty without.
        queries: Queries that each sequence really has, where the others may attend no key; else empty.
        queries_before: The number of the first of them, where that is not 0 for all; else empty.
        documents: (first query, queries, first key, keys) of each document in each batch element, for
            sequences that lie one behind the other; `mask` holds within each of them.
        holes: Whether the keys that a sequence has do not follow each other; `lengths` counts them.
        parts: What the planes of a `mixed` mask are.
        fraction_masked: Share of pairs that are forbidden; None where nobody counted.
        empty_rows: Queries that may attend no key, summed over planes; None where nobody counted.
        has_nan: Whether a float mask holds NaN.
        forbidding: Least and largest value that forbids in a float mask: (-inf, -inf), (-1e9, -1e9);
            empty where none does.
        values: What a float mask adds where it allows.
        values_dims: The dims along which these values really differ, `1,H,M,N`; empty where they are
            all the same.
        slopes: Slopes per head of an ALiBi mask, as far as 64.
        requires_grad: Whether its gradient is wanted.
        exact: False when it was too large to be looked at as a whole and parts were sampled.
        times: How often it was seen, among those masks of its call that were looked at.
        note: What else a reader must know.
    """

    kind: MaskKind
    form: str = ""
    mask: Mask | None = None
    shape: tuple[int, ...] = ()
    broadcast: str = ""
    lengths: tuple[int, ...] = ()
    padding_left: tuple[int, ...] = ()
    queries: tuple[int, ...] = ()
    queries_before: tuple[int, ...] = ()
    documents: tuple[tuple[tuple[int, int, int, int], ...], ...] = ()
    holes: bool = False
    parts: tuple[str, ...] = ()
    fraction_masked: float | None = None
    empty_rows: int | None = None
    has_nan: bool = False
    forbidding: tuple[float, ...] = ()
    values: ValuesKind = ""
    values_dims: str = ""
    slopes: tuple[float, ...] = ()
    requires_grad: bool = False
    exact: bool = True
    times: int = 1
    note: str = ""


class Recognition(Protocol):
    """A mask that is being looked at; its small results may still be on their way from the device."""

    @property
    def ready(self) -> bool:
        """True when `read` makes nobody wait (always on a CPU)."""

    def read(self) -> CapturedMask:
        """The answer. May wait for the device; called at the end of a step or of the run."""


class Recogniser(Protocol):
    """`attnprobe.capture.recognise.recognise`: queues small reductions on the mask's own device.

    Called within the script's step, under `torch.no_grad` with capture paused and autocast off. It
    must draw no random number, keep no reference to `mask` after it returned (the script may write to
    it), and never wait for the device: no `.item()`, `.cpu()`, `bool(tensor)`, `nonzero`. It may raise;
    the caller records a gap.
    """

    def __call__(self, mask: Any, Mq: int, Mkv: int) -> Recognition:
        """Looks at a mask.

        Args:
            mask: A boolean tensor (True attends) or a float tensor that is added to the logits; its
                shape broadcasts to (B, Hq, Mq, Mkv), with up to 4 dims; or (B * H, Mq, Mkv).
            Mq: Queries of the call.
            Mkv: Keys of the call.
        """


@dataclass(frozen=True)
class Share:
    """Times of one direction of a call.

    Args:
        total_s: Seconds, summed over those that were timed.
        timed: How many were.
    """

    total_s: float
    timed: int

    @property
    def each_s(self) -> float:
        """Seconds of one."""
        return self.total_s / self.timed if self.timed else 0.0


@dataclass(frozen=True)
class Call:
    """Attention calls that are alike: same place, same shapes and strides, same flags.

    Args:
        api: `sdpa`, `mha`, `mha-fast-path`, `encoder-fast-path`, `flex`, `varlen`, `xformers`,
            `flash-attn-2`, `flash-attn-3`, `flash-attn-4`, `lucidrains`, `hand-written`.
        where: `file:line` of the innermost line outside of torch and of the attention library, the file
            relative to the script's folder or from site-packages on.
        count: Forward calls, without those that activation checkpointing made again.
        q: The queries.
        k: The keys.
        v: The values.
        layout: What their dims mean.
        heads: (Hq, Hkv), where the layout does not tell; (0, 0) otherwise.
        mask: What the mask is; None when there is none. The most frequent of those that were looked at.
        other_masks: Further ones that were passed at this place with these shapes.
        masks_made: Different mask tensors among those looked at: 1 is one mask for all calls.
        dropout_p: Dropout probability.
        scale: Softmax scale as given; None is the default, K ** -0.5.
        is_causal: The flag as given.
        enable_gqa: The flag as given.
        softcap: Limit of a soft cap on the logits; None without.
        grad_enabled: Whether autograd was recording.
        training: `training` of the nearest nn.Module on the stack; None where there is none.
        autocast: The dtype that autocast was computing in; empty without autocast.
        deterministic: Whether deterministic algorithms were asked for.
        compiled: Whether the call lies in a region that torch.compile compiled.
        caller: `file:line` of the innermost line of the script's own folder; empty when `where` is one.
        module: Class of the nearest nn.Module on the stack.
        function: Name of the function at `where`.
        backend: The backend that really ran (`sdpa-flash` ...), by its kernel; empty where that was not
            seen, and several joined by `+`.
        kernels: Operators that ran below the call, forward and backward, with the number of times that
            they could be seen to belong to it.
        recomputed: Forward calls that activation checkpointing made again, in the backward pass.
        backward: How often the backward pass went through it.
        seconds: Forward and backward time in all, where timed (`--timing`); None without.
        forward: Forward times.
        backward_times: Backward times.
        kept_bytes: Device memory that is held after the forward call and was not before, at its first
            call: output and what is kept for the backward pass. None on a CPU.
        peak_bytes: How far the first call moved the process's high-water mark of device memory above
            what was held before; None on a CPU, or when an earlier peak hides it.
        logit_range: Least and largest scaled logit in a sample of queries and keys, before the mask.
        lengths_q: Queries per sequence of packed or nested calls, of one call; at most 512.
        lengths_kv: Keys per sequence, likewise.
        queries_seen: Different numbers of queries at this place, when calls that differ in lengths
            alone were put together: (length, count), most frequent first.
        keys_seen: The same for keys.
        shared_storage: Whether q, k and v are views of one storage (a packed projection).
        softmax_dtype: For hand-written attention, the dtype of the softmax.
        steps: For hand-written attention, the operations between the two products, in order.
        notes: What else a reader must know.
    """

    api: str
    where: str
    count: int
    q: TensorFacts
    k: TensorFacts
    v: TensorFacts
    layout: Layout = "BHMK"
    heads: tuple[int, int] = (0, 0)
    mask: CapturedMask | None = None
    other_masks: tuple[CapturedMask, ...] = ()
    masks_made: int = 0
    dropout_p: float = 0.0
    scale: float | None = None
    is_causal: bool = False
    enable_gqa: bool = False
    softcap: float | None = None
    grad_enabled: bool = False
    training: bool | None = None
    autocast: str = ""
    deterministic: bool = False
    compiled: bool = False
    caller: str = ""
    module: str = ""
    function: str = ""
    backend: str = ""
    kernels: tuple[tuple[str, int], ...] = ()
    recomputed: int = 0
    backward: int = 0
    seconds: float | None = None
    forward: Share | None = None
    backward_times: Share | None = None
    kept_bytes: int | None = None
    peak_bytes: int | None = None
    logit_range: tuple[float, float] | None = None
    lengths_q: tuple[int, ...] = ()
    lengths_kv: tuple[int, ...] = ()
    queries_seen: tuple[tuple[int, int], ...] = ()
    keys_seen: tuple[tuple[int, int], ...] = ()
    shared_storage: bool = False
    softmax_dtype: str = ""
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gap:
    """Something that was not seen or not understood.

    Args:
        what: What is missing.
        why: The reason.
        times: How often.
    """

    what: str
    why: str
    times: int = 1


@dataclass(frozen=True)
class Capture:
    """One process of a script.

    Args:
        schema: Version of this form.
        script: The script's file name, or `-m package`; `notebook` for the context manager.
        calls: What was recorded, the most expensive or else most frequent first.
        gaps: What was not.
        steps: Optimizer steps seen while recording; 0 for a script that trains nothing.
        step_s: Median seconds from one optimizer step to the next; None with fewer than three.
        seconds: Wall time from the start of recording to its end.
        recompiles: How often torch.compile compiled a function again, by `file:line name`.
        timing: Whether forward and backward were timed.
        ended: How the script ended: `exit 0`, `SIGINT`, `ValueError`; empty while it runs (what is left
            of a script that was killed).
        python: Version of the script's interpreter.
        torch: Version of its torch; empty when it never imported one.
        rank: Rank under torchrun; None without.
        world_size: Number of ranks; 1 without.
        environment: The machine; None until the command line has asked.
        started: ISO 8601 time in UTC.
    """

    schema: str = SCHEMA
    script: str = ""
    calls: tuple[Call, ...] = ()
    gaps: tuple[Gap, ...] = ()
    steps: int = 0
    step_s: float | None = None
    seconds: float = 0.0
    recompiles: tuple[tuple[str, int], ...] = ()
    timing: bool = False
    ended: str = ""
    python: str = ""
    torch: str = ""
    rank: int | None = None
    world_size: int = 1
    environment: Environment | None = None
    started: str = ""
