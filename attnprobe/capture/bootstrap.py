"""The first file that runs in the script's interpreter: makes attnprobe importable, starts the driver.

It is run by path, so that an interpreter of any age can read it and say how old it is: hence no
annotations and no f-strings. As in `worker/bootstrap.py`, the package is loaded from its folder by
hand; neither that folder's parent nor this one goes on the path.
"""

import os
import sys

if __name__ == "__main__":
    if sys.version_info < (3, 10):  # noqa: UP036 - here the interpreter may be older than ours
        sys.exit("error: attnprobe capture needs Python 3.10 or newer in the script's environment")

    import importlib.util
    import json

    _package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    _spec = importlib.util.spec_from_file_location(
        "attnprobe", os.path.join(_package, "__init__.py"), submodule_search_locations=[_package]
    )
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["attnprobe"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["attnprobe"])
    _told = json.loads(sys.argv[1])
    del sys.argv[:2]
    importlib.import_module("attnprobe.capture.driver").main(_told)
