"""Start-up and memory: python benchmarks/startup.py.

The time of `nbconv --help`, the time from the process's start to the first mini-batch with an empty and a warm cache of
compiled kernels, and the peak resident set of a training on MNIST (needs NBCONV_DATA or MNIST in the cache).
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIRST = """
import sys, time
from nbconv import runs
from pathlib import Path
class Enough(Exception): pass
def stop(done, total): raise Enough
run = runs.begin({"net": sys.argv[1], "data": sys.argv[2]}, Path("run.h5"))
try:
    run.go(progress=stop)
except Enough:
    print("done")
"""
PEAK = """
import re, sys
from nbconv import runs
from pathlib import Path
settings = {"data": "mnist", "net": "conv-conv-relu", "epochs": 1, "expand": sys.argv[1] == "expand"}
runs.begin(settings, Path("run.h5")).go()
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def python(*arguments: str, folder: str, cache: str | None = None) -> tuple[float, str]:
    """(seconds, standard output) of a Python process."""
    environment = {**os.environ, **({"NUMBA_CACHE_DIR": cache} if cache else {})}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return time.perf_counter() - begun, done.stdout


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = [python("-m", "nbconv", "--help", folder=folder)[0] for _ in range(9)]
        print(f"nbconv --help: {statistics.median(seconds):.2f} s")
        for net, data in (("784-30-10", "mnist"), ("conv", "mnist"), ("conv-conv-relu", "mnist")):
            cache = str(Path(folder) / f"cache-{net}")
            cold = python("-c", FIRST, net, data, folder=folder, cache=cache)[0]
            warm = [python("-c", FIRST, net, data, folder=folder, cache=cache)[0] for _ in range(5)]
            print(
                f"first mini-batch of {net}: empty cache {cold:.1f} s, warm {statistics.median(warm):.2f} s", flush=True
            )
        for kind in ("plain", "expand"):
            print(
                f"peak memory, conv-conv-relu on MNIST, {kind}: {float(python('-c', PEAK, kind, folder=folder)[1]):.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
