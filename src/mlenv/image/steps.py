"""The instructions of a Dockerfile that hold more than a word: RUN steps and labels, as text.

Nothing is decided here. What a step needs from the network comes as a secret mount: a CA, a
netrc, the URL of a mirror. Without the secrets the same step works.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlenv.layers import DEFAULT_INDEX, SOURCE, Slice
from mlenv.model import CONTROL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlenv.files import File

_LABEL = re.compile(r"[a-z0-9]([a-z0-9._/-]*[a-z0-9])?")
UV = "bind,from=uv,source=/uv,target=/usr/local/bin/uv"
CACHE = "cache,target=/var/cache/uv,sharing=shared"
PIP = "uv pip install --no-deps --require-hashes"
_TOUCH = '-exec touch -hd "@${SOURCE_DATE_EPOCH}" {} +'
NORMAL = ("rm -f /opt/venv/.lock", "chmod -R a+rX /layer", f"find /layer {_TOUCH}")
"""Readable by every user, and no time in it that another build would not have."""

SECRETS = ("ca", "netrc")
_HASHED = "-j 1 --invalidation-mode unchecked-hash"
_FIND = "uv python find --system --managed-python"

_START = "start=$(($(date +%s) - 1))"
_NEW = '-newermt "@${start}"'
_APT_LEFT = (
    "find /var/lib/apt/lists /var/cache/apt -type f ! -name lock -delete",
    rf"find /var/log /var/cache/ldconfig /var/cache/debconf /var/lib/dpkg -type f {_NEW} \
        \( -path '/var/log/*' -o -name aux-cache -o -name '*-old' \) -exec truncate -s 0 {{}} +",
)
"""What apt leaves that nobody reads.

What the base may hold is emptied rather than removed: that something is gone is kept in a layer
with the time of its going. Source: two builds of an image, compared on 2026-11-22.
"""


def label(key: str, text: str) -> str:
    """Return the one line that labels an image with exactly ``text``.

    Raises:
        ValueError: the key is none, or the text has a control character, which no label can hold.
    """
    if not _LABEL.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a label")
    if CONTROL.search(text):
        raise ValueError(f"{text!r} is no text on one line")
    quoted = re.sub(r'([\\"$])', r"\\\1", text)
    return f'LABEL {key}="{quoted}"'


def run(mounts: Iterable[str], commands: Iterable[str]) -> str:
    """Return a RUN instruction of ``commands``, which end at the first that fails."""
    chain = "; \\\n    ".join(("set -eu", *commands))
    return "RUN " + " \\\n    ".join((*(f"--mount=type={each}" for each in mounts), chain))


def interpreter(python: str) -> str:
    """Return the step that puts a Python of its own below /opt/python.

    Which file that is, and its hash, stand in the list inside uv, whose version is locked.
    """
    mounts = (UV, *(f"secret,id={each}" for each in (*SECRETS, "python-mirror")))
    commands = (
        *outside(),
        given("python-mirror", "UV_PYTHON_INSTALL_MIRROR", '"$(cat /run/secrets/python-mirror)"'),
        "export UV_NO_CONFIG=1 UV_NO_CACHE=1 UV_PYTHON_INSTALL_DIR=/opt/python",
        "mkdir -p /layer/opt/python",
        "ln -s /layer/opt/python /opt/python",
        f"uv python install --no-bin {python}",
        "rm -rf /opt/python/.[!.]*",
        # The same bytes each time, and none that a user without rights would have to make again.
        f'"$({_FIND} {python})" -m compileall -q {_HASHED} /opt/python',
    )
    return run(mounts, (*commands, *NORMAL))


def environment(python: str, *, brought: bool) -> str:
    """Return the step that makes an empty environment.

    It lies below /layer, which is copied to /: a copy keeps the times of all that it brings, but
    not that of the folder it copies to. Every path in it is one of /opt/venv.

    Args:
        python: ``3.12`` or ``3.14t``.
        brought: whether the base image brings that Python; else it lies below /opt/python.
    """
    name = f"python{python}"
    said = f"this base image has no {name}: name one that has, as [image] base of the spec"
    wanted = (
        f"command -v {name} > /dev/null || {{ echo '{said}' >&2; exit 1; }}",
        f"uv venv --no-cache --python {name} /opt/venv",
    )
    own = (
        "export UV_PYTHON_INSTALL_DIR=/opt/python",
        f'uv venv --no-cache --python "$({_FIND} {python})" /opt/venv',
    )
    commands = ("mkdir -p /layer/opt/venv", "ln -s /layer/opt/venv /opt/venv")
    # An image has its PATH: what activates an environment in a shell would lead it astray.
    left = "rm -f /opt/venv/bin/activate* /opt/venv/bin/deactivate.bat /opt/venv/bin/pydoc.bat"
    return run((UV,), (*commands, *(wanted if brought else own), left, *NORMAL))


def system(mounts: Iterable[str], commands: Iterable[str]) -> str:
    """Return a RUN instruction that changes the system, and leaves no time of its own in it.

    The stage must have SOURCE_DATE_EPOCH.
    """
    # The two that an engine mounts are read-only.
    times = (
        f"find /etc /home /opt /tmp /usr /var -xdev {_NEW} \\\n"
        f"        ! -path /etc/hosts ! -path /etc/resolv.conf {_TOUCH}"
    )
    return run(mounts, (_START, *commands, times))


def apt(packages: Iterable[str]) -> str:
    """Return the step that installs Debian packages and leaves nothing else behind.

    What is named with a version is installed in that one. The secret ``apt-sources`` is asked in
    place of the base image's own archives, such as one of a fixed date that keeps old versions.
    """
    pinned = {each for each in packages if "=" in each}
    bare = set(packages) - pinned - {each.partition("=")[0] for each in pinned}
    names = " ".join(sorted(bare | pinned))
    sources = "-o Dir::Etc::sourceparts=- -o Dir::Etc::sourcelist=/run/secrets/apt-sources"
    commands = (
        "export DEBIAN_FRONTEND=noninteractive",
        "set --",
        *(
            f'if [ -s /run/secrets/{secret} ]; then set -- "$@" {options}; fi'
            for secret, options in (
                ("ca", "-o Acquire::https::CAInfo=/run/secrets/ca"),
                ("apt-sources", sources),
            )
        ),
        'apt-get "$@" update',
        f'apt-get "$@" install -y --no-install-recommends {names}',
        *_APT_LEFT,
    )
    # Below a tmpfs: the place that a secret is mounted on does not stay behind in the layer.
    return system(("tmpfs,target=/run", "secret,id=ca", "secret,id=apt-sources"), commands)


def install(part: Slice, *, url: str | None, tools: File | None) -> str:
    """Return the step that installs one layer file.

    Args:
        part: what the file holds.
        url: the index to ask instead of the default one.
        tools: the file of what source packages are built with.
    """
    mirror = "uv-index" if part.index == DEFAULT_INDEX else f"uv-index-{part.index}"
    built = part.layer in SOURCE
    files = {"layer": part.file} | ({"build": tools} if built and tools else {})
    unpacked = _build("build" in files) if built else _unpack()
    return _installed(files, mirror, unpacked, url=url)


def first_process(file: File) -> str:
    """Return the step that installs the image's first process."""
    return _installed({"layer": file}, "uv-index", _unpack())


def _installed(
    files: Mapping[str, File], mirror: str, unpacked: Iterable[str], *, url: str | None = None
) -> str:
    # buildah's cache does not see what a mounted file holds; the hash here makes it look.
    seen = " ".join(f"sha256={each.sha256}" for each in files.values())
    binds = [f"bind,source={each.path},target=/run/{name}.txt" for name, each in files.items()]
    secrets = [f"secret,id={each}" for each in (*SECRETS, mirror)]
    commands = (
        f": {seen}",
        *outside(),
        *((f"export UV_DEFAULT_INDEX='{url}'",) if url else ()),
        given(mirror, "UV_DEFAULT_INDEX", f'"$(cat /run/secrets/{mirror})"'),
        *unpacked,
    )
    return run((UV, *binds, CACHE, *secrets), (*commands, *NORMAL))


def outside() -> tuple[str, str]:
    """Return the commands that make uv and others take the secrets of the network, if given."""
    return (
        given("ca", "SSL_CERT_FILE", "/run/secrets/ca"),
        given("netrc", "NETRC", "/run/secrets/netrc"),
    )


def given(secret: str, name: str, value: str) -> str:
    """Return the command that exports a variable where a secret was given."""
    # -s, not -f: an engine may leave an empty file behind where an earlier step had the secret.
    return f"if [ -s /run/secrets/{secret} ]; then {name}={value}; export {name}; fi"


def _unpack() -> tuple[str, ...]:
    return (f"{PIP} --only-binary :all: -r /run/layer.txt",)


def _build(tools: bool) -> tuple[str, ...]:  # noqa: FBT001 (private, and both callers name it)
    # Without isolation: an isolated build would fetch its tools by no hash.
    built = f"{PIP} --no-binary :all: --no-build-isolation -r /run/layer.txt"
    if not tools:
        return (built,)
    return (
        f"{PIP} --only-binary :all: -r /run/build.txt",
        built,
        "uv pip uninstall -r /run/build.txt",
    )
