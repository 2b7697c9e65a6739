"""nbconv gradcheck, parity and doctor."""

from pathlib import Path

import click

from ..activations import SHOWN
from ..names import BACKENDS, DTYPES
from .group import JSON, announce_compilation, print_json

NET = "20C5-MP2-40C5-MP2-100N-10N"


@click.command()
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="cpu",
    show_default=True,
    help="Whose gradients.",
)
@JSON
def gradcheck(backend: str, as_json: bool) -> None:
    """Check gradients by central differences.

    Compares backpropagation with central differences in float64, for every kind of layer. Exits
    with 1 if one is wrong.
    """
    from nbconv.diagnostics import gradcheck as checks
    from nbconv.tables import aligned

    announce_compilation()
    results = checks.check_all(backend)
    wrong = [result for result in results if not result.error <= checks.BOUND]
    if as_json:
        print_json(
            [
                {"case": result.name, "error": result.error, "parameter": result.parameter}
                for result in results
            ]
        )
    else:
        rows = [(result.name, f"{result.error:.2e}", result.parameter) for result in results]
        click.echo(aligned([("case", "relative error", "at its worst in"), *rows], "<><"))
    if wrong:
        worst = max(wrong, key=lambda result: result.error)
        raise click.ClickException(
            f"{len(wrong)} of {len(results)} gradients are wrong: expected relative errors up to "
            f"{checks.BOUND:g}; {worst.name}, "
            f"{worst.parameter}: backpropagation {worst.gradient:.8g}, central differences "
            f"{worst.difference:.8g}"
        )
    if not as_json:
        click.echo(f"All {len(results)} within {checks.BOUND:g}.")


@click.command(epilog=f"The default of --net is {NET}.")
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option(
    "--net",
    help="Layers, as for nbconv train.",
)
@click.option(
    "--backends",
    help="Two of cpu, cuda and reference.  [default: cpu,cuda; without a GPU reference,cpu]",
)
@click.option(
    "--activation",
    default="sigmoid",
    show_default=True,
    help=f"With --net: {SHOWN}.",
)
@click.option(
    "--input",
    "shape",
    default="1x28x28",
    show_default=True,
    help="Channels x rows x columns, with --net.",
)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    default="float32",
    show_default=True,
    help="Precision, with --net.",
)
@click.option(
    "--images",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Number of random images.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of weights and images.")
@JSON
def parity(
    checkpoint: Path | None,
    net: str | None,
    backends: str | None,
    activation: str,
    shape: str,
    dtype: str,
    images: int,
    seed: int,
    as_json: bool,
) -> None:
    """Compare two backends layer by layer.

    Takes the network of CHECKPOINT, or of --net with its initial weights. Exits with 1 if they
    differ.
    """
    from nbconv.diagnostics import parity as check
    from nbconv.tables import aligned

    if checkpoint is not None and net is not None:
        raise click.UsageError("expected a checkpoint or --net, not both")
    announce_compilation()
    notation = None if checkpoint else net or NET
    names = check.two_backends(backends)
    pair = check.networks(checkpoint, notation, activation, shape, dtype, seed, names)
    results, bound = check.compare(*pair, images, seed), check.BOUNDS[pair[0].dtype]
    if as_json:
        print_json(
            {"backends": names, "bound": bound, "results": [vars(result) for result in results]}
        )
    else:
        head = ("layer", "array", "relative difference", "in units of the last place")
        rows = [
            (each.layer, each.array, f"{each.relative:.2e}", f"{each.ulp:.1f}") for each in results
        ]
        click.echo(aligned([head, *rows], "<<>>"))
    wrong = [result for result in results if not result.relative <= bound]
    if wrong:
        worst = max(wrong, key=lambda result: result.relative)
        raise click.ClickException(
            f"{len(wrong)} of {len(results)} arrays differ: expected relative differences up to "
            f"{bound:g}; layer {worst.layer}, "
            f"{worst.array}: {worst.relative:.3g}"
        )
    if not as_json:
        click.echo(f"All {len(results)} within {bound:g} on {' and '.join(names)}.")


@click.command()
@click.option("--compile", "fill", is_flag=True, help="First compile every CPU kernel, in float32.")
@JSON
def doctor(fill: bool, as_json: bool) -> None:
    """Check this machine and installation.

    Shows versions, CPU, threads, caches, data and GPU, and how to mend what is missing.

    --compile fills the cache of compiled kernels, which many jobs may then share, read-only if you
    like. It takes about two minutes.
    """
    from nbconv.doctor import report
    from nbconv.tables import aligned

    if fill:
        from nbconv.kernels import compilation

        from nbconv.runs.precompile import every_kernel

        if not compilation.CACHE_IS_KEPT:
            raise click.ClickException(
                "compiled kernels cannot be kept: set NUMBA_CACHE_DIR to a folder of yours that "
                "can be written"
            )
        announce_compilation()
        every_kernel()
    findings = report()
    if as_json:
        print_json(dict(findings))
        return
    click.echo(aligned(findings, "<<"))
