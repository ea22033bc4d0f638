"""A captured script is the script: same numbers, output, exit code, exceptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from attnprobe.capture.load import load
from tests.capture.scripts import ENVIRONMENT, ROOT, bootstrapped, commanded, plain, write

TRAINING = """
    import sys
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    from torch.nn.functional import scaled_dot_product_attention as early

    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(32, 96), nn.Linear(32, 32)
            self.other = nn.MultiheadAttention(32, 4, dropout=0.1, batch_first=True)
            self.ff = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))

        def forward(self, x, mask):
            q, k, v = (t.unflatten(-1, (4, 8)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
            y = early(q, k, v, attn_mask=mask, dropout_p=0.1 if self.training else 0.0)
            x = x + self.out(y.transpose(1, 2).flatten(2))
            x = x + self.other(x, x, x, need_weights=False)[0]
            scores = (x @ x.transpose(-1, -2) / 6.0).masked_fill(~mask, float("-inf"))
            x = x + F.dropout(scores.softmax(-1), 0.1, self.training) @ x
            return x + self.ff(x)

    model = Block()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    mask = torch.ones(16, 16, dtype=torch.bool).tril()
    for step in range(12):
        loss = model(torch.randn(2, 16, 32), mask).pow(2).mean()
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        print(step, loss.item().hex())
    print([p.double().sum().item().hex() for p in model.parameters()])
    print(torch.rand(1).item().hex(), file=sys.stderr)
"""


@pytest.mark.parametrize("timing", [False, True])
def test_results_are_bit_identical(tmp_path: Path, timing: bool):
    """Losses, weights and the random state after twelve steps, with every kind of call and dropout."""
    captured = bootstrapped(tmp_path, TRAINING, timing=timing)
    alone = plain(tmp_path, "script.py")
    assert alone.returncode == captured.code == 0, captured.err
    assert captured.out == alone.stdout
    assert captured.err == alone.stderr
    assert captured.capture.gaps == ()


@pytest.mark.parametrize("ending", ["sys.exit(7)", "sys.exit('bad')", "raise SystemExit", "1"])
def test_the_exit_code_is_the_script_s(tmp_path: Path, ending: str):
    """However it exits."""
    text = f"import sys\nprint(sys.argv, __name__, __file__)\n{ending}\n"
    captured = bootstrapped(tmp_path, text, "--a", "b")
    alone = plain(tmp_path, "script.py", "--a", "b")
    assert (captured.code, captured.out, captured.err) == (
        alone.returncode,
        alone.stdout,
        alone.stderr,
    )


RAISING = """
    def inner():
        return {}["missing"]
    try:
        inner()
    except KeyError as error:
        raise ValueError("no such thing") from error
"""


def test_an_exception_looks_as_without_us(tmp_path: Path):
    """The whole traceback, its cause too, with no frame of ours."""
    captured = bootstrapped(tmp_path, RAISING)
    alone = plain(tmp_path, "script.py")
    assert (captured.code, captured.err) == (1, alone.stderr)
    assert captured.capture.ended == "ValueError"


def test_an_exception_of_an_attention_call_has_no_frame_of_ours(tmp_path: Path):
    """It goes through a wrapper."""
    text = """
    import torch
    x = torch.randn(1, 2, 3, 4)
    torch.nn.functional.scaled_dot_product_attention(x, x[..., :3], x)
    """
    captured = bootstrapped(tmp_path, text)
    assert captured.err == plain(tmp_path, "script.py").stderr
    assert captured.only("sdpa").notes == ("raised 1 times",)


def test_a_syntax_error_looks_as_without_us(tmp_path: Path):
    captured = bootstrapped(tmp_path, "x = (")
    assert captured.err == plain(tmp_path, "script.py").stderr


def test_a_package_runs_as_with_dash_m(tmp_path: Path):
    """Arguments, the name of the package, and the folder that imports come from."""
    package = tmp_path / "pack"
    package.mkdir()
    write(package, "import sys\nfrom . import part\nprint(sys.argv, __package__)", "__main__.py")
    write(package, "import torch; x = torch.ones(1, 1, 2, 4)\n", "__init__.py")
    write(
        package,
        """
        import pack, torch.nn.functional as F
        F.scaled_dot_product_attention(pack.x, pack.x, pack.x)
        """,
        "part.py",
    )
    captured = commanded(tmp_path, [], ["-m", "pack", "--lr", "1"])
    alone = plain(tmp_path, "-m", "pack", "--lr", "1")
    assert (captured.code, captured.out) == (0, alone.stdout)
    assert captured.capture.script == "-m pack"
    assert captured.only("sdpa").where == "pack/part.py:3"


def test_the_table_goes_to_stderr(tmp_path: Path):
    """Stdout is the script's alone; the command ends with what is useful next."""
    text = """
    import torch
    x = torch.randn(1, 2, 8, 4)
    torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
    print("mine")
    """
    write(tmp_path, text)
    captured = commanded(tmp_path, [], ["script.py"])
    assert captured.out == "mine\n"
    assert "causal(align=top-left)" in captured.err
    assert "attnprobe diagnose" in captured.err
    assert captured.capture.environment is not None
    assert captured.capture.environment.torch is not None
    ours = [line for line in captured.err.splitlines() if str(tmp_path) not in line]
    assert max(map(len, ours)) <= 100


def test_ctrl_c_reaches_the_script_and_what_was_seen_is_kept(tmp_path: Path):
    """The script's own handling runs; the command exits with 130, as shells say it."""
    text = """
    import time, torch
    x = torch.randn(1, 2, 8, 4)
    torch.nn.functional.scaled_dot_product_attention(x, x, x)
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
    """
    write(tmp_path, text)
    command = [sys.executable, "-m", "attnprobe", "capture", "-o", "c.json", "--", "script.py"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out == "cleaned up\n"
    assert process.returncode == 130
    assert "KeyboardInterrupt" in err
    assert "ended: SIGINT" in err


def test_a_killed_script_leaves_what_was_written_before(tmp_path: Path):
    """SIGKILL after some steps: the file is there, and says that it has no end."""
    text = """
    import os, signal, time, torch
    x = torch.randn(1, 2, 8, 4, requires_grad=True)
    optimizer = torch.optim.SGD([x], lr=0.1)
    for _ in range(15):
        torch.nn.functional.scaled_dot_product_attention(x, x, x).sum().backward()
        optimizer.step()
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    captured = bootstrapped(tmp_path, text)
    assert captured.code == -9
    assert captured.capture.ended == ""
    assert captured.only("sdpa").count >= 5


def test_a_killed_script_that_trains_nothing_leaves_its_calls(tmp_path: Path):
    """There are no steps to write after: calls are moments, too."""
    text = """
    import os, signal, time, torch
    x = torch.randn(1, 2, 8, 4)
    began = time.time()
    while time.time() - began < 2.0:
        torch.nn.functional.scaled_dot_product_attention(x, x, x)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    captured = bootstrapped(tmp_path, text)
    assert captured.code == -9
    assert captured.only("sdpa").count >= 256


def test_a_script_without_torch_never_imports_it(tmp_path: Path):
    """Nothing of ours does, either."""
    captured = bootstrapped(tmp_path, "import sys; print('torch' in sys.modules)")
    assert captured.out == "False\n"
    assert captured.capture.torch == ""


def test_variables_set_before_the_import_are_obeyed(tmp_path: Path):
    """A script that limits torch's threads before it imports it finds them limited."""
    text = "import os\nos.environ['OMP_NUM_THREADS'] = '2'\nimport torch\nprint(torch.get_num_threads())"
    assert bootstrapped(tmp_path, text).out == plain(tmp_path, "script.py").stdout == "2\n"


def test_stop_after_ends_the_script_and_steps_only_the_recording(tmp_path: Path):
    """`--stop-after 3` prints three steps; `--steps 3` all, and records three."""
    text = """
    import torch
    x = torch.randn(1, 2, 8, 4, requires_grad=True)
    optimizer = torch.optim.SGD([x], lr=0.1)
    for step in range(6):
        torch.nn.functional.scaled_dot_product_attention(x, x, x).sum().backward()
        optimizer.step()
        print(step)
    """
    stopped = bootstrapped(tmp_path, text, stop_after=3)
    assert (stopped.code, stopped.out) == (0, "0\n1\n")
    assert stopped.only("sdpa").count == 3
    recorded = bootstrapped(tmp_path, text, steps=3)
    assert recorded.out.endswith("5\n")
    assert (recorded.capture.steps, recorded.only("sdpa").count) == (3, 3)


def test_a_bug_of_ours_is_a_gap(tmp_path: Path):
    """The script goes on where a hook of ours raises at every call."""
    text = """
    import attnprobe.capture.targets.sdpa as target
    def broken(args, kwargs): raise RuntimeError("ours")
    target.read = broken
    import torch
    x = torch.randn(1, 2, 8, 4)
    print(torch.nn.functional.scaled_dot_product_attention(x, x, x).shape)
    """
    captured = bootstrapped(tmp_path, text)
    assert captured.code == 0
    (gap,) = captured.capture.gaps
    assert (gap.what, gap.why) == ("a call of sdpa", "RuntimeError: ours")


def test_nothing_of_the_script_s_arguments_or_home_is_kept(tmp_path: Path):
    """A secret on the command line and the folder's name are in no byte of the file."""
    text = """
    import torch
    x = torch.randn(1, 2, 8, 4)
    torch.nn.functional.scaled_dot_product_attention(x, x, x)
    """
    write(tmp_path, text)
    commanded(tmp_path, [], ["script.py", "--token", "hunter2secret"])
    kept = (tmp_path / "capture.json").read_text()
    assert "hunter2secret" not in kept
    assert str(tmp_path) not in kept
    assert str(ROOT) not in kept


def test_an_old_interpreter_is_told(tmp_path: Path):
    """The bootstrap compiles for Python 3.6: no syntax that it lacks."""
    import ast

    ast.parse((ROOT / "attnprobe/capture/bootstrap.py").read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("command", [["missing.py"], ["-m"], ["-X", "dev", "a.py"]])
def test_a_bad_command_is_said_in_a_sentence(tmp_path: Path, command: list[str]):
    """Exit code 2, no traceback."""
    done = plain(tmp_path, "-m", "attnprobe", "capture", "--", *command)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_it_takes_no_time_to_start() -> None:
    """Two imports of the driver in fresh processes: the better one below 0.3 s of CPU time."""
    code = "import time as t; a = t.process_time(); import attnprobe.capture.driver as _\n"
    code += "print(t.process_time() - a)"
    took = [float(plain(ROOT, "-c", code).stdout) for _ in range(2)]
    assert min(took) < 0.3


def test_processes_without_hooks_are_a_gap(tmp_path: Path):
    """A Python that the script starts, by itself or through multiprocessing; other commands are none."""
    text = """
    import multiprocessing, subprocess, sys
    if __name__ == "__main__":
        subprocess.run([sys.executable, "-c", "pass"])
        subprocess.run(["true"])
        process = multiprocessing.get_context("spawn").Process(target=print, args=("child",))
        process.start(); process.join()
    """
    captured = bootstrapped(tmp_path, text)
    assert captured.out == "child\n"
    (gap,) = captured.capture.gaps
    assert (gap.what, gap.times) == ("calls in Python processes that the script started", 2)


def test_ranks_write_files_of_their_own(tmp_path: Path):
    """Two ranks of DistributedDataParallel under torchrun; the table is told by the first alone."""
    text = """
    import torch, torch.distributed as dist, torch.nn as nn
    from torch.nn.parallel import DistributedDataParallel
    dist.init_process_group("gloo")
    torch.manual_seed(dist.get_rank())
    layer = nn.MultiheadAttention(16, 2, batch_first=True)
    model = DistributedDataParallel(layer)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        x = torch.randn(2, 8, 16)
        model(x, x, x, need_weights=False)[0].sum().backward()
        optimizer.step()
    dist.destroy_process_group()
    """
    write(tmp_path, text)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ours = ["-m", "attnprobe", "capture", "-o", "run.json", "--", "script.py"]
    done = plain(tmp_path, *launcher, "--no-python", sys.executable, *ours)
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        capture = load(tmp_path / f"run.rank{rank}.json")
        (call,) = capture.calls
        assert (capture.rank, capture.world_size, capture.steps) == (rank, 2, 3)
        assert (call.api, call.count, call.backward) == ("mha", 3, 3)
    assert done.stderr.count("Attention in script.py") == 1
