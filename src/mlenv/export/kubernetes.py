"""A Job for Kubernetes: GPUs by resource limit, nodes by what their GPUs can run.

NVIDIA_VISIBLE_DEVICES is never set: the device plugin gives a pod its GPUs, and ``all`` would
show it every one of the node. Source: NVIDIA/k8s-device-plugin issues 61 and 1605.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mlenv.files import File

if TYPE_CHECKING:
    from mlenv.export.source import Source

_COMPUTE = "nvidia.com/gpu.compute"
_DRIVER = "nvidia.com/cuda.driver-version.major"
_SAFE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def kubernetes(source: Source) -> tuple[File, ...]:
    """Return the Job for ``kubectl apply``.

    Source: Kubernetes' API reference, batch/v1 Job, and the labels of NVIDIA's GPU feature
    discovery (k8s-device-plugin, docs/gpu-feature-discovery), read 2026-11-28.
    """
    import yaml  # noqa: PLC0415 (loaded when used)

    name = re.sub(r"[^a-z0-9]+", "-", source.stem).strip("-")
    if not _SAFE.fullmatch(name):
        raise ValueError(f"{source.stem!r} is no name of a Job")
    document = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "mlenv"}},
        "spec": {"backoffLimit": 0, "template": {"spec": _pod(source, name)}},
    }
    text = yaml.safe_dump(document, sort_keys=False, width=100)
    return (File(f"{source.stem}-job.yaml", f"{source.note()}\n{text}"),)


def _pod(source: Source, name: str) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": name,
        "image": source.image,
        # `args` keeps the image's entrypoint: its first process hands signals on.
        "args": list(source.words),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        # PyTorch's loaders share tensors through it, and a pod has 64 MiB of its own.
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],  # noqa: S108 (a mount point)
    }
    if source.gpu and source.gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": source.gpus}}
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "nodeSelector": {"kubernetes.io/arch": source.lock.target.platform.rpartition("/")[2]},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}],
    }
    if terms := _terms(source):
        needed = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        pod["affinity"] = {"nodeAffinity": needed}
    return pod


def _terms(source: Source) -> list[dict[str, Any]]:
    """Return what a node must say of itself: one of the GPUs, and a driver new enough."""
    if not source.gpu:
        return []
    driver = _newer(source)
    archs = sorted({(each.major, each.minor) for each in source.archs})
    found = [
        [
            _is(f"{_COMPUTE}.{word}", number)
            for word, number in zip(("major", "minor"), each, strict=True)
        ]
        for each in archs
    ]
    return [{"matchExpressions": [*each, *driver]} for each in found or [[]] if each or driver]


def _is(label: str, number: int) -> dict[str, Any]:
    return {"key": label, "operator": "In", "values": [str(number)]}


def _newer(source: Source) -> list[dict[str, Any]]:
    """Return the driver's floor. ``Gt`` compares integers, so it is by the driver's branch."""
    floor = source.lock.image.driver_floor if source.lock.image else None
    major = re.match(r"\d{1,4}", floor or "")
    if not major:
        return []
    return [{"key": _DRIVER, "operator": "Gt", "values": [str(int(major[0]) - 1)]}]
