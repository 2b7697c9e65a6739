"""What the commands share: options, errors as one line and an exit code, JSON."""

import io
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TextIO

import click
from click.shell_completion import CompletionItem

from ..names import BACKENDS, SYNONYMS


def note(line: str, nl: bool = True) -> None:
    """Print on standard error, which nothing depends on: where that fails, all goes on in silence.

    A terminal may have been closed, a reader gone, a disk be full.
    """
    try:
        click.echo(line, nl=nl, err=True)
    except OSError:
        _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    """Send what is still written to a stream that has failed nowhere.

    Else Python tries again when it ends.
    """
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Suggesting(click.types.StringParamType):
    """A text for which a shell's completion suggests names, and files where none begins so."""

    def __init__(self, names: Iterable[str], *, has_files: bool = False):
        self.names = names
        self.has_files = has_files

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin so."""
        found = [CompletionItem(name) for name in self.names if name.startswith(incomplete)]
        files = [CompletionItem(incomplete, type="file")] if self.has_files else []
        return found or files


class _Threads(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """A number of threads or "auto"."""

    name = "auto|INTEGER"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> int | str:
        """The number, or "auto"."""
        try:
            return "auto" if value == "auto" else int(value)
        except ValueError:
            self.fail(f"{value!r} is neither 'auto' nor a whole number.", parameter, context)


THREADS = click.option(
    "--threads",
    type=_Threads(),
    default="auto",
    show_default=True,
    help="CPU threads; auto: whatever is fastest at the time. The results do not depend on them.",
)


def _log(context: click.Context, parameter: click.Parameter, is_verbose: bool) -> None:
    if is_verbose:
        import logging

        logging.basicConfig(format="%(message)s")
        logging.getLogger("nbconv").setLevel(logging.INFO)


VERBOSE = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_log,
    help="Say which backend is used, and why.",
)


def backend_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--backend, and --verbose, which says what "auto" came to."""
    choice = click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        default="auto",
        show_default=True,
        help="auto: the GPU if it works, else the CPU. reference: plain loops, slow.",
    )
    return choice(VERBOSE(command))


class Group(click.Group):
    """A group whose commands' errors are one line: exit 1; 130 and 143 after SIGINT and SIGTERM."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and turn what it raises into a line and an exit code."""
        from nbconv.errors import Interrupted, NbconvError, check_environment, printable
        from nbconv.training.signals import raised

        if isinstance(sys.stdout, io.TextIOWrapper):  # an encoding may lack a class's name
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            check_environment()
            with raised():
                result = super().invoke(ctx)
            _flush()
            return result
        except click.NoSuchOption as error:
            if ours := _meant(error):
                line = f"No such option '{error.option_name}'. Did you mean '{ours}'?"
                raise click.UsageError(line, ctx=error.ctx) from error
            raise
        except Interrupted as stop:
            raise SystemExit(128 + stop.signal_number) from stop
        except KeyboardInterrupt as stop:
            note("Interrupted.")
            raise SystemExit(130) from stop
        except NbconvError as error:
            raise click.ClickException(printable(str(error))) from error
        except BrokenPipeError:
            raise  # whoever read the output has gone: click ends quietly
        except OSError as error:
            if _was_printing(error):
                raise _unwritten(error) from error
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}") from error
        except MemoryError as error:
            raise click.ClickException(
                "out of memory: expected a smaller network, mini-batch or dataset"
            ) from error

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command that the arguments name; a misspelt one is told, by older click, too."""
        import difflib

        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            for meant in difflib.get_close_matches(args[0], self.list_commands(ctx), 1):
                ctx.fail(f"No such command '{args[0]}'. Did you mean '{meant}'?")
        return super().resolve_command(ctx, args)


def _meant(error: click.NoSuchOption) -> str:
    """The option for what another tool calls so; "" if the command has none."""
    name = error.option_name.lstrip("-").replace("-", "_").lower()
    ours = f"--{SYNONYMS.get(name, name).replace('_', '-')}"
    options = error.ctx.command.params if error.ctx else []
    return ours if any(ours in option.opts for option in options) else ""


def _flush() -> None:
    """Write out what was printed, so that a full disk is an error and not silence."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritten(error) from error


def _was_printing(error: OSError) -> bool:
    """Whether a command's click.echo raised it: on standard output, as `note` raises nothing."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code is click.echo.__code__ for frame, _ in frames)


def _unwritten(error: OSError) -> click.ClickException:
    """The line for a standard output that has failed, where nothing is written from now on."""
    _silence(sys.stdout)
    return click.ClickException(
        f"standard output could not be written: {error.strerror}; choose another place for it"
    )


def announce_compilation() -> None:
    """Say on standard error when kernels have to be compiled first."""
    from nbconv.backend import on_compilation

    on_compilation(note)


def as_json(value: Any) -> str:
    """A value as JSON; numbers that JSON lacks, NaN and infinity, as null."""
    import json

    def plain(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: plain(entry) for key, entry in item.items()}
        if isinstance(item, (list, tuple)):
            return [plain(entry) for entry in item]
        return None if isinstance(item, float) and not math.isfinite(item) else item

    return json.dumps(plain(value))


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(as_json(value))


def percent(share: float) -> str:
    """A share in [0, 1] as people read it: 97.67 %."""
    return f"{100 * share:.2f} %"
