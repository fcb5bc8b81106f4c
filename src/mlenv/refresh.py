"""The facts renewed: pages of the index, new wheels, and the rows that come of them, written.

What is read is decided by ``catalog.renewal``; here it is read, side by side. A source that fails
leaves the former facts of what it is about, with a warning; only where nothing could be read does
the refresh itself fail.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from mlenv import simple
from mlenv.catalog import indexed, inside, kept, renewal, scan, scope
from mlenv.catalog.rows import Release
from mlenv.errors import HostError, Reason
from mlenv.host import http, outage, parts
from mlenv.host.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mlenv.catalog.load import Catalog
    from mlenv.catalog.renewal import Step
    from mlenv.catalog.scan import Row, Wheel
    from mlenv.cuda import Cuda
    from mlenv.host.parts import Parts
    from mlenv.simple import Published
    from mlenv.solve.asking import Desk

    A = TypeVar("A")
    B = TypeVar("B")

_STEP = 25
"""So many wheels are read between two words of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be renewed."""

    index: str
    """The URL of the package index."""
    now: str
    """RFC 3339, UTC."""
    packages: tuple[str, ...] = ()
    """These only; all where there is none."""
    anew: bool = False
    """Carry nothing over, but the GPU code that was read of the same wheels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What a refresh gave."""

    document: kept.Document
    warnings: tuple[Reason, ...]
    pages: int
    """Pages that were read."""
    wheels: int
    """Wheels of which something was read."""
    changed: bool
    """Whether a row differs from the former ones."""


def refresh(former: Catalog, desk: Desk, order: Order) -> Renewed:
    """Return the facts as the index has them now; ``kept.write`` makes them those in use.

    Raises:
        HostError: ``network-failed`` or ``network-off`` where no page at all could be read;
            ``disk-failed``.
    """
    run = _Run(former=former, desk=desk, order=order)
    waiting = set(order.packages) or {*scope.SEEDS, *(() if order.anew else former.raw)}
    seen: set[str] = set()
    while waiting:
        seen |= waiting
        found = run.wave(sorted(waiting))
        waiting = set() if order.packages else found - seen
        waiting = set(sorted(waiting)[: max(0, scope.MOST_PACKAGES - len(seen))])
    if run.first is not None and not run.pages:
        raise run.first
    if not order.packages:
        run.own_indexes()
    return run.renewed()


@dataclass(slots=True, kw_only=True)
class _Run:
    """A refresh as it goes."""

    former: Catalog
    desk: Desk
    order: Order
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    offers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    failures: list[Reason] = field(default_factory=list)
    first: HostError | None = None
    newest: str = ""
    pages: int = 0
    wheels: int = 0

    def wave(self, names: Sequence[str]) -> set[str]:
        """Renew some packages; return the names that their new wheels require."""
        self.desk.say(f"reading the pages of {len(names)} packages ...")
        today, anew = self.order.now[:10], self.order.anew
        steps: list[Step] = []
        for name, files in zip(names, _side_by_side(self._page, names), strict=True):
            if isinstance(files, HostError):
                self._failed(files, name)
                continue
            self.pages += 1
            self.newest = max(self.newest, scan.newest_upload(files, self.order.now))
            former = self.former.raw.get(name, {})
            self.rows[name] = {}
            steps += renewal.steps(name, files, former, today=today, anew=anew)
        read, found = self._read([(step.package, wheel) for step in steps for wheel in step.reads])
        for step in steps:
            self._finish(step, read)
        return found

    def _page(self, name: str) -> tuple[Published, ...]:
        url = simple.address(self.order.index, name)
        files = self._files(url)
        if not files and self.former.raw.get(name):
            raise outage.failed(url, "it lists no file, though there were releases before")
        return files

    def _files(self, url: str) -> tuple[Published, ...]:
        kind, text = Pages(self.desk.web, self.desk.cache / "catalog" / "pages").page(url)
        try:
            return simple.files(kind, text, page=url)
        except ValueError as error:
            raise outage.failed(url, str(error)) from error

    def _read(
        self, wanted: Sequence[tuple[str, Wheel]]
    ) -> tuple[Mapping[str, Parts | HostError], set[str]]:
        """Return file name -> what was read of it, and the names that are required there."""

        def say(count: int) -> None:
            if count % _STEP == 0:
                self.desk.say(f"reading wheels: {count} of {len(wanted)} ...")

        found: set[str] = set()
        answers = _side_by_side(self._parts, wanted, say)
        for (package, _), answer in zip(wanted, answers, strict=True):
            if not isinstance(answer, HostError) and scope.is_read(package):
                self.wheels += 1
                found |= inside.discovered(answer)
        names = (wheel.file.filename for _, wheel in wanted)
        return dict(zip(names, answers, strict=True)), found

    def _parts(self, one: tuple[str, Wheel]) -> Parts:
        package, wheel = one
        wanted = parts.Wanted(
            metadata=scope.is_read(package),
            inside=scope.looks_inside(package),
            small=scope.small_file(package),
            names=scope.libraries,
        )
        return parts.read(self.desk.web, self.desk.cache, wheel.file, wanted)

    def _finish(self, step: Step, read: Mapping[str, Parts | HostError]) -> None:
        parts_of = {}
        for wheel in step.reads:
            answer = read[wheel.file.filename]
            if isinstance(answer, HostError):
                self._failed(answer, step.package, step)
                return
            parts_of[wheel.file.filename] = answer
        row = renewal.finished(step, parts_of)
        try:
            Release.model_validate(row)
        except ValidationError as error:
            what = f"{step.package} {step.version}"
            wrong = outage.failed(what, f"its page or wheel says {error.errors()[0]['msg']}")
            self._failed(wrong, step.package, step)
            return
        self.rows[step.package][step.version] = row

    def _failed(self, error: HostError, package: str, step: Step | None = None) -> None:
        """Keep the former facts of a package, or of one release, and say so."""
        reason = error.reasons[0]
        self.first = self.first or error
        if reason.code == "disk-failed":
            raise error
        if step is None and (rows := self.former.raw.get(package)) is not None:
            self.rows[package] = dict(rows)
        if step is not None and step.former is not None:
            self.rows[package][step.version] = step.former
        about = package if step is None else f"{package} {step.version}"
        stay = self.rows.get(package) if step is None else step.former
        left = f"the former facts of {about} stay" if stay else f"{about} is left out"
        self.failures.append(replace(reason, cause=f"{reason.cause}; {left}"))

    def own_indexes(self) -> None:
        """Read what the frameworks' own indexes offer."""
        for row in self.former.frameworks.values():
            package = row.package(None)
            if row.index is None or package is None:
                continue
            wanted = indexed.toolkits(row.name, self.former, self.rows.get("cuda-toolkit", ()))
            self.desk.say(f"reading the index of {row.name} ...")
            try:
                pages = self._own_pages(row.index, package, wanted)
            except HostError as error:
                reason = error.reasons[0]
                left = f"the former facts about the index of {row.name} stay"
                self.failures.append(replace(reason, cause=f"{reason.cause}; {left}"))
                if row.name in self.former.indexed:
                    self.offers[row.name] = self.former.indexed[row.name]
            else:
                if found := indexed.offers(pages):
                    self.offers[row.name] = found

    def _own_pages(
        self, template: str, package: str, wanted: Sequence[Cuda]
    ) -> Mapping[Cuda, tuple[Published, ...]]:
        def one(toolkit: Cuda) -> tuple[Published, ...]:
            try:
                files = self._files(simple.address(template.format(tag=toolkit.tag), package))
            except (outage.AbsentError, outage.DeniedError):  # a bucket that nobody may list
                return ()
            return files

        first = {each: one(each) for each in wanted[:1]}  # where it is out of reach, ask once
        found = dict(zip(wanted[1:], _side_by_side(one, wanted[1:]), strict=True))
        for answer in found.values():
            if isinstance(answer, HostError):
                raise answer
        return first | {key: of for key, of in found.items() if not isinstance(of, HostError)}

    def renewed(self) -> Renewed:
        """Return the rows with the time that they are of."""
        former, now = self.former, self.order.now
        base = former.raw if self.order.packages else {}
        packages = dict(sorted({**base, **self.rows}.items()))
        offers = dict(former.indexed) if self.order.packages else self.offers
        changed = packages != former.raw or offers != former.indexed
        scanned = former.scanned
        if changed:  # a change that no upload dates, such as a yank, is of now
            scanned = self.newest if self.newest > former.scanned else max(now, former.scanned)
        Pages(self.desk.web, self.desk.cache / "catalog" / "pages").done()
        return Renewed(
            document=kept.Document(
                scanned=scanned, source=kept.SOURCE, packages=packages, variants=offers
            ),
            warnings=tuple(self.failures),
            pages=self.pages,
            wheels=self.wheels,
            changed=changed,
        )


def _side_by_side(
    call: Callable[[A], B], items: Sequence[A], said: Callable[[int], None] = lambda _: None
) -> list[B | HostError]:
    """Return what ``call`` gives for each item, or the error that it raised."""

    def tried(item: A) -> B | HostError:
        try:
            return call(item)
        except HostError as error:
            return error

    pool = ThreadPoolExecutor(http.THREADS)
    try:
        jobs = [pool.submit(tried, item) for item in items]
        for count, _ in enumerate(as_completed(jobs), 1):
            said(count)
        return [job.result() for job in jobs]
    finally:  # also on Ctrl-C: what has not begun never does
        pool.shutdown(wait=False, cancel_futures=True)
