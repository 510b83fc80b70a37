"""The ``gmsr`` command: finds a command's module when it is called, and turns failures into exit codes."""

import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from gmsr.topology.errors import RunError, UserError

COMMANDS = {
    "add": "let new agents join a running testbed",
    "audit": "prove of a run that nobody is in charge",
    "bench": "figures of speed and exactness, each beside its yardstick",
    "compare": "run policies side by side on the same arrivals",
    "completion": "print the shell's completion script",
    "demo": "GMSR beside two others and the optimum, on a packaged LLM fleet",
    "drain": "let an agent of a running testbed leave in order",
    "examples": "list, show and copy packaged topologies",
    "explore": "random testbeds with random faults under virtual time, each checked",
    "fluid": "the fluid limit of a topology, and how fast it comes to rest",
    "hosts": "look whether hosts will do, install this version there, fetch what they keep",
    "inject": "do something bad to a running testbed",
    "logs": "what happened in a run, in the order of time",
    "optimum": "the central optimum of a topology, or what overload leaves of it",
    "overhead": "what each way of telling dispatchers costs in messages, and what it buys",
    "plot": "plots of runs for papers",
    "ps": "list running testbeds",
    "report": "one HTML file that shows a run, or several side by side",
    "run": "run a topology as real processes",
    "simulate": "run a topology in one process under virtual time, from its seed alone",
    "slotted": "the paper's slotted model, and its distance to the fluid limit",
    "stop": "end a running testbed cleanly",
    "summary": "print a run's summary again, or work it out anew",
    "topology": "make, check, show and draw topologies",
    "trace": "fit and make traces of requests",
    "watch": "show a run in a browser: live, or played back",
}
DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


class Lazy(click.Group):
    """Loads the module of a command when it is called: ``gmsr --help`` loads none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command object of ``gmsr.launch.commands.NAME``."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"gmsr.launch.commands.{cmd_name}").command
        command.name = (
            cmd_name  # all are called like the function in their file, which the reference would show
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line a command, without loading it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="gmsr")
def gmsr() -> None:
    """Decentralised load balancing on real processes: dispatchers, servers, and nobody in charge."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 the run failed, 2 the input is wrong, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a request to end is answered as Ctrl-C is
    try:
        result: Any = gmsr.main(arguments, prog_name="gmsr", standalone_mode=False)
        code = result if isinstance(result, int) else DONE
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = BAD_INPUT
    except click.ClickException as error:
        _complain(error.format_message())
        code = BAD_INPUT
    except UserError as error:
        _complain(str(error))
        code = BAD_INPUT
    except RunError as error:
        _complain(*str(error).split("\n", 1))
        code = FAILED
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
    except SystemError as error:
        if not isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise
        code = INTERRUPTED  # numba's word for a Ctrl-C within compiled code
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone: no more words
        code = FAILED
    sys.exit(code)


def _complain(message: str, trace: str = "") -> None:
    """One line, and what a policy of the user's raised as it is."""
    click.echo("error: " + " ".join(message.split()), err=True)
    if trace:
        click.echo(trace.rstrip(), err=True)
