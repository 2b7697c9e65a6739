"""How a training is told: a moving line on a terminal, one line for each epoch anywhere."""

import sys
import time

import click


class Progress:
    """Prints to standard error; results go to standard output."""

    def __init__(self, first_epoch: int, epochs: int):
        self.epoch = first_epoch
        self.epochs = epochs
        self.live = sys.stderr.isatty()
        self.first: tuple[float, int] | None = (
            None  # when this epoch's first mini-batch was done, and its images
        )
        self.shown = 0.0

    def mini_batch(self, done: int, total: int) -> None:
        """Show images per second and the time left, ten times a second at most."""
        now = time.perf_counter()
        if self.first is None:
            self.first = (now, done)
        if not self.live or now - self.shown < 0.1 or now == self.first[0]:
            return
        self.shown = now
        rate = (done - self.first[1]) / (now - self.first[0])
        if rate > 0:
            left = ((self.epochs - self.epoch) * total - done) / rate
            bar = "#" * (20 * done // total)
            line = (
                f"epoch {self.epoch + 1}/{self.epochs} [{bar:20}] {rate:,.0f} images/s, "
                f"{duration(left)} left"
            )
            click.echo(f"\r\x1b[K{line}", nl=False, err=True)

    def epoch_done(self, report: dict[str, float]) -> None:
        """One line with an epoch's metrics."""
        self.epoch = int(report["epoch"])
        self.first = None
        from nbconv.training.history import line

        click.echo(("\r\x1b[K" if self.live else "") + line(report, self.epochs), err=True)

    def clear(self) -> None:
        """Take the moving line away."""
        if self.live:
            click.echo("\r\x1b[K", nl=False, err=True)


class Decoding:
    """Says how many pictures are decoded: a moving line on a terminal, else one now and then."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.shown = time.perf_counter()

    def __call__(self, done: int, total: int) -> None:
        """Show it."""
        now = time.perf_counter()
        if done == total:
            if self.live:
                click.echo("\r\x1b[K", nl=False, err=True)
        elif self.live or now - self.shown > 10:
            line = f"Decoding pictures: {done:,} of {total:,}"
            click.echo(f"\r\x1b[K{line}" if self.live else line, nl=not self.live, err=True)
            self.shown = now


def duration(seconds: float) -> str:
    """Seconds as people read them: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
