"""Where the tiles' results are gathered, in canonical shapes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attnprobe.device.inputs import Inputs
from attnprobe.device.numerics.formats import FLUSH, Format
from attnprobe.device.reference.forward import Forward
from attnprobe.device.reference.record import Moments, Reference
from attnprobe.device.reference.regions import Region
from attnprobe.device.reference.sums import Sums
from attnprobe.device.reference.weights import Tiles

LARGE_BYTES = 512 * 2**20
"""Key-side moments beyond which bfloat16 keeps them: its 8 bits are enough for a bound."""


class Store:
    """Truth in float64, moments in float32; a tensor is made when its first part arrives.

    Large cases keep moments in bfloat16 and treat all errors of stored scores as shared by rows, which
    is looser but safe: 131,072 keys of 8 heads then fit in 2 GiB beside inputs and truth.

    Args:
        inputs: The case's tensors.
        index: Positions of the queries that are held; None for all.
        kinds: How many arithmetics there are.
        form: Format of the case's dtype.
    """

    def __init__(self, inputs: Inputs, index: Tensor | None, kinds: int, form: Format) -> None:
        self.inputs, self.case, self.index = inputs, inputs.case, index
        self.kinds, self.form = kinds, form
        Bc, Hq, Tq, _ = self.case.q_shape
        held = Tq if index is None else len(index)
        self._rows = (Bc, Hq, held)
        self._keys = self.case.k_shape[:3]
        key_elements = self._keys[0] * self._keys[1] * self._keys[2] * (self.case.K + self.case.Kv)
        self._large = (
            40 * key_elements > LARGE_BYTES
        )  # ten moments of 4 bytes for each of dk and dv
        self._found: dict[str, dict[str, Tensor]] = {}
        self.dbias = Sums()
        self._next = 0
        self._attended = torch.zeros(self._keys, dtype=torch.bool, device=inputs.q.device)
        self._compared = torch.zeros((Bc, 1, held), dtype=torch.bool, device=inputs.q.device)
        self._has_keys = torch.zeros(self._rows, dtype=torch.bool, device=inputs.q.device)

    def place(self, region: Region, rows: int) -> slice:
        """Where a region's queries are held."""
        start = region.q.start
        if self.index is not None:
            start = 0 if self.case.storage == "padded" else self._next
            self._next += rows
        there = slice(start, start + rows)
        self._compared[region.batch, :, there] = True
        return there

    def attended(self, region: Region, j: slice, keep: Tensor | None) -> None:
        """Marks keys of a tile that some query attends."""
        part = self._attended[region.batch, :, region.kv][:, :, j]
        if keep is None:
            part |= True
            return
        any_row = keep.any(2)
        heads = any_row.shape[1]
        if heads > 1:
            any_row = any_row.reshape(any_row.shape[0], part.shape[1], -1, any_row.shape[2]).any(2)
        part |= any_row

    def attend(
        self,
        work: Tiles,
        queries: list[slice],
        keys: list[slice],
        masked: Callable[[int, slice], bool],
    ) -> None:
        """The same for a case without backward."""
        for j in keys:
            for n, i in enumerate(queries):
                if not masked(n, j):
                    keep = work.logits(i, j)[1].keep
                    self.attended(work.scores.region, j, keep)

    def forward(self, region: Region, there: slice, found: Forward) -> None:
        """Output and log-sum-exp of some queries."""
        self._has_keys[region.batch, :, there] = found.has_keys
        parts = {
            "truth": found.out,
            "squares": found.squares.sqrt(),
            "worst": found.worst,
            **{f"systematic {a}": x for a, x in enumerate(found.out_systematic)},
        }
        if found.rho is not None and found.rho_normalised is not None:
            parts |= {"rho": found.rho, "rho_normalised": found.rho_normalised}
        if found.floor is not None and found.floor_normalised is not None:
            parts["floor"] = found.floor.sqrt()
            parts["floor_normalised"] = found.floor_normalised.sqrt()
        if found.stored is not None:
            parts["unfused"] = found.stored.sqrt()
        if found.chunked is not None:
            parts["chunked"] = found.chunked.sqrt()
        if found.rho_chunked is not None:
            parts["rho_chunked"] = found.rho_chunked
        self.queries("out", region, there, parts)
        lse = {"truth": found.lse}
        lse |= {f"systematic {a}": x for a, x in enumerate(found.lse_systematic)}
        if found.lse_stored is not None:
            lse["unfused"] = found.lse_stored.sqrt()
        if found.lse_chunked is not None:
            lse["chunked"] = found.lse_chunked.sqrt()
        self.queries("lse", region, there, lse)

    def queries(self, name: str, region: Region, there: slice, parts: dict[str, Tensor]) -> None:
        """One quantity of some queries."""
        self._write(name, self._rows, (region.batch, slice(None), there), parts)

    def keys(self, name: str, region: Region, j: slice, parts: dict[str, Tensor]) -> None:
        """One quantity of some keys."""
        for name_of in ("unfused", "chunked"):
            if self._large and name_of in parts:
                own = parts.pop(name_of)
                shared = parts.pop(f"{name_of}_common", own.new_zeros(()))
                parts[f"{name_of}_common"] = torch.hypot(own, shared)
        start = region.kv.start
        there = slice(start + j.start, start + j.stop)
        self._write(name, self._keys, (region.batch, slice(None), there), parts)

    def _write(
        self,
        name: str,
        shape: tuple[int, ...],
        there: tuple[slice, slice, slice],
        parts: dict[str, Tensor],
    ) -> None:
        found = self._found.setdefault(name, {})
        for part, x in parts.items():
            if part not in found:
                small = torch.bfloat16 if self._large else torch.float32
                dtype = torch.float64 if part == "truth" else small
                fill = -torch.inf if (name, part) == ("lse", "truth") else 0.0
                found[part] = x.new_full((*shape, *x.shape[3:]), fill, dtype=dtype)
            found[part][there] = x.to(found[part].dtype)

    def reference(self, level: float) -> Reference:
        """Everything gathered; quantities that no region touched are zero."""
        case, grads = self.case, self.case.grads if self.case.wants_backward else ()
        if case.wants_bias_grad:
            bias = {n: x if n == "truth" else _root(n, x) for n, x in self.dbias.items()}
            self._found["dbias"] = bias
        wanted = {"out": (*self._rows, case.Kv), "lse": self._rows}
        wanted |= {"dq": (*self._rows, case.K)} if "q" in grads else {}
        wanted |= {"dk": case.k_shape} if "k" in grads else {}
        wanted |= {"dv": case.v_shape} if "v" in grads else {}
        if case.wants_bias_grad and case.bias_shape is not None:
            wanted["dbias"] = case.bias_shape
        truth: dict[str, Tensor] = {}
        moments: dict[str, Moments] = {}
        for name, shape in wanted.items():
            found = self._found.get(name, {})
            fill = -torch.inf if name == "lse" else 0.0
            if "truth" not in found:  # no region touched it; made only then, they may be gigabytes
                untouched = self.inputs.q.new_full(shape, fill, dtype=torch.float64)
                nothing = torch.zeros_like(untouched, dtype=torch.float32)
                found = {"truth": untouched} | {
                    f"systematic {a}": nothing for a in range(self.kinds)
                }
            truth[name] = found.pop("truth")
            systematic = tuple(found.pop(f"systematic {a}") for a in range(self.kinds))
            moments[name] = Moments(systematic, flush=self._flush(name), **found)
        return Reference(
            out=truth["out"],
            lse=truth["lse"],
            dq=truth.get("dq"),
            dk=truth.get("dk"),
            dv=truth.get("dv"),
            dbias=truth.get("dbias"),
            index=self.index,
            compared=self._compared,
            has_keys=self._has_keys,
            attended=self._attended,
            level=level,
            moments=moments,
        )

    def _flush(self, name: str) -> float:
        """Every factor below the smallest normal float32 is lost: as many as are summed, at worst."""
        case = self.case

        def largest(x: Tensor) -> float:
            return float(x.abs().max()) if x.numel() else 0.0

        v, g = largest(self.inputs.v), largest(self.inputs.dout)
        W = 1.0 + 2.0 * case.Kv * g * v
        match name:
            case "out":
                return FLUSH * case.Mkv * v
            case "lse":
                return FLUSH * case.Mkv
            case "dq":
                return FLUSH * case.Mkv * abs(case.scale) * largest(self.inputs.k) * W
            case "dk":
                count = case.groups * case.Mq
                return FLUSH * count * abs(case.scale) * largest(self.inputs.q) * W
            case "dv":
                return FLUSH * case.groups * case.Mq * g
        return FLUSH * case.B * case.Hq * case.Mq * case.Mkv * W


def _root(name: str, x: Tensor) -> Tensor:
    return (x if name.startswith("systematic") else x.sqrt()).float()
