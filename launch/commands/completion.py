"""``gmsr completion SHELL``."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL: eval "$(gmsr completion bash)" in your shell's start-up file."""
    from ..cli import gmsr

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(gmsr, {}, "gmsr", "_GMSR_COMPLETE").source())
