"""Python programs that share nothing with this process."""

import multiprocessing
import subprocess
import sys
import warnings

_SERVER = multiprocessing.get_context(
    "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
)
_SERVER.set_forkserver_preload(["pandas", "scipy.optimize", "sklearn.metrics", "xgboost.sklearn", "lightgbm.sklearn"])


def run_in_new_process(code, *arguments):
    """Standard output of a program, in which a warning is an error."""
    return run_program("-W", "error", "-c", code, *arguments).stdout


def run_program(*arguments):
    """What a program that ends well within minutes has written."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def run_where_nothing_is_known(code, *arguments):
    """Run a program in a new process that has never seen this package, but those that it builds upon.

    They take seconds to import, so new processes are copies of one that has done that, and nothing else.
    """
    with _SERVER.Pool(1) as pool:
        pool.apply(_run, (code, [str(argument) for argument in arguments]))


def _run(code, arguments):
    assert "gbm_focal" not in sys.modules
    sys.argv[1:] = arguments
    warnings.simplefilter("error")
    exec(code, {"__name__": "__main__"})
