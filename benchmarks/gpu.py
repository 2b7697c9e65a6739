"""Everything that needs a machine with an NVIDIA GPU, in independent parts: make gpu.

Each part is a separate process, so that a failure does not affect the others. Its results are
written to gpu.json, which keeps those of other parts and of earlier runs, and all results as text
to gpu.txt. Needs numba, numba-cuda, numpy, h5py, click and pytest; torch for the comparison; MNIST
in $NBCONV_DATA for the accuracies, which otherwise are those of the embedded digits.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PACKAGES = ("numba", "numba-cuda", "numpy", "cuda-bindings", "cuda-core", "torch", "nbconv")
MINI_BATCHES = (10, 64, 256, 1024)
REPEATS = 5
SECONDS = 0.1  # that are timed, at least
OUTPUT_LENGTH = 6000  # characters of a process's output in the results, the last ones
# Settings of nbconv train, and the test accuracy in % that the CPU reaches (docs/results.md).
ACCURACIES = {
    "784-30-10": ({"net": "784-30-10", "epochs": 30, "eta": 0.1, "lmbda": 5.0}, 96.0),
    "conv": ({"net": "conv", "epochs": 30}, 98.6),
    "conv-conv": ({"net": "conv-conv-relu", "epochs": 20}, 98.9),
    "dropout": ({"net": "dropout", "epochs": 8, "expand": False}, 98.6),
}
Part = Callable[[], dict[str, Any]]


def output_of(*command: str | Path, seconds: float = 240, **variables: str) -> tuple[int, str]:
    """(exit code, output) of a process; the exit code is -1 if it does not start or times out.

    variables: for its environment.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=HERE.parent,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    except OSError as error:
        return -1, str(error)
    try:
        text = process.communicate(timeout=seconds)[0]
        return process.returncode, text
    except subprocess.TimeoutExpired:
        # Its children, too, which would disturb the next part.
        os.killpg(process.pid, signal.SIGKILL)
        return -1, process.communicate()[0] + "\nstopped: out of time"


def lay_out() -> None:
    """Copy the checkout as it is when installed, first on the module path of all parts."""
    tree = HERE.parent / "build" / "gpu"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(HERE.parent / "nbconv", tree / "nbconv")
    for folder in ("kernels", "cli"):
        shutil.copytree(HERE.parent / folder, tree / "nbconv" / folder)
    if path := os.environ.get("PYTHONPATH"):
        os.environ["PYTHONPATH"] = os.pathsep.join([str(tree), path])
    else:
        os.environ["PYTHONPATH"] = str(tree)


def has_mnist() -> bool:
    """Whether there is a folder with MNIST; it is not downloaded."""
    return bool(os.environ.get("NBCONV_DATA"))


# The parts


def machine() -> dict[str, Any]:
    """The GPU and the versions of the packages."""
    from nbconv import doctor

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    query = "--query-gpu=name,memory.total,driver_version,clocks.max.sm,clocks.max.mem"
    return {
        "nvidia-smi": output_of("nvidia-smi", query, "--format=csv,noheader")[1].strip(),
        "cuda": dict(doctor.report())["cuda"],
        "python": platform.python_version(),
        "versions": versions,
    }


def kernels() -> dict[str, Any]:
    """Every kernel test and the tests of the whole backend, on the device."""
    tests = [str(path) for path in sorted((HERE.parent / "tests").glob("test_kernels_*.py"))]
    pytest = (sys.executable, "-m", "pytest", "-W", "ignore", "-p", "no:cacheprovider")
    options = ("-q", "-k", "cuda", "--durations=5")
    variables = {"NBCONV_TEST_BACKENDS": "cuda", "PYTHONSAFEPATH": "1"}
    code, text = output_of(
        *pytest, *options, *tests, "tests/test_cuda.py", seconds=280, **variables
    )
    return {"passed": code == 0, "output": text[-OUTPUT_LENGTH:]}


def parity() -> dict[str, Any]:
    """Each layer of the benchmark networks on the CPU and on the device, compared."""
    from networks import NETWORKS, PIXELS, is_dense

    from nbconv import Network, notation
    from nbconv.diagnostics import parity as check

    worst = {}
    for name, described in NETWORKS.items():
        for dtype, images in (("float32", 10), ("float32", 256), ("float64", 10)):
            layers = notation.parse(*described)
            shape = None if is_dense(name) else PIXELS
            pair = [
                Network(layers, shape, backend=backend, dtype=dtype) for backend in ("cpu", "cuda")
            ]
            results = check.compare(*pair, images)
            largest = max(results, key=lambda result: result.relative)
            passed = largest.relative <= check.BOUNDS[dtype]
            worst[f"{name} {dtype} {images}"] = {**vars(largest), "passed": passed}
    return {"passed": all(each["passed"] for each in worst.values()), "worst": worst}


def sanitizer() -> dict[str, Any]:
    """Three mini-batches with each kind of layer, under compute-sanitizer."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return {"passed": None, "output": "compute-sanitizer is not on the path"}
    results: dict[str, Any] = {}
    for check in ("memcheck", "racecheck"):
        options = ["--tool", check, "--error-exitcode", "9", "--print-limit", "20"]
        if check == "memcheck":
            # nbconv asks the driver for functions that it may lack.
            options += ["--report-api-errors", "no"]
        program = (sys.executable, Path(__file__), "--run", "every_kind")
        code, text = output_of(tool, *options, *program, seconds=110)
        results[check] = {"passed": code == 0, "output": text[-2500:]}
    return {"passed": all(each["passed"] for each in results.values()), **results}


def every_kind() -> dict[str, Any]:
    """The program for the sanitizer."""
    import numpy as np

    from nbconv import Dataset, Network
    from nbconv.diagnostics import gradcheck

    random = np.random.default_rng(0)
    for layers, shape, cost in gradcheck.CASES.values():
        network = Network(layers, shape, cost=cost, backend="cuda")
        data = Dataset(random.random((12, *shape)), random.integers(0, network.classes, 12))
        network.fit(data, 1, 4, 0.1, momentum=0.9)
        network.evaluate(data)
    return {"passed": True}


def accuracy() -> dict[str, Any]:
    """The test accuracies of the benchmark networks."""
    import tempfile

    from nbconv.runs import run as runs

    results = {}
    for name, (options, expected) in ACCURACIES.items():
        settings = {**options, "data": "mnist"}
        if not has_mnist():
            settings["data"] = "digits"
            settings["net"] = "64-30-10" if name == "784-30-10" else "12C3-MP2-50N-10N"
        with tempfile.TemporaryDirectory() as folder:
            run = runs.begin(settings, Path(folder) / "run.h5", "cuda")
            history = run.go()
            best = run.network.state.best
        assert best is not None
        results[name] = {
            "data": settings["data"],
            "epochs": len(history["cost"]),
            "test": 100 * best.test_accuracy,
            "validation": 100 * best.validation_accuracy,
            "expected": expected if has_mnist() else None,
            "seconds_per_epoch": statistics.median(history["seconds"]),
        }
    passed = None
    if has_mnist():
        passed = all(each["test"] >= each["expected"] for each in results.values())
    return {"passed": passed, "networks": results}


def timings() -> dict[str, Any]:
    """Microseconds per mini-batch, interleaved with PyTorch on the same card."""
    from gpu_engines import Nbconv, Torch
    from networks import NETWORKS

    makers: dict[str, Callable[[str, int], Any]] = {"nbconv": Nbconv}
    try:
        import torch

        makers |= {
            "eager": lambda *what: Torch(*what, False),
            "graph": lambda *what: Torch(*what, True),
        }
        flags = {
            "matmul": torch.backends.cuda.matmul.allow_tf32,
            "convolutions": torch.backends.cudnn.allow_tf32,
        }
    except ImportError:
        flags = {}
    results = [
        timed(makers, network, mini_batch) for network in NETWORKS for mini_batch in MINI_BATCHES
    ]
    return {
        "passed": all(not row["errors"] for row in results),
        "tf32_of_torch": flags,
        "results": results,
    }


def timed(
    makers: dict[str, Callable[[str, int], Any]], network: str, mini_batch: int
) -> dict[str, Any]:
    """The median and the range of each engine's microseconds per mini-batch, and its errors."""
    errors: dict[str, str] = {}
    engines: dict[str, Any] = {}
    for name, make in makers.items():
        with recorded(errors, name):
            engines[name] = make(network, mini_batch)
            for _ in range(4):  # compiles, and captures graphs for all alternating addresses
                engines[name].milliseconds(64)
    counts = {}
    for name, engine in engines.items():
        with recorded(errors, name):
            milliseconds = engine.milliseconds(64) / 64
            counts[name] = max(64, min(4096, int(1000 * SECONDS / milliseconds) // 32 * 32))
            for _ in range(2):  # more mini-batches may need larger buffers
                engine.milliseconds(counts[name])
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(REPEATS):
        for name, count in counts.items():
            with recorded(errors, name):
                times[name].append(1000 * engines[name].milliseconds(count) / count)
    times = {name: values for name, values in times.items() if values}
    return {
        "network": network,
        "mini_batch": mini_batch,
        "microseconds": {name: statistics.median(values) for name, values in times.items()},
        "errors": errors,
        "spread": {name: [min(values), max(values)] for name, values in times.items()},
    }


@contextmanager
def recorded(errors: dict[str, str], name: str) -> Iterator[None]:
    """Record an exception in `errors` instead of raising it."""
    try:
        yield
    except Exception as error:  # an engine's failure is a result
        errors[name] = f"{type(error).__name__}: {error}"[:500]


PARTS: dict[str, Part] = {
    part.__name__: part for part in (machine, kernels, parity, sanitizer, timings, accuracy)
}


# All parts


def text_of(results: dict[str, Any]) -> Iterator[str]:
    """The results as lines of text."""
    for name, result in results.items():
        mark = {True: "passed", False: "FAILED", None: ""}[result.get("passed")]
        yield f"\n== {name} {mark} ({result.get('seconds', 0):.0f} s)"
        if "error" in result:
            yield result["error"]
        for row in result.get("results", []):
            times = row["microseconds"]
            ours = times.get("nbconv", float("nan"))
            cells = [f"{peer} {time:9.1f} ({time / ours:5.2f})" for peer, time in times.items()]
            label = f"{row['network']:10} {row['mini_batch']:5}"
            yield f"{label}  {'  '.join(cells)}  {row['errors'] or ''}".rstrip()
        for key, value in {**result.get("worst", {}), **result.get("networks", {})}.items():
            yield f"{key:24} {json.dumps(value)}"
        for key in ("nvidia-smi", "cuda", "versions", "output"):
            if key in result:
                yield f"{result[key]}".strip()
        for check in ("memcheck", "racecheck"):
            if check in result:
                yield f"{check}: {result[check]['output'].strip()}"


def main() -> None:
    """Run the chosen parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--part", default=",".join(PARTS), help=f"of {', '.join(PARTS)}; several with commas"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="a folder, instead of benchmarks/results"
    )
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        part = every_kind if options.run == "every_kind" else PARTS[options.run]
        print("\n" + json.dumps(part()))
        return
    if unknown := set(options.part.split(",")) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; expected {', '.join(PARTS)}")
    lay_out()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "gpu.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in options.part.split(","):
        print(f"{name} ...", flush=True)
        started = time.perf_counter()
        code, output = output_of(sys.executable, Path(__file__), "--run", name, seconds=300)
        documents = [line for line in output.splitlines() if line.startswith("{")]
        try:
            results[name] = json.loads(documents[-1])
        except (IndexError, json.JSONDecodeError):
            error = f"exit code {code}\n{output[-OUTPUT_LENGTH:]}"
            results[name] = {"passed": False, "error": error}
        results[name]["seconds"] = time.perf_counter() - started
        results[name]["when"] = time.strftime("%Y-%m-%d %H:%M")
        file.write_text(json.dumps(results, indent=1) + "\n")
        text = "\n".join(text_of(results)).strip() + "\n"
        (options.out / "gpu.txt").write_text(text)
    print(text)
    sys.exit(any(results[name].get("passed") is False for name in options.part.split(",")))


if __name__ == "__main__":
    main()
