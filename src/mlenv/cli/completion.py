"""``mlenv completion``: what makes a shell complete mlenv's words."""

from __future__ import annotations

import click


@click.command(
    epilog="Example: mlenv completion bash > ~/.local/share/bash-completion/completions/mlenv"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the completion script of a shell.

    bash and fish take it as a file in their completion folder; in zsh put it on fpath as _mlenv.
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415 (loaded when used)

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion is known for {shell}")
    script = found(ctx.find_root().command, {}, "mlenv", "_MLENV_COMPLETE")
    click.echo(script.source(), nl=False)
    return 0
