"""The first file that runs in the diagnosed interpreter: makes attnprobe, and nothing else, importable.

It is run by path, so that an interpreter of any age can read it and say how old it is: hence no
annotations and no f-strings. The package is loaded from its folder by hand; neither that folder's
parent (where the host's other packages lie) nor the caller's directory goes on the path.
"""

import os
import sys

if __name__ == "__main__":
    _here = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry or os.curdir) != _here]

    import json

    _told = json.loads(sys.argv.pop())
    _python = ".".join(str(part) for part in sys.version_info[:3])
    _hello = {"hello": {"python": _python, "executable": sys.executable}}
    os.write(_told["answers"], (json.dumps(_hello) + "\n").encode())
    if sys.version_info < (3, 10):  # noqa: UP036 - here the interpreter may be older than ours
        sys.exit(0)

    import importlib.util

    _package = os.path.dirname(_here)
    _spec = importlib.util.spec_from_file_location(
        "attnprobe", os.path.join(_package, "__init__.py"), submodule_search_locations=[_package]
    )
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["attnprobe"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["attnprobe"])
    importlib.import_module(_told["main"]).main(_told)
