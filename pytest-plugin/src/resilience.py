"""The guide's names in the team's own interpreter; where the whole runbook is installed as well, that one is loaded instead.

A package `resilience/` beside this file wins by itself, in whatever order the two were installed. One further down on
sys.path, as of an editable installation, is looked for here.
"""

import importlib.util
import os
import sys


def _whole():
    """Return the file of the whole runbook's own package of this name, or None."""
    for folder in sys.path:
        file = os.path.join(folder or os.getcwd(), "resilience", "__init__.py")
        if os.path.isfile(file) and os.path.isdir(os.path.join(os.path.dirname(file), "suite")):
            return file
    return None


_file = _whole()
if _file is not None:
    _spec = importlib.util.spec_from_file_location(
        "resilience", _file, submodule_search_locations=[os.path.dirname(_file)]
    )
    _module = importlib.util.module_from_spec(_spec)
    # Whoever imports this name gets what stands in sys.modules when this file has been run.
    sys.modules["resilience"] = _module
    _spec.loader.exec_module(_module)
else:
    from resilience_light import *  # noqa: F403
    from resilience_light import __all__  # noqa: F401
