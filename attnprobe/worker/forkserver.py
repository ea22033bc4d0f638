"""Imports torch once and then forks a fresh child in milliseconds whenever the host asks for one.

Ours rather than multiprocessing's, because it runs in a foreign interpreter, hands every child its own
pipes, and must leave nothing behind when the host is killed.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any

from attnprobe.worker.child import serve
from attnprobe.worker.confine import die_with_parent, show_stacks
from attnprobe.worker.preload import preload
from attnprobe.worker.wire import send


def main(told: Mapping[str, Any]) -> None:
    """Serves the host on the socket `told["answers"]` until it closes.

    The host sends one JSON object at a time and waits for its reply:
    `{"do": "fork", "threads"}` with three descriptors (requests, answers, log) -> `{"forked": pid}`;
    `{"do": "end", "pid", "within_s"}` -> `{"ended": exit code}`, negative for a signal.
    """
    control = socket.socket(fileno=told["answers"])
    show_stacks()
    die_with_parent(signal.SIGKILL, told["host"])  # while an import may hang
    if told["preload"]:
        send(control.fileno(), {"loaded": preload(told["entry"])})
    gc.freeze()  # what is imported is shared with every child, and no child's collection walks it
    children: set[int] = set()

    def leave(*_: object) -> None:
        for pid in children:
            kill_group(pid)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    die_with_parent(signal.SIGTERM, told["host"])  # from now on it can take its children along
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 4096, 3)
        if not data:
            leave()
        request = json.loads(data)
        if request["do"] == "fork":
            pid = _fork({**told, "threads": request["threads"]}, control, descriptors)
            children.add(pid)
            send(control.fileno(), {"forked": pid})
        else:
            code = end(request["pid"], request["within_s"])
            children.discard(request["pid"])
            send(control.fileno(), {"ended": code})


def _fork(told: Mapping[str, Any], control: socket.socket, descriptors: list[int]) -> int:
    requests, answers, log = descriptors
    sys.stdout.flush()
    sys.stderr.flush()
    server = os.getpid()
    pid = os.fork()
    if pid:
        for descriptor in descriptors:
            os.close(descriptor)
        return pid
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    control.close()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    try:
        serve(told, requests, answers, server)
    except BaseException:  # noqa: BLE001 - the child must not go on as a second server
        traceback.print_exc()
    os._exit(1)


def end(pid: int, within_s: float) -> int:
    """Waits for a child to end, kills it and its process group after `within_s`, and reaps it.

    Returns:
        Its exit code; the negative signal number when a signal ended it.
    """
    deadline = time.monotonic() + within_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended or time.monotonic() >= deadline:
            break
        time.sleep(0.001)
    kill_group(pid)  # what a trial started ends with it
    if not ended:
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def kill_group(pid: int) -> None:
    """SIGKILL to the child and to everything that it started."""
    for kill in (os.kill, os.killpg):  # there is no group before the child's setsid
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
