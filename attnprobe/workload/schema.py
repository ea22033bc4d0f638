"""The JSON Schema of a workload file, for editors that complete and check YAML."""

from __future__ import annotations

from typing import Any

from pydantic import create_model

from attnprobe.workload.spec import CaseSpec, FileSpec


def json_schema() -> dict[str, Any]:
    """What `FileSpec` says, with `defaults` and `cases` as what they are: `CaseSpec`.

    (`FileSpec` itself leaves them open, so that the reader can report every mistake in every case.)
    """
    whole = create_model(
        "Workload",
        __base__=FileSpec,
        defaults=(CaseSpec, FileSpec.model_fields["defaults"]),
        cases=(list[CaseSpec], FileSpec.model_fields["cases"]),
    )
    return whole.model_json_schema() | {"title": "attnprobe workload"}
