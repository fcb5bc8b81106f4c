"""A CycloneDX bill of materials of the lock, in JSON: what is in it, with hashes and licences.

Better than a scan of the image: it names the one file of each package. The same lock gives the
same bytes: the time in it is the lock's, and the serial number comes from the content.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mlenv.export.about import About, edges
from mlenv.export.source import NOTE
from mlenv.files import File, digest

if TYPE_CHECKING:
    from mlenv.export.source import Source
    from mlenv.lock import Base, Package

_SPACE = uuid.UUID("2f0d1c52-1f4c-5b0e-9d5e-6f1f6d6c656e")
"""Whose names the serial numbers are: ours."""


def cyclonedx(source: Source) -> tuple[File, ...]:
    """Return the bill of materials.

    Source: https://cyclonedx.org/docs/1.6/json/ and https://github.com/package-url/purl-spec.
    """
    lock = source.lock
    found = {each.name: _component(source, each) for each in source.packages}
    beside = [_component(source, lock.init)] if lock.init and lock.image else []
    beside += [_base(lock.base)] if lock.base and lock.image else []
    content = {
        "metadata": {
            "timestamp": lock.exclude_newer,
            "tools": {
                "components": [
                    {"type": "application", "name": "mlenv", "version": lock.tools.mlenv}
                ]
            },
            "component": {
                "type": "application",
                "bom-ref": "stack",
                "name": lock.title,
                "version": lock.artefacts_sha256[:12],
            },
            "properties": _properties(
                note=f"{NOTE} for {lock.title}",
                artefacts_sha256=lock.artefacts_sha256,
                platform=lock.target.platform,
                python=lock.target.python,
                toolkit=lock.stack.toolkit,
                variant=source.variant,
            ),
        },
        "components": [*found.values(), *beside],
        "dependencies": [
            *_dependencies(source, found),
            *({"ref": each["bom-ref"]} for each in beside),
        ],
    }
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, digest(content))}",
        "version": 1,
        **content,
    }
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return (File(f"{source.stem}.cdx.json", f"{text}\n"),)


def _component(source: Source, package: Package) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": package.sha256}]
    if package.md5:
        hashes.insert(0, {"alg": "MD5", "content": package.md5})
    row: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(package),
        "name": package.name,
        "version": package.version,
        "hashes": hashes,
    }
    if (own := source.about.get(package.sha256)) and (own.expression or own.licence):
        row["licenses"] = [_licence(own)]
    row["purl"] = _purl(package)
    row["properties"] = _properties(
        filename=package.filename,
        index=package.index,
        layer=package.layer,
        size=str(package.size),
    )
    return row


def _licence(own: About) -> dict[str, Any]:
    """Return a licence: an SPDX expression where it is one, else the words of its author."""
    if own.expression:
        return {"expression": own.expression}
    return {"license": {"name": own.licence}}


def _purl(package: Package) -> str:
    if package.subdir is None:
        name = package.name.lower().replace("_", "-").replace(".", "-")
        where = {"file_name": package.filename}
        kind = "pypi"
    else:
        name, kind = package.name.lower(), "conda"
        stem = package.filename.removesuffix(".conda").removesuffix(".tar.bz2")
        where = {
            "build": stem.rpartition("-")[2],
            "channel": package.index,
            "subdir": package.subdir,
            "type": "conda" if package.filename.endswith(".conda") else "tar.bz2",
        }
    words = "&".join(f"{key}={quote(text, safe='')}" for key, text in sorted(where.items()))
    return f"pkg:{kind}/{quote(name, safe='')}@{quote(package.version, safe='')}?{words}"


def _base(base: Base) -> dict[str, Any]:
    """Return the image that the recipe starts from; what is inside it is for a scanner to say."""
    row: dict[str, Any] = {"type": "container", "bom-ref": "base", "name": base.reference}
    if base.digest:
        row["version"] = base.digest
        # The digest is of the manifest, and no hash of what the component is unpacked to.
        row["properties"] = _properties(digest=base.digest)
    return row


def _properties(**words: str) -> list[dict[str, str]]:
    return [{"name": f"mlenv:{key}", "value": text} for key, text in sorted(words.items())]


def _dependencies(source: Source, found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return who needs whom, as the packages say; the stack itself, what its spec asks for."""
    said = {each.name: source.about.get(each.sha256, About()) for each in source.packages}
    first, needs = edges(said, source.asked, source.python, source.architecture)
    reached = first.union(*needs.values())
    # what nobody is seen to ask for is the stack's own, so that no component hangs in the air
    own = {*first, *(found.keys() - reached)}
    rows = [{"ref": "stack", "dependsOn": sorted(found[name]["bom-ref"] for name in own)}]
    for name, each in found.items():
        known = sorted(found[need]["bom-ref"] for need in needs.get(name, ()))
        rows.append({"ref": each["bom-ref"], **({"dependsOn": known} if known else {})})
    return rows
