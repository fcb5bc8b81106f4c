"""Which machine takes which cell: rules of a small TOML file, the first that fits counts.

[[runner]]
gpus       = ["sm_90"]                  # cells that name one of these; [] those without a GPU
labels     = ["self-hosted", "h100"]    # GitHub's `runs-on`, GitLab's `tags`
partition  = "gpu"                      # SLURM
constraint = "h100"
time       = "02:00:00"
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from mlenv.errors import UsageError
from mlenv.machine import Platform
from mlenv.matrix.planning import order
from mlenv.model import Model

if TYPE_CHECKING:
    from mlenv.matrix.cell import Needs

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:&|\[\]*+ -]{0,99}$")]
Option = Annotated[str, Field(pattern=r"^--[a-z][A-Za-z0-9_.:=,/@%+-]{0,199}$")]


class Runner(Model):
    """A kind of machine, and what leads to it."""

    gpus: tuple[Annotated[str, Field(pattern=r"^sm_\d{2,3}$")], ...] | None = None
    """Architectures; a cell that names one of them fits. Left out: every cell fits."""
    platform: Platform | None = None
    driver: Annotated[str, Field(pattern=r"^\d{3}$")] | None = None
    """The driver branch of these machines; a cell fits that asks for none newer."""
    labels: tuple[Word, ...] = ()
    """What GitHub and GitLab call it."""
    partition: Word | None = None
    constraint: Word | None = None
    account: Word | None = None
    time: Annotated[str, Field(pattern=r"^(\d+-)?\d{1,3}(:\d{2}){0,2}$")] | None = None
    """SLURM's time limit: minutes, or ``HH:MM:SS``."""
    options: tuple[Option, ...] = ()
    """Further options of sbatch, each one word."""

    def fits(self, needs: Needs) -> bool:
        """Tell whether a cell may run there."""
        gpus = self.gpus is None or (
            bool(set(self.gpus) & set(needs.gpus)) if needs.gpus else not self.gpus
        )
        branch = (
            self.driver is None or needs.driver is None or int(needs.driver) <= int(self.driver)
        )
        return gpus and branch and self.platform in {None, needs.platform}


class Runners(Model):
    """A whole file."""

    runner: tuple[Runner, ...] = ()

    def of(self, needs: Needs) -> Runner:
        """Return the first that fits; one without any words where none does."""
        return next((each for each in self.runner if each.fits(needs)), Runner())


def parse_runners(text: str, *, origin: str) -> Runners:
    """Return the rules in ``text``.

    Raises:
        UsageError: ``matrix-order``: every mistake of it.
    """
    try:
        return Runners.model_validate(tomllib.loads(text), by_alias=True, by_name=False)
    except tomllib.TOMLDecodeError as error:
        causes = [str(error)]
    except ValidationError as error:
        causes = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    fix = "mend that; docs/matrix.md shows the file"
    raise UsageError(*(order(f"{origin} is no file of runners", each, fix) for each in causes))
