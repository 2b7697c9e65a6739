"""nbconv gradcheck and doctor."""

import click

from .group import JSON, announce_compilation, print_json


@click.command()
@JSON
def gradcheck(as_json: bool) -> None:
    """Every layer kind's gradients against central differences in float64; exit 1 if one is wrong."""
    from nbconv import gradcheck as checks

    announce_compilation()
    results = checks.check_all()
    wrong = [result for result in results if not result.error <= checks.BOUND]
    if as_json:
        print_json([{"case": result.name, "error": result.error, "parameter": result.parameter} for result in results])
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
