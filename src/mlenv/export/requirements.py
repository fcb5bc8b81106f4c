"""``requirements.txt`` for pip and a venv: every package with its hash, and the indexes beside.

The default index is left to pip's own configuration. A second index cannot slip in another file
of the same name, because pip takes none but the one whose hash stands here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.files import File

if TYPE_CHECKING:
    from mlenv.export.source import Source


def requirements(source: Source) -> tuple[File, ...]:
    """Return the file for ``pip install --requirement``.

    Source: pip's "Requirements File Format" and "Secure installs", read 2026-11-28.
    """
    lock = source.lock
    glibc = f", glibc {lock.target.glibc} or newer" if lock.target.glibc else ""
    lines = [
        source.note(),
        f"# for CPython {source.python} on {lock.target.platform}{glibc}",
        *_from_source(source),
        "--require-hashes",
        *(f"--extra-index-url {url}" for url in source.further(source.packages)),
        *(
            f"{each.name}=={each.version} \\\n    --hash=sha256:{each.sha256}"
            for each in source.packages
        ),
    ]
    return (File("requirements.txt", "\n".join(lines) + "\n"),)


def _from_source(source: Source) -> tuple[str, ...]:
    """Return what is to be known of source packages: hashes do not reach what builds them."""
    names = [each.name for each in source.packages if not each.filename.endswith(".whl")]
    if not names:
        return ()
    return (
        f"# published as source alone: {', '.join(names)}. What builds them is fetched without",
        "# hashes by pip; so first: pip install --require-hashes --requirement layers/build.txt",
        "# and then this file with --no-build-isolation",
    )
