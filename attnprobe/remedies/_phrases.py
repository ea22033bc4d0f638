"""What the words of a refusal or an exception mean, and what to do."""

from __future__ import annotations

import re

PHRASES: tuple[tuple[str, str], ...] = (
    # xformers@0.0.35:xformers/ops/fmha/common.py rejects every CUDA input once its _C.so did not load
    (
        r"xFormers wasn't build with CUDA support",
        "xFormers' own library did not load: install xformers for the CUDA version of this torch, or "
        "make the CUDA runtime that it needs loadable before importing it",
    ),
    # flash-attn-4 installs a package flash_attn that holds only `cute`; xformers@0.0.35:
    # xformers/ops/fmha/flash.py imports flash_attn.flash_attn_interface as soon as flash_attn is found
    (
        r"flash_attn\.flash_attn_interface",
        "flash-attn-4 alone has no flash_attn_interface: install flash-attn 2.7.1 to 2.8.4 beside it, "
        "or keep flash-attn-4 and xformers in separate environments",
    ),
    # xformers@0.0.35:xformers/ops/fmha/flash.py, FLASH_VER_MIN and FLASH_VER_LAST
    (
        r"Requires Flash-Attention version",
        "install a flash-attn inside the range it names, or set XFORMERS_IGNORE_FLASH_VERSION_CHECK=1 "
        "and check parity",
    ),
    # a beta of flash-attn-4 returns more values than torch 2.11's _fa4.py unpacks
    (
        r"too many values to unpack|not enough values to unpack",
        "torch and the flash-attention package disagree on a return value: call the package directly, "
        "or install the release that this torch was written for",
    ),
    (
        r"flash_attn_interface",
        "FlashAttention-3 (module flash_attn_interface) is not installed: take its wheel from PyTorch's "
        "wheel index or build flash-attention's hopper folder",
    ),
    (
        r"no kernel image is available",
        "the wheel holds no kernel for this GPU's compute capability: install one that lists it "
        "(torch.cuda.get_arch_list()), or build from source with TORCH_CUDA_ARCH_LIST",
    ),
    # flash-attention#1717, #1783
    (
        r"undefined symbol",
        "the extension was built for another torch or C++ ABI: install the wheel whose name matches "
        "this torch, CUDA and cxx11abi, or build it here with --no-build-isolation",
    ),
    (
        r"libcudart\.so\.\d+: cannot open shared object",
        "the extension wants another CUDA runtime: install the wheel for this torch's CUDA version, or "
        "that nvidia-cuda-runtime package and put its lib folder on LD_LIBRARY_PATH",
    ),
    (
        r"cannot open shared object file",
        "a shared library is missing: install the package that holds it and put its folder on "
        "LD_LIBRARY_PATH",
    ),
    (
        r"NVIDIA driver on your system is too old|driver version is insufficient",
        "update the NVIDIA driver, or install a torch built for the CUDA version it supports",
    ),
    (
        r"Found no NVIDIA driver",
        "install the NVIDIA driver, or start the container with its GPUs (--gpus all)",
    ),
    (
        r"too new\)|requires device with capability <=",
        "this kernel is capped below this GPU: use torch's scaled_dot_product_attention here",
    ),
    (r"requires device with capability >|too old\)", "this kernel needs a newer GPU"),
    # the shape of No module named 'triton', at the end: the more telling phrases come first
    (r"No module named 'triton'", "install triton (it comes with CUDA builds of torch on Linux)"),
)
"""(regular expression, fix). The first that matches wins; the comments name the source of the phrase."""


def fix_for(*texts: str) -> str:
    """The fix for the first known phrase in any of the texts; empty when none is known."""
    return next(
        (fix for phrase, fix in PHRASES for text in texts if re.search(phrase, text)),
        "",
    )
