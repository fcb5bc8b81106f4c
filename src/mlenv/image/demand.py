"""What an image demands of the machine that starts it: NVIDIA_REQUIRE_CUDA, read and judged.

A space is OR and a comma is AND. What no source tells stays open: three answers, not two. The rows
that ``plan.gates`` judges by say the same of the images whose names are known.

Source: libnvidia-container 1.17, src/cli/dsl.c: ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=`` over
``cuda``, ``driver``, ``arch`` and ``brand``.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from mlenv.cuda import Cuda
from mlenv.machine import driver
from mlenv.plan import refusals
from mlenv.plan.compat import own_driver

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlenv.catalog.load import Catalog
    from mlenv.cuda import Gpu
    from mlenv.errors import Reason
    from mlenv.plan.model import Plan

TEXT_LENGTH = 16384
"""Longer than any that NVIDIA wrote (2 KiB); what is longer is not read."""

_RULE = re.compile(r"(cuda|driver|arch|brand)(=|!=|<=|>=|<|>)([A-Za-z0-9.-]{1,32})")
_BRANDS = {
    **dict.fromkeys(("tesla", "nvidia"), "data-centre"),
    **dict.fromkeys(("quadro", "quadrortx", "nvidiartx"), "professional"),
    **dict.fromkeys(("geforce", "geforcertx"), "geforce"),
    **dict.fromkeys(("titan", "titanrtx"), "titan"),
}
"""NVML's name of a brand -> the catalog's; a virtual GPU (``vws``, ``grid``) is none of these."""
_COMPARE: dict[str, Callable[[Version, Version], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One comparison, such as ``driver<471``."""

    name: str
    sign: str
    value: str


Demand = tuple[tuple[Rule, ...], ...]
"""Any of these, all of each."""


def parse_demand(text: str) -> Demand:
    """Return the text of NVIDIA_REQUIRE_CUDA as a value; of no text, none.

    Raises:
        ValueError: it has what the container toolkit itself would stumble over.
    """
    if len(text) > TEXT_LENGTH:
        raise ValueError(f"a demand of {len(text)} characters is longer than any that is known")
    return tuple(tuple(_rule(each) for each in group.split(",")) for group in text.split())


def shut(plan: Plan, catalog: Catalog, demand: Demand, *, image: str, source: str) -> Reason | None:
    """Return why the base does not start on the target's oldest driver; None where it may."""
    stack = plan.stack
    lowest = stack.driver.lowest if stack.driver else None
    if not demand or plan.toolkit is None or stack.driver is None or lowest is None:
        return None
    for gpu in plan.gpus or (None,):
        if _opens(demand, lowest, gpu, catalog) is not False:
            continue
        words = ("base", "driver", "gpus") if gpu else ("base", "driver")
        on = f"driver {stack.driver.lowest_text}" + (f" with {gpu.name}" if gpu else "")
        asks = f"its NVIDIA_REQUIRE_CUDA is met by none of: {_words(demand)}"
        keys = tuple(stack.keys[word] for word in words)
        return refusals.base_image_gate(image, on, asks, keys, source)
    return None


def _opens(demand: Demand, lowest: Version, gpu: Gpu | None, catalog: Catalog) -> bool | None:
    groups = [[_holds(each, lowest, gpu, catalog) for each in group] for group in demand]
    if any(all(group) for group in groups):
        return True
    return None if any(False not in group for group in groups) else False


def _holds(rule: Rule, lowest: Version, gpu: Gpu | None, catalog: Catalog) -> bool | None:
    if rule.name == "brand":
        return _is_brand(rule, gpu.brand if gpu else None)
    if rule.name == "driver":
        return _COMPARE[rule.sign](lowest, driver(rule.value))
    if rule.name == "arch":
        return None if gpu is None else _COMPARE[rule.sign](_arch(gpu), Version(rule.value))
    # Every driver of a branch says the CUDA that the branch began with, or a newer one.
    own = own_driver(Cuda.parse(rule.value), catalog) if rule.sign == ">=" else None
    return None if own is None else lowest.major >= driver(own.driver).major


def _is_brand(rule: Rule, brand: str | None) -> bool | None:
    if brand in {None, "jetson"} or rule.sign != "=":  # of a Jetson's image no row speaks either
        return None
    return _BRANDS.get(rule.value) == brand


def _arch(gpu: Gpu) -> Version:
    return Version(f"{gpu.arch.major}.{gpu.arch.minor}")


def _words(demand: Demand) -> str:
    groups = [", ".join(f"{each.name}{each.sign}{each.value}" for each in g) for g in demand]
    return "; ".join(groups[:4]) + (f"; and {len(groups) - 4} more" if len(groups) > 4 else "")


def _rule(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:60]!a} is no comparison such as cuda>=12.8")
    rule = Rule(found[1], found[2], found[3])
    try:
        if rule.name == "cuda":
            Cuda.parse(rule.value)
        elif rule.name != "brand":
            Version(rule.value)
    except InvalidVersion as error:
        raise ValueError(f"{text!r} compares with no version") from error
    return rule
