"""Docker's API, for what needs its answers as values: load, inspect, tag, push, digests.

A client is opened for each call and closed after it: a daemon may be restarted between two.
It builds nothing, and starts no container. Importing this room imports no ``docker``.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlenv.host import disk
from mlenv.host.engine_port import ImageFacts, failed, layers, variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlenv.errors import HostError

_SECONDS = 600
"""For one answer; the loading of a large image gives none for minutes."""


def load(host: str | None, archive: Path) -> str:
    """Read an image from a file; return its id.

    Raises:
        HostError: ``engine-failed``, ``disk-failed``.
    """
    with disk.spoken(archive):
        file = archive.open("rb")
    with file, _client(host, f"load {archive.name}") as api:
        said = [str(each.get("stream", "")) for each in api.load_image(file) or ()]
        found = re.findall(r"Loaded image(?: ID)?: (\S+)", "".join(said))
        if not found:
            raise _refused(f"load {archive.name}", "".join(said).strip() or "it named no image")
        return str(api.inspect_image(found[-1])["Id"])


def tag(host: str | None, image: str, name: str) -> None:
    """Give an image a name.

    Raises:
        HostError: ``engine-failed``.
    """
    repository, label = _parts(name)
    with _client(host, f"tag {name}") as api:
        api.tag(image, repository, label)


def push(host: str | None, name: str, progress: Callable[[str], None]) -> str:
    """Push what ``name`` names; return the digest of its manifest there.

    Raises:
        HostError: ``engine-failed``.
    """
    repository, label = _parts(name)
    digest = ""
    with _client(host, f"push {name}") as api:
        for each in api.push(repository, tag=label, stream=True, decode=True):
            if "error" in each:
                raise _refused(f"push {name}", str(each["error"]))
            digest = str((each.get("aux") or {}).get("Digest", digest))
            if each.get("status"):
                words = (each.get("id"), each["status"], each.get("progress"))
                progress(" ".join(str(word) for word in words if word))
        # A daemon that keeps images in containerd says nothing of the digest.
        return digest or str(api.inspect_distribution(name)["Descriptor"]["digest"])


def inspect(host: str | None, image: str) -> ImageFacts | None:
    """Return the facts of an image; None where there is none of that name.

    Raises:
        HostError: ``engine-failed``.
    """
    from docker.errors import ImageNotFound  # noqa: PLC0415 (0.2 s)

    with _client(host, f"inspect {image}") as api:
        try:
            found = api.inspect_image(image)
            history = [
                (str(each.get("CreatedBy", "")), int(each["Size"])) for each in api.history(image)
            ]
        except ImageNotFound:
            return None
    config = found.get("Config") or {}
    return ImageFacts(
        image=found["Id"],
        # What the daemon calls the size is that of the packed layers, where containerd keeps them.
        size=sum(size for _, size in history) or found["Size"],
        platform=f"{found['Os']}/{found['Architecture']}",
        layers=layers(found["RootFS"].get("Layers") or (), history[::-1]),
        environment=variables(config.get("Env")),
        labels=config.get("Labels") or {},
        user=config.get("User") or "",
        history=tuple(text for text, _ in history[::-1]),
        digests=tuple(dict.fromkeys(found.get("RepoDigests") or ())),
    )


def digest(host: str | None, reference: str) -> str | None:
    """Return the digest that ``reference`` has in its registry; None where it is not known.

    Raises:
        HostError: ``engine-failed``: the daemon does not answer.
    """
    from docker.errors import APIError  # noqa: PLC0415 (0.2 s)

    with _client(host, f"look up {reference}") as api:
        try:
            return str(api.inspect_distribution(reference)["Descriptor"]["digest"])
        except APIError:  # no such image, no network, no right: the daemon does not tell them apart
            return None


def remove(host: str | None, image: str) -> None:
    """Take a name, or an image that has none, away; no error where there is none.

    Raises:
        HostError: ``engine-failed``.
    """
    from docker.errors import ImageNotFound  # noqa: PLC0415 (0.2 s)

    with _client(host, f"remove {image}") as api:
        try:
            api.remove_image(image)
        except ImageNotFound:
            return


def prune(host: str | None, label: str) -> int:
    """Remove the images that have ``label`` and no name; return the bytes that are free now.

    Raises:
        HostError: ``engine-failed``.
    """
    with _client(host, "remove images without a name") as api:
        found = api.prune_images(filters={"dangling": True, "label": label})
        return int(found.get("SpaceReclaimed") or 0)


@contextmanager
def _client(host: str | None, what: str) -> Iterator[Any]:
    import requests  # noqa: PLC0415 (0.1 s)
    from docker import APIClient  # noqa: PLC0415 (0.2 s)
    from docker.errors import DockerException  # noqa: PLC0415
    from docker.utils import kwargs_from_env  # noqa: PLC0415

    words: dict[str, Any] = {**kwargs_from_env(), **({"base_url": host} if host else {})}
    try:
        api = APIClient(version="auto", timeout=_SECONDS, **words)
        try:
            yield api
        finally:
            api.close()
    except (DockerException, requests.RequestException) as error:
        raise _refused(what, str(getattr(error, "explanation", None) or error)) from error


def _refused(what: str, cause: str) -> HostError:
    fix = "see what `docker info` says, then try again"
    if re.search(r"denied|unauthorized|authentication", cause):
        fix = "log in to the registry with `docker login`"
    elif "no space left" in cause:
        fix = "free some space where Docker keeps its images (`docker system df`)"
    return failed(f"docker could not {what}", cause, fix)


def _parts(name: str) -> tuple[str, str]:
    repository, colon, label = name.rpartition(":")
    return (repository, label) if colon and "/" not in label else (name, "latest")
