"""The command line: words in, one call, words out. Each command is a module, loaded when used.

Results go to stdout, talk and errors to stderr. With ``--json`` stdout holds one document.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from mlenv import __version__
from mlenv.errors import Exit, MlenvError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_SHORT = {
    "init": "Write a first spec, or read one off what is there.",
    "check": "Say whether specs can run, in milliseconds.",
    "explain": "Show every decision, its reason and its source.",
    "lock": "Solve specs and write their locks.",
    "build": "Lock a spec and write its image recipe.",
    "image": "Make the image of a locked folder.",
    "verify": "Prove that an environment is as locked, and runs.",
    "matrix": "Plan and run many stacks, night by night.",
    "add": "Add packages to a spec, and lock it.",
    "remove": "Remove packages from a spec, and lock it.",
    "update": "Move a lock, or only its base image.",
    "diff": "Say what moved between two locks, specs or images.",
    "export": "Write a lock as a file of another tool.",
    "doctor": "Say what this machine can run, and how to mend it.",
    "schema": "Print a JSON Schema: of specs, of verdicts.",
    "catalog": "Show the facts that decisions rest on.",
    "clean": "Remove caches, and what mlenv wrote.",
    "completion": "Print the completion script of a shell.",
}
COMMANDS = tuple(_SHORT)
"""In the order of use, as the help shows them."""


class _Lazy(click.Group):
    """A group whose commands are modules of this package."""

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, _SHORT[name]) for name in COMMANDS]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's port)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        return _loaded(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # noqa: PLC0415 (only for a misspelt command)

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if not near:
                raise
            guess = f"{error.message} Did you mean '{near[0]}'?"
            raise click.UsageError(guess, ctx) from None


def _loaded(name: str) -> click.Command | None:  # noqa: PLR0911 (a line a command)
    """Import one command, and no other."""
    match name:
        case "init":
            from mlenv.cli.init import command as init  # noqa: PLC0415

            return init
        case "check":
            from mlenv.cli.check import command as check  # noqa: PLC0415

            return check
        case "explain":
            from mlenv.cli.explain import command as explain  # noqa: PLC0415

            return explain
        case "lock":
            from mlenv.cli.lock import command as lock  # noqa: PLC0415

            return lock
        case "build":
            from mlenv.cli.build import command as build  # noqa: PLC0415

            return build
        case "image":
            from mlenv.cli.image import command as image  # noqa: PLC0415

            return image
        case "verify":
            from mlenv.cli.verify import command as verify  # noqa: PLC0415

            return verify
        case "add" | "remove" | "update":
            return _editing(name)
        case _:
            return _beside(name)


def _editing(name: str) -> click.Command:
    """Import one of the commands that change a spec, or move its lock."""
    match name:
        case "add":
            from mlenv.cli.add import command as add  # noqa: PLC0415

            return add
        case "remove":
            from mlenv.cli.remove import command as remove  # noqa: PLC0415

            return remove
        case _:
            from mlenv.cli.update import command as update  # noqa: PLC0415

            return update


def _beside(name: str) -> click.Command | None:  # noqa: PLR0911 (a line a command)
    """Import one of the commands that are about no spec."""
    match name:
        case "diff":
            from mlenv.cli.diff import command as diff  # noqa: PLC0415

            return diff
        case "export":
            from mlenv.cli.export import command as export  # noqa: PLC0415

            return export
        case "doctor":
            from mlenv.cli.doctor import command as doctor  # noqa: PLC0415

            return doctor
        case "schema":
            from mlenv.cli.schema import command as schema  # noqa: PLC0415

            return schema
        case "catalog":
            from mlenv.cli.catalog import command as catalog  # noqa: PLC0415

            return catalog
        case "clean":
            from mlenv.cli.clean import command as clean  # noqa: PLC0415

            return clean
        case "matrix":
            from mlenv.cli.matrix import command as matrix  # noqa: PLC0415

            return matrix
        case "completion":
            from mlenv.cli.completion import command as completion  # noqa: PLC0415

            return completion
        case _:
            return None


@click.group(
    cls=_Lazy,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="The first thing to try: mlenv build specs/torch.toml",
)
@click.version_option(__version__, message="mlenv %(version)s")
@click.option("--json", "as_json", is_flag=True, help="Without a command: one JSON document.")
@click.pass_context
def cli(context: click.Context, *, as_json: bool) -> int:
    """ML environments that run: a stack spec in, a CUDA-coherent lock and an image recipe out.

    Alone it says where the specs of this folder stand, and the next step.
    """
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError("--json goes behind the command", context)
        return 0
    from mlenv.cli import standing  # noqa: PLC0415 (loaded when used)

    return standing.show(as_json=as_json)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or the exit status of what ended it."""
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        status: Any = cli.main(
            args=list(argv) if argv is not None else None,
            prog_name="mlenv",
            standalone_mode=False,
        )
    except click.exceptions.Abort:
        click.echo(_interrupted(), err=True)
        return Exit.INTERRUPTED
    except click.ClickException as error:
        error.show(sys.stderr)
        return Exit.USAGE
    except MlenvError as error:
        click.echo(str(error), err=True)
        return error.exit_status
    except BrokenPipeError:  # `mlenv explain … | head`
        sys.stderr.close()
        return Exit.DONE
    finally:
        signal.signal(signal.SIGTERM, before)
    return int(status or Exit.DONE)


def _terminated(_: int, __: FrameType | None) -> None:
    """Turn SIGTERM into what Ctrl-C does: children are killed, nothing is left half-written."""
    raise KeyboardInterrupt


def _interrupted() -> str:
    from mlenv.errors import Reason  # noqa: PLC0415 (only when interrupted)

    return Reason(
        code="interrupted",
        what="stopped before it was done",
        cause="Ctrl-C, or a signal to end",
        fix="run the same command again; what was written before lies there unchanged",
    ).text()
