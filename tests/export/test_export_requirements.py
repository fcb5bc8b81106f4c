"""``--to requirements``: real pip and real uv take the file, and would install the lock."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from typing import TYPE_CHECKING, ClassVar

import pytest
import uv

from exporting import exported, lock_of, pairs, pip, ran, tool, versions
from loopback import environment
from mlenv.export.requirements import requirements
from mlenv.export.source import Source

if TYPE_CHECKING:
    from pathlib import Path

    from loopback import Index

PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64")
WHERE = [word for each in PLATFORMS for word in ("--platform", each)]


def dry_run(file: Path, shop: Index, *words: str) -> tuple[int, str]:
    """Ask pip what it would install for the target; the file is all it is told."""
    argv = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    argv += [*WHERE, "--only-binary", ":all:", "--target", "t", "--report", "r.json"]
    done = ran([*argv, "--requirement", str(file), *words], file.parent, pip(shop))
    return done.returncode, done.stderr


@pytest.mark.parametrize("variant", ["runtime", "dev"])
def test_pip_takes_the_file_of_two_indexes_and_would_install_the_lock(
    variant: str, torch_folder: Path, shop: Index, tmp_path: Path
) -> None:
    exported(torch_folder, tmp_path, "--to", "requirements", "--variant", variant)
    status, err = dry_run(tmp_path / "requirements.txt", shop)
    assert status == 0, err
    rows = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["install"]
    found = pairs((each["metadata"]["name"], each["metadata"]["version"]) for each in rows)
    assert found == versions(torch_folder, dev=variant == "dev")
    hashes = {each["download_info"]["archive_info"]["hashes"]["sha256"] for each in rows}
    assert hashes <= {each.sha256 for each in lock_of(torch_folder).package}


def test_pip_refuses_a_file_whose_hash_was_changed(
    torch_folder: Path, shop: Index, tmp_path: Path
) -> None:
    exported(torch_folder, tmp_path, "--to", "requirements")
    file = tmp_path / "requirements.txt"
    first = next(each for each in lock_of(torch_folder).package if each.name == "torch")
    file.write_text(file.read_text(encoding="utf-8").replace(first.sha256, "0" * 64), "utf-8")
    status, err = dry_run(file, shop)
    assert status != 0
    assert "DO NOT MATCH THE HASHES" in err


def test_uv_takes_the_file_too(torch_folder: Path, shop: Index, tmp_path: Path) -> None:
    exported(torch_folder, tmp_path, "--to", "requirements")
    words = ["pip", "sync", "--dry-run", "--target", "t"]
    words += ["--python-platform", "x86_64-manylinux_2_28", "--python", sys.executable]
    argv = [uv.find_uv_bin(), *words, "--index-strategy", "unsafe-best-match", "requirements.txt"]
    done = ran(argv, tmp_path, environment(shop))
    assert done.returncode == 0, done.stderr
    lines = [each.removeprefix(" + ") for each in done.stderr.splitlines() if each[:3] == " + "]
    found = pairs((name, version) for name, _, version in (each.partition("==") for each in lines))
    assert found == versions(torch_folder)


def test_the_default_index_is_not_named(torch_folder: Path, tmp_path: Path) -> None:
    text = (
        exported(torch_folder, tmp_path, "--to", "requirements") / "requirements.txt"
    ).read_text()
    urls = [line for line in text.splitlines() if "://" in line]
    assert urls == ["--extra-index-url http://download.pytorch.org/whl/cu126"]


def test_what_is_built_is_said_to_be(torch_folder: Path) -> None:
    lock = lock_of(torch_folder)
    rows = [each for each in lock.package if each.name != "jinja2"]
    found = next(each for each in lock.package if each.name == "jinja2")
    rows.append(found.model_copy(update={"filename": "jinja2-3.1.6.tar.gz"}))
    source = Source(
        lock=lock.model_copy(update={"package": tuple(rows)}),
        indexes={"pytorch-cu126": "http://download.pytorch.org/whl/cu126"},
    )
    (file,) = requirements(source)
    assert "# published as source alone: jinja2. " in file.text
    assert "--no-build-isolation" in file.text


class _Advisories(http.server.BaseHTTPRequestHandler):
    """A database of advisories, in the protocol of OSV: it knows one, about one release."""

    asked: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        query = json.loads(self.rfile.read(length))
        self.asked[query["package"]["name"]] = query["version"]
        known = {"id": "EX-1", "modified": "2025-01-01T00:00:00Z", "summary": "s", "affected": []}
        found = {"vulns": [known]} if query["package"]["name"] == "jinja2" else {}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its port)
        """Say nothing."""


@pytest.mark.network
def test_pip_audit_asks_about_every_version_of_the_lock(torch_folder: Path, tmp_path: Path) -> None:
    audit = tool(tmp_path / "tool", "pip-audit", "pip") / "pip-audit"
    exported(torch_folder, tmp_path / "audit.txt", "--to", "requirements")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Advisories) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        argv = [str(audit), "--requirement", "audit.txt", "--require-hashes", "--disable-pip"]
        argv += ["--strict", "--vulnerability-service", "osv", "--cache-dir", str(tmp_path / "c")]
        done = ran([*argv, "--osv-url", f"http://127.0.0.1:{server.server_port}/q"], tmp_path, {})
        server.shutdown()
    assert pairs(_Advisories.asked.items()) == versions(torch_folder)
    assert done.returncode == 1, done.stderr
    assert "Found 1 known vulnerability in 1 package" in done.stderr
    assert "jinja2" in done.stdout
