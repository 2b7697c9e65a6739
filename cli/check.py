"""nbconv gradcheck, parity and doctor."""

from pathlib import Path

import click

from .group import ACTIVATIONS, BACKENDS, JSON, announce_compilation, print_json

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
    """Every layer kind's gradients against central differences in float64; exit 1 if one is wrong."""
    from nbconv.diagnostics import gradcheck as checks

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
        width = max(len(result.name) for result in results)
        click.echo(f"{'case':{width}}  relative error  at its worst in")
        for result in results:
            click.echo(f"{result.name:{width}}  {result.error:14.2e}  {result.parameter}")
    if wrong:
        worst = max(wrong, key=lambda result: result.error)
        raise click.ClickException(
            f"{len(wrong)} of {len(results)} gradients are wrong: expected relative errors up to {checks.BOUND:g}; {worst.name}, "
            f"{worst.parameter}: backpropagation {worst.gradient:.8g}, central differences {worst.difference:.8g}"
        )
    if not as_json:
        click.echo(f"All {len(results)} within {checks.BOUND:g}.")


@click.command()
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option(
    "--net",
    help=f"A network in the notation of nbconv train, with its first weights.  [default: {NET}]",
)
@click.option(
    "--backends",
    help="Two of cpu, cuda and reference.  [default: cpu,cuda; without a GPU reference,cpu]",
)
@click.option(
    "--activation",
    type=click.Choice(ACTIVATIONS),
    default="sigmoid",
    show_default=True,
    help="With --net.",
)
@click.option(
    "--input",
    "shape",
    default="1x28x28",
    show_default=True,
    help="With --net: channels x rows x columns.",
)
@click.option(
    "--dtype",
    type=click.Choice(("float32", "float64")),
    default="float32",
    show_default=True,
    help="With --net.",
)
@click.option(
    "--images",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Random images to compare on.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights and images.")
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
    """Compare each layer of CHECKPOINT, or of a new network, on two backends; exit 1 if they differ."""
    from nbconv.diagnostics import parity as check

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
        width = max(len(result.layer) for result in results)
        click.echo(f"{'layer':{width}}  array  relative difference  in units of the last place")
        for result in results:
            click.echo(
                f"{result.layer:{width}}  {result.array:5}  {result.relative:19.2e}  {result.ulp:26.1f}"
            )
    wrong = [result for result in results if not result.relative <= bound]
    if wrong:
        worst = max(wrong, key=lambda result: result.relative)
        raise click.ClickException(
            f"{len(wrong)} of {len(results)} arrays differ: expected relative differences up to {bound:g}; layer {worst.layer}, "
            f"{worst.array}: {worst.relative:.3g}"
        )
    if not as_json:
        click.echo(f"All {len(results)} within {bound:g} on {' and '.join(names)}.")


@click.command()
@JSON
def doctor(as_json: bool) -> None:
    """Versions, CPU, threads, caches, data and GPU: what is there, and how to mend what is not."""
    from nbconv.doctor import report

    findings = report()
    if as_json:
        print_json(dict(findings))
        return
    width = max(len(topic) for topic, _ in findings)
    for topic, finding in findings:
        click.echo(f"{topic:{width}}  {finding}")
