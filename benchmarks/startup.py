"""Start-up and memory on MNIST: python benchmarks/startup.py.

The time of `nbconv --help`; the time from the start of the process to the first mini-batch, with an
empty and a filled cache of compiled kernels; the peak resident set size of a training on MNIST
(needs NBCONV_DATA or MNIST in the cache).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from compare import RESULTS, environment, write

NETWORKS = ["784-30-10", "conv", "conv-conv-relu"]
FIRST = """
import sys
from nbconv.runs import run as runs
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
from nbconv.runs import run as runs
from pathlib import Path
settings = {"data": "mnist", "net": "conv-conv-relu", "epochs": 1}
settings["expand"] = sys.argv[1] == "expand"
runs.begin(settings, Path("run.h5")).go()
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def python(*arguments: str, folder: str, cache: str | None = None) -> tuple[float, str]:
    """(seconds, standard output) of a Python process. cache: the folder for compiled kernels."""
    environment = {**os.environ}
    if cache:
        environment["NUMBA_CACHE_DIR"] = cache
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr.strip().splitlines()[-1])
    return time.perf_counter() - started, done.stdout


def main() -> None:
    """Measure, print the results and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="append", help=f"default: {NETWORKS}")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "startup.json")
    options = parser.parse_args()
    results: dict[str, Any] = {"first_mini_batch_seconds": {}, "peak_mebibytes": {}}
    with tempfile.TemporaryDirectory() as folder:
        # Stop now if MNIST is not available.
        python("-c", "import nbconv; nbconv.load_data('mnist')", folder=folder)
        times = [python("-m", "nbconv", "--help", folder=folder)[0] for _ in range(options.repeats)]
        results["help_seconds"] = statistics.median(times)
        print(f"nbconv --help: {results['help_seconds']:.2f} s")
        for net in options.network or NETWORKS:
            cache = str(Path(folder) / f"cache-{net}")
            cold, *times = [
                python("-c", FIRST, net, "mnist", folder=folder, cache=cache)[0]
                for _ in range(1 + options.repeats)
            ]
            warm = statistics.median(times)
            results["first_mini_batch_seconds"][net] = {"cold": cold, "warm": warm}
            print(
                f"first mini-batch of {net}: empty cache {cold:.1f} s, filled cache {warm:.2f} s",
                flush=True,
            )
        for kind in ("plain", "expand"):
            peak = float(python("-c", PEAK, kind, folder=folder)[1])
            results["peak_mebibytes"][kind] = peak
            print(f"peak memory, conv-conv-relu on MNIST, {kind}: {peak:.0f} MiB", flush=True)
    threads = len(os.sched_getaffinity(0))
    write(options.out, {"environment": environment(threads), **results})


if __name__ == "__main__":
    main()
