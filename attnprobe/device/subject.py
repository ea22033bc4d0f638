"""One backend as an experiment sees it: any tensors in, canonical tensors out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch

from attnprobe.core.case import Case
from attnprobe.core.outcome import Refused
from attnprobe.core.parity import Failure
from attnprobe.device import functions, remembered, settings
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.launch import Launched, launch
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.reference import Reference

NO_KERNEL = re.compile(
    r"No (available kernel|viable backend|operator found)|not implemented for '|no kernel image|"
    r"does not support inputs|(forward|backward) unsupported|NotImplementedError: |"
    r"only supports? (Ampere|Hopper|Blackwell|head dim)|compute capability"
)
"""Errors in which a library says that it has no kernel for the call: SDPA, xFormers,
ATen's dtype dispatch, the CUDA runtime (a GPU that is not in a wheel's arch list) and flash-attn."""

INPLACE = re.compile(r"in-?place operation")
"""autograd's words when an input that it needs was written to."""


class Declined(Exception):
    """The backend does not take these inputs.

    Args:
        refused: By whom and why.
    """

    def __init__(self, refused: Refused) -> None:
        super().__init__("; ".join(refused.reasons))
        self.refused = refused


class Malformed(Exception):
    """What came back is no output of attention at all, or the graph behind it is spoiled.

    Args:
        failure: What it is instead.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True)
class Subject:
    """A backend and the inputs of one case.

    Args:
        backend: Who is examined.
        inputs: The case and the tensors that its recipe gives.
        announce: Called with "backward" when that begins.
    """

    backend: Backend
    inputs: Inputs
    announce: Callable[[str], None] = lambda phase: None

    @property
    def case(self) -> Case:
        """The case of `inputs`."""
        return self.inputs.case

    @property
    def contract(self) -> str:
        """The numerics contract that the backend is held to."""
        return self.backend.contract(self.case)

    @property
    def truth(self) -> Reference:
        """The reference of the case; without dropout."""
        return remembered.truth(self.case)

    def prepare(self, inputs: Inputs | None = None) -> Prepared:
        """Ready to launch, on the case's own inputs or on others.

        Raises:
            Declined: No way to say this case to the library, or it says no.
        """
        prepared = self.backend.prepare(self.inputs if inputs is None else inputs)
        if isinstance(prepared, Refusal):
            raise Declined(Refused(prepared.by, prepared.reasons, prepared.fix))
        return prepared

    def launch(self, prepared: Prepared, inputs: Inputs | None = None) -> Launched:
        """Forward and, where the case asks for it, backward; to be called inside `prepared.around()`.

        Dropout draws from the case's seed.

        Raises:
            Declined: The library has no kernel for the call.
            Malformed: No output came back, or torch's settings were changed; they are set back.
            Exception: Whatever else the library raises.
        """
        inputs = self.inputs if inputs is None else inputs
        if inputs.case.dropout_p:
            torch.manual_seed(inputs.case.seed)
        before, known = settings.now(), functions.now()
        try:
            launched = launch(prepared, inputs, self.announce)
        except (RuntimeError, ValueError, AssertionError) as error:
            if isinstance(error, NotImplementedError) or NO_KERNEL.search(str(error)):
                said = str(error) or type(error).__name__
                raise Declined(Refused("library", (said,))) from error
            if not INPLACE.search(str(error)):
                raise
            said = f"an input was written to: {error}"
            raise Malformed(Failure("inplace", said)) from error
        finally:
            changed = settings.restore(before)
            replaced = functions.restore(known)
        if isinstance(launched, Failure):
            raise Malformed(launched)
        if changed:
            said = f"the call changed settings of the whole process: {', '.join(changed)}"
            raise Malformed(Failure("global_state", said))
        if replaced:
            said = f"the call replaced functions of torch: {', '.join(replaced)}"
            raise Malformed(Failure("global_state", said))
        return launched

    def run(self, inputs: Inputs | None = None) -> Outputs:
        """Prepares and launches; the tensors of `inputs` are left as they are.

        Args:
            inputs: The case's own where None. Tensors and case may both differ from them.

        Raises:
            Declined: The backend does not take them.
            Malformed: No output came back.
            Exception: Whatever else the library raises.
        """
        prepared = self.prepare(inputs)
        with prepared.around():
            return self.launch(prepared, inputs).outputs
