"""Compile every CUDA kernel for GPUs that need not be there.

python tests/ptx.py shows what each takes, as a table. Exit code 1 if one spills registers or keeps
anything in local memory. --json ARCHITECTURE ... gives that of these architectures as JSON.

The launches come from planning networks that between them need every kernel, with the host's arrays
in the place of the device's; nothing is launched. A kernel is compiled by numba-cuda for each kind
of arguments that it was given, and assembled by NVIDIA's linker, whose log has the registers, the
shared memory, the stack and the spills. Neither needs a driver.
"""

import gc
import json
import os
import re
import subprocess
import sys
import types

import numpy as np
from cuda.core import Linker, LinkerOptions, ObjectCode
from nbconv.kernels import cuda as kernels
from nbconv.kernels import reference
from nbconv.kernels.cuda import device
from numba import cuda
from numba.cuda import compiler, dispatcher

import nbconv
from nbconv import AvgPool2D, BatchNorm, Conv2D, Dense, L2Pool2D, MaxPool2D, Softmax
from nbconv.engine.plan import Descent
from nbconv.layers import Distortion, Randomness, Rates

ARCHITECTURES = ("75", "80", "90", "100")
FIGURES = {
    "registers": r"Used (\d+) registers",
    "stack": r"(\d+) bytes stack frame",
    "stores": r"(\d+) bytes spill stores",
    "loads": r"(\d+) bytes spill loads",
}
LAYERS = {
    "maxima": [
        Conv2D(5, 3, padding=1), MaxPool2D(2), Conv2D(5, (3, 16)), MaxPool2D(2),
        Dense(600, dropout=0.5), Softmax(3),
    ],
    "pools": [
        Conv2D(5, 3, stride=2), L2Pool2D(2), Conv2D(6, 3, padding=1), BatchNorm(), AvgPool2D(2),
        MaxPool2D(2, 1), Dense(5), BatchNorm(), Softmax(3),
    ],
    "cross-entropy": [Dense(700), Dense(700)],
    "quadratic": [Dense(700), Dense(3)],
}  # fmt: skip


def launches():
    """(kernel, types of its arguments) for all that a training of these networks launches."""
    found = {}

    def note(kernel, grid, block, arguments):
        signature = tuple(kernel.typeof_pyval(one) for one in arguments)
        found.setdefault((kernel, signature))

    def no_program(calls, varying):
        for kernel, arguments in reference.Program(calls).calls:
            kernel(*arguments)
        return lambda *_: None

    device.run, device.empty, device.memory = note, np.empty, lambda: (2**40, 2**40)
    device.put = lambda array, values: np.copyto(array, values)
    device.fetch = np.copy
    kernels.Program, kernels.upload = no_program, np.copy
    nbconv.Network.__init__.__globals__["backends"].select = lambda name: ("cuda", kernels)
    for dtype in ("float32", "float64"):
        for name, layers in LAYERS.items():
            cost = name if name in ("cross-entropy", "quadratic") else None
            network = nbconv.Network(layers, (2, 44, 44), cost=cost, dtype=dtype)
            data = nbconv.Dataset(np.zeros((64, 2, 44, 44), np.uint8), np.zeros(64, int))
            for optimiser in ("plain", "sgd", "adam"):
                order, rates = np.arange(64)[None], np.array([Rates(0.1)])
                distortion = (
                    Distortion(0.0, 0.0, 1.0, 0.0, 0.5, 1.0) if optimiser == "sgd" else None
                )
                descent = Descent(optimiser, is_clipped=optimiser == "adam")
                network.engine.descend(
                    data, order, Randomness(0, 0), rates, descent, distortion=distortion
                )
            network.evaluate(data)
            network.predict_proba(data.images[:3].astype(dtype))
        kernels.add(*np.zeros((2, 9), dtype))
    return list(found)


def report(architectures=ARCHITECTURES):
    """What each kernel takes, by architecture."""
    # numba-cuda compiles a kernel to LLVM's language once; NVVM and the linker take that to each
    # architecture. The text of the PTX is the same as from a compilation for it alone.
    gc.disable()  # it would walk through what Numba builds, again and again
    cc = 7, 5
    dispatcher.get_current_device = lambda: types.SimpleNamespace(compute_capability=cc)
    found = {architecture: [] for architecture in architectures}
    for kernel, signature in launches():
        function = kernel.py_func
        library, _ = compiler._compile_pyfunc_with_fixup(
            function, signature, device=False, abi="numba", cc=cc
        )
        is_double = any(getattr(one, "dtype", None) == cuda.types.float64 for one in signature[:1])
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        described = {"kernel": name, "dtype": "float64" if is_double else "float32"}
        for architecture in architectures:
            (code,) = library.get_asm_strs(cc=(int(architecture[:-1]), int(architecture[-1])))
            found[architecture].append(described | assembled(code, architecture))
    return found


def assembled(code, architecture):
    """What NVIDIA's linker says of a kernel's PTX."""
    options = LinkerOptions(arch=f"sm_{architecture}", ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ptx(code.encode()), options=options)
    linker.link("cubin")
    log = linker.get_info_log()
    shared = sum(map(int, re.findall(r"\.shared .*\[(\d+)\]", code)))
    return {"shared": shared} | {
        name: int(re.search(pattern, log)[1]) for name, pattern in FIGURES.items()
    }


def reports(architectures):
    """`report` by a process of its own, whose nbconv plans for GPUs that are not there."""
    environment = {
        name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"
    }
    done = subprocess.run(
        [sys.executable, __file__, "--json", *architectures],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def spills(kernel):
    """Bytes outside registers and shared memory."""
    return kernel["stack"] + kernel["stores"] + kernel["loads"]


def table(found):
    """Registers by architecture, shared memory and what is spilled, a line for each kernel."""
    rows = {}
    for architecture, described in found.items():
        for kernel in described:
            row = rows.setdefault((kernel["kernel"], kernel["dtype"]), {"shared": 0, "spilled": 0})
            row[architecture] = max(row.get(architecture, 0), kernel["registers"])
            row["shared"] = max(row["shared"], kernel["shared"])
            row["spilled"] = max(row["spilled"], spills(kernel))
    yield (
        f"| kernel | numbers | {' | '.join(f'sm_{a}' for a in found)} "
        "| shared bytes | stack and spills |"
    )
    yield f"| --- | --- |{' ---: |' * (len(found) + 2)}"
    for (kernel, dtype), row in sorted(rows.items()):
        cells = [row[architecture] for architecture in found]
        numbers = " | ".join(map(str, [*cells, row["shared"], row["spilled"]]))
        yield f"| `{kernel}` | {dtype} | {numbers} |"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--json"]:
        print(json.dumps(report(sys.argv[2:])))
    else:
        everything = report()
        print("\n".join(table(everything)))
        sys.exit(any(spills(kernel) for described in everything.values() for kernel in described))
