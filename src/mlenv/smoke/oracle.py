"""What a kernel is given, and how its answer is judged: ``out = a * x + y`` in float32.

The input is random and new each time, so no answer can be left over from before. The output is
poisoned with a NaN that no computation yields, so what was not written is seen; behind it lies a
guard zone that nobody may write. The length is a prime, so the last block is partial. The
reference is float64, and every comparison is written so that a NaN fails it.
"""

from __future__ import annotations

import array
import os
import random
import struct

from mlenv.smoke.register import Fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COUNT = 100003
"""A prime: no block size divides it."""
GUARD = 1021
"""Elements behind the output; more than any block here is long."""
POISON = 0x7FC0BEEF
_HALF_STEP = 2.0**-24
"""Half the distance of 1.0 to its float32 neighbour: what one rounding may err, relatively."""


class Line:
    """One problem: ``a``, ``x`` and ``y``, and the bytes of a poisoned output."""

    def __init__(self, count: int = COUNT, guard: int = GUARD, seed: int | None = None) -> None:
        """Draw a problem; the seed is among the facts, to draw it again."""
        self.seed = int.from_bytes(os.urandom(4), "little") if seed is None else seed
        drawn = random.Random(self.seed)  # noqa: S311 (numbers to compute with)
        self.count, self.guard = count, guard
        self.a: float = struct.unpack("f", struct.pack("f", drawn.uniform(0.5, 2.0)))[0]
        self.x = array.array("f", (drawn.uniform(-4, 4) for _ in range(count)))
        self.y = array.array("f", (drawn.uniform(-4, 4) for _ in range(count)))

    def poisoned(self) -> bytes:
        """Return what the output holds before the kernel, its guard zone too."""
        return array.array("I", [POISON] * (self.count + self.guard)).tobytes()

    def blocks(self, threads: int) -> int:
        """Return how many blocks of so many threads cover it."""
        return -(-self.count // threads)

    def judged(self, output: bytes, *, guarded: bool = True) -> dict[str, Any]:
        """Return how well the output agrees with float64.

        Args:
            output: the bytes of float32 values, the guard zone's too.
            guarded: a framework that allocates its own output has no guard zone: False.

        Raises:
            Fail: ``wrong-result``.
        """
        wanted = 4 * (self.count + (self.guard if guarded else 0))
        if len(output) != wanted:
            said = f"{len(output)} bytes came back, and not {wanted}"
            raise Fail("wrong-result", said, seed=self.seed)
        facts = self._counted(output)
        facts.update(count=self.count, seed=self.seed, guarded=guarded)
        if facts["wrong"] or facts["overrun"]:
            said = "{wrong} of {count} elements wrong, {unwritten} never written, {overrun} past it"
            raise Fail("wrong-result", said.format(**facts), **facts)
        return facts

    def _counted(self, output: bytes) -> dict[str, Any]:
        words, values = array.array("I"), array.array("f")
        words.frombytes(output)
        values.frombytes(output)
        wrong, worst, first = 0, 0.0, None
        for index, (x, y, value) in enumerate(zip(self.x, self.y, values)):
            product = self.a * x
            error = abs(value - (product + y))
            # A product and a sum, each rounded once; a fused one rounds once in all.
            bound = _HALF_STEP * (abs(product) + abs(product + y)) * 1.001
            if not error <= bound:  # a NaN is not below anything
                wrong += 1
                if first is None:
                    first = {"index": index, "got": repr(value), "want": repr(product + y)}
            elif bound:
                worst = max(worst, error / bound)
        return {
            "wrong": wrong,
            "first": first,
            "unwritten": words[: self.count].count(POISON),
            "overrun": len(words) - self.count - words[self.count :].count(POISON),
            "worst": round(worst, 4),
        }


def near(name: str, error: float, bound: float, errors: dict[str, float]) -> str:
    """Note a relative error, and return what is wrong with it, or nothing."""
    errors[name] = error
    return "" if error <= bound else f"{name}: relative error {error:.3g} is above {bound:g}"


def agreed(said: list[str], facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts, unless something was said against them.

    Raises:
        Fail: ``wrong-result``.
    """
    wrong = [text for text in said if text]
    if wrong:
        raise Fail("wrong-result", "; ".join(wrong), **facts)
    return facts
