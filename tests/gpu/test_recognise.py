"""Masks on a GPU: the same answers as on the CPU, and nobody waits for them."""

from __future__ import annotations

import pytest
import torch

from attnprobe.capture.recognise import Recogniser
from tests.capture.test_recognise_random import draw

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_the_answers_are_those_of_the_cpu():
    """300 random masks: every field of the record is the same."""
    for seed in range(300):
        drawn = draw(seed)
        here = Recogniser()(drawn.tensor, drawn.Mq, drawn.Mkv).read()
        there = Recogniser()(drawn.tensor.cuda(), drawn.Mq, drawn.Mkv).read()
        assert there == here, seed


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.bfloat16])
def test_queueing_waits_for_nobody(dtype: torch.dtype):
    """Torch's own watch for synchronisation raises at none of the operators."""
    looking = Recogniser()
    mask = torch.ones(2, 1, 256, 256, device="cuda").tril().to(dtype)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        torch.cuda._sleep(200_000_000)  # a tenth of a second: the device is behind
        recognition = looking(mask, 256, 256)
        assert not recognition.ready
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert recognition.read().kind == ("causal" if dtype == torch.bool else "all-true")
    assert recognition.ready


def test_a_recorded_graph_does_not_repeat_the_look():
    """While a CUDA graph is recorded nothing is queued, and that is said."""
    mask, graph = torch.ones(8, 8, dtype=torch.bool, device="cuda"), torch.cuda.CUDAGraph()
    looking = Recogniser()
    with torch.cuda.graph(graph):
        recognition = looking(mask, 8, 8)
    assert "CUDA graph" in recognition.read().note


def test_a_mask_that_is_written_to_afterwards_was_seen_as_it_was():
    """The look is queued before what the script does next."""
    mask = torch.ones(64, 64, dtype=torch.bool, device="cuda").tril()
    torch.cuda._sleep(200_000_000)
    recognition = Recogniser()(mask, 64, 64)
    mask.fill_(True)
    assert recognition.read().kind == "causal"
