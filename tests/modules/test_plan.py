"""A workload with layers: who is asked about them, and what is said when one is wrong."""

from __future__ import annotations

from attnprobe import plan
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Parity
from attnprobe.core.report import Report
from attnprobe.core.trial import Record, Trial
from attnprobe.device import modules
from attnprobe.workload import parse

WORKLOAD = """
name: mixed
cases:
  - {name: layer, module: swiglu, B: 4, Hq: 4, Mq: 8, K: 16}
  - {name: call, B: 4, Hq: 4, Mq: 8, K: 16}
"""


def test_layers_are_asked_of_their_variants_and_calls_of_backends() -> None:
    """No backend is asked about a layer: it would only refuse."""
    trials = plan.trials(parse(WORKLOAD, "w.yaml").calls, ["eager", "njt"])
    asked = {name: [t.backend for t in trials if t.case.name == name] for name in ("layer", "call")}
    assert asked == {"layer": list(modules.variants("swiglu")), "call": ["eager", "njt"]}


def test_a_layer_and_its_attention_call_are_two_cases() -> None:
    """Their ids differ, and the label names the layer."""
    layer, call = parse(WORKLOAD, "w.yaml").cases
    assert layer.id != call.id
    assert layer.edit(module="").id == call.id
    assert layer.label.startswith("swiglu ")


def test_nobody_is_sent_for_a_script_of_a_layer() -> None:
    """The first wrong attention call is; a layer alone is not."""
    layer, call = parse(WORKLOAD, "w.yaml").cases
    wrong = Measured("", Parity("fail", "twice-plain"))
    records = [Record(Trial(layer, "packed"), wrong), Record(Trial(call, "eager"), wrong)]
    assert plan.to_reproduce(Report(records=tuple(records))) == records[1].trial.id
    assert plan.to_reproduce(Report(records=tuple(records[:1]))) == ""
