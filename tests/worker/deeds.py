"""What a backend may do to its process: the entry that tests give to real children.

The deed is the trial's backend. Standard library only, except where torch is the deed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata

from attnprobe.core.outcome import Measured, Outcome, Raised, Refused
from attnprobe.core.trial import Trial

HOST_ONLY = ("pydantic", "typer", "rich", "jinja2", "yaml", "pynvml", "pytest", "numpy", "tests")


def answer(trial: Trial, announce: Callable[[str], None]) -> Outcome:
    announce("forward")
    match trial.backend:
        case "refuse":
            return Refused("attnprobe", ("because",))
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "sys.exit":
            sys.exit(3)
        case "os._exit":
            os._exit(7)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(1e6)
        case "spin":
            while True:
                pass
        case "stubborn":
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
                signal.signal(number, signal.SIG_IGN)
            time.sleep(1e6)
        case "exhaust":
            held = [bytes(1 << 26) for _ in range(64)]  # 4 GiB, never touched
            return Measured(str(len(held)))
        case "exhaust-torch":
            import torch

            return Measured(str(torch.empty(1 << 32, dtype=torch.uint8).shape))
        case "raise":
            raise ValueError("wrong \x1b[31mhead\x1b[0m count")
        case "interrupt":
            raise KeyboardInterrupt
        case "unprintable":
            raise _Unprintable
        case "none":
            return None  # type: ignore[return-value] # the deed is to answer nothing
        case "print":
            print("x" * 5_000_000)
            os.write(2, b"\xff\n" * 1000)
        case "fork":
            os.fork()
            return Measured("twice")
        case "babble":
            while True:
                os.write(1, b"and on and on\n" * 1000)
        case "daemon":
            subprocess.Popen(["sleep", "1000"])
            os._exit(9)
        case "leave-a-fork":
            if os.fork() == 0:
                time.sleep(1000)
            os._exit(9)
        case "close":
            os.closerange(3, 256)
            time.sleep(1e6)
        case "scribble":
            for descriptor in range(3, 64):
                try:
                    os.write(descriptor, b"nonsense\n")
                except OSError:
                    continue
        case "torch":
            import torch

            return Measured(torch.__version__)
        case "sticky":
            return Raised("forward", "AcceleratorError", "illegal memory access", sticky=True)
        case "slow":
            with open(os.environ["ATTNPROBE_TEST_TALLY"], "a") as tally:
                tally.write(f"{trial.id}\n")
            time.sleep(0.05)
        case "packages":
            return Measured(" ".join(sorted(d.name for d in metadata.distributions())))
        case "importable":
            return Measured(" ".join(n for n in HOST_ONLY if importlib.util.find_spec(n)))
        case "variable":
            return Measured(os.environ.get("ATTNPROBE_TEST_VARIABLE", ""))
        case "threads":
            return Measured(str(len(os.listdir(f"/proc/{os.getppid()}/task"))))
        case "parent":
            return Measured(str(os.getppid()))
        case "nvml":
            return Measured(os.environ.get("PYTORCH_NVML_BASED_CUDA_CHECK", "unset"))
        case backend if backend.startswith("poison"):
            globals()["poisoned"] = True
        case "victim" if globals().get("poisoned"):
            os.abort()
    return Measured("said")


class _Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError
