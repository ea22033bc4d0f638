"""SDPA's flash kernel replaced by FlashAttention 3 or 4 through torch's registry, for a case at a time.

`activate_flash_attention_impl` overrides aten's CUDA flash operators for the whole process, so it is
undone when the case is done. A name in the registry says nothing of what is installed.
Source: torch@2.13.0:torch/nn/attention/{_registry,_fa3,_fa4}.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _sdpa
from attnprobe.device.backends._claim import installed
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal


class RegisteredFlash(Backend):
    """SDPA with another flash implementation.

    Args:
        name: Backend name.
        implementation: Its name in torch's registry.
        package: Distribution that holds it.
        module: What torch imports when it is activated.
        kernels: See `Backend`.
    """

    def __init__(
        self, name: str, implementation: str, package: str, module: str, kernels: str
    ) -> None:
        self.name, self.package, self.kernels = name, package, kernels
        self._implementation, self._module = implementation, module

    def available(self) -> None:
        """Imports what the activation would import.

        Raises:
            NotImplementedError: This torch has no registry, or it lacks the name.
        """
        importlib.import_module(self._module)
        if self._implementation not in registered():
            raise NotImplementedError(f"this torch knows no flash {self._implementation}")

    def claim(self) -> Claim:
        """What the registry lists, whether or not the package is there."""
        names = registered()
        says = f"registered: {', '.join(names)}" if names else "this torch has no flash registry"
        source = "torch.nn.attention.list_flash_attention_impls()"
        there, version = self._implementation in names, installed(self.package)
        return Claim(there, says, source, version, package=self.package)

    def contract(self, case: Case) -> str:
        """What a fused kernel on tensor cores may round."""
        return "fused_tc"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """As the flash kernel, activated for as long as the case lasts."""
        if inputs.case.device == "cpu":
            reason = f"{self._implementation} replaces the CUDA kernels of the flash operators only"
            return Refusal((reason,), by="library")
        return _sdpa.prepare(inputs, self._activated, self._refusals, kernel="FLASH_ATTENTION")

    def _refusals(self, leaves: _sdpa.Leaves, arguments: _sdpa.Arguments) -> tuple[str, ...]:
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):
            return _sdpa.refusals("FLASH_ATTENTION", leaves, arguments)

    @contextmanager
    def _activated(self) -> Iterator[None]:
        before = nn.attention.current_flash_attention_impl()
        nn.attention.activate_flash_attention_impl(self._implementation)
        try:
            with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):
                yield
        finally:
            nn.attention.restore_flash_attention_impl()
            if before is not None:
                nn.attention.activate_flash_attention_impl(before)


def registered() -> tuple[str, ...]:
    """Names in torch's registry; empty where there is none (before torch 2.11 it cannot be undone)."""
    if not hasattr(nn.attention, "restore_flash_attention_impl"):
        return ()
    return tuple(nn.attention.list_flash_attention_impls())
