"""``python -m brigade``; and, started as a file, the same from just where the file lies.

Children are started so (``run/child.py``). With ``-m`` the current folder would be the first place
to import from, and whatever ``brigade`` lies there would be loaded. As a file, this loads the
package that it lies in, and everything else from where the parent does.
"""

from __future__ import annotations

if not __package__:
    import json
    import os
    import sys
    from importlib.util import module_from_spec, spec_from_file_location
    from pathlib import Path

    sys.path[:] = json.loads(os.environ.pop("BRIGADE_IMPORT_PATH", json.dumps(sys.path)))
    here = spec_from_file_location("brigade", Path(__file__).absolute().with_name("__init__.py"))
    assert here is not None
    assert here.loader is not None
    sys.modules["brigade"] = module_from_spec(here)
    here.loader.exec_module(sys.modules["brigade"])

try:
    import os
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored, by nohup
        # As long as the command is loading, nothing has begun that could be undone.
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from brigade import cli
except KeyboardInterrupt:
    raise SystemExit(130) from None


# ---- pyproject.toml's commands -----------------------------------------------------------


def main() -> int:
    """``brigade``."""
    return cli.finish(cli.main())


def main_sim() -> int:
    """``brigade-sim``."""
    return cli.finish(cli.main_sim())


def main_learn() -> int:
    """``brigade-learn``."""
    return cli.finish(cli.main_learn())


if __name__ == "__main__":
    raise SystemExit(main())
