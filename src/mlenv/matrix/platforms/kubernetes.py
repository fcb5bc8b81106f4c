"""Kubernetes: an Indexed Job for each kind of node, an index of it for each stack.

The specs and the cells of each index lie in a ConfigMap; results go to a volume that all pods
share. Source: Kubernetes' API reference, batch/v1 Job (`completionMode`, `backoffLimitPerIndex`),
and the labels of NVIDIA's GPU feature discovery, known on 2026-11-28.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlenv.errors import UsageError
from mlenv.matrix.planning import order as reason
from mlenv.matrix.platforms.order import led
from mlenv.matrix.platforms.text import yaml_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlenv.matrix.cell import Cell, Needs
    from mlenv.matrix.platforms.order import Order

CONFIG_BYTES = 1_000_000
"""A ConfigMap holds at most 1 MiB."""
CLAIM = "mlenv-results"
_SCRIPT = (
    'words=$(sed -n "$((JOB_COMPLETION_INDEX + 1))p" "$CELLS")\n'
    'exec mlenv matrix run /specs $words --run "$RUN" --date "$DATE" --verify "$LEVEL" '
    "--results /results\n"
)


def manifests(
    cells: Sequence[Cell], order: Order, *, specs: Mapping[str, str], run: str, date: str
) -> str:
    """Return the manifests of a run.

    Args:
        cells: of the matrix.
        order: with the image that holds mlenv.
        specs: file name -> text of each spec.
        run: its id.
        date: the day to lock at.

    Raises:
        UsageError: ``matrix-order``: the specs are too much for a ConfigMap.
    """
    groups: dict[Needs, list[str]] = {}
    for leader, members in led(cells):
        line = " ".join(f"--cell {each.id}" for each in members)
        groups.setdefault(leader.needs, []).append(line)
    name = f"mlenv-{run.lower()}"
    data = dict(specs)
    for number, lines in enumerate(groups.values()):
        data[f"cells-{number}"] = "\n".join(lines) + "\n"
    if sum(len(text.encode()) for text in data.values()) > CONFIG_BYTES:
        raise UsageError(
            reason(
                "the specs do not go into a ConfigMap",
                f"they and their cells are more than {CONFIG_BYTES} bytes",
                "take fewer at a time, with --shard or --filter",
            )
        )
    documents: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    ]
    for number, (needs, lines) in enumerate(groups.items()):
        env = {"CELLS": f"/specs/cells-{number}", "RUN": run, "DATE": date, "LEVEL": order.level}
        documents.append(_job(f"{name}-{number}", name, needs, len(lines), env, order))
    return yaml_text(documents, order.command("kubernetes"))


def _job(  # noqa: PLR0913, PLR0917 (each is a part of it)
    name: str, config: str, needs: Needs, count: int, env: Mapping[str, str], order: Order
) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "mlenv"}},
        "spec": {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": min(count, 50),
            # one cell that fails ends no other
            "backoffLimitPerIndex": 1,
            "maxFailedIndexes": count,
            "template": {"spec": _pod(config, needs, env, order)},
        },
    }


def _pod(config: str, needs: Needs, env: Mapping[str, str], order: Order) -> dict[str, Any]:
    selector = {"kubernetes.io/arch": needs.platform.rpartition("/")[2]}
    container: dict[str, Any] = {
        "name": "cell",
        "image": order.image,
        "command": ["sh", "-c", _SCRIPT],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "specs", "mountPath": "/specs"},
            {"name": "results", "mountPath": "/results"},
        ],
    }
    if order.level == "gpu" and needs.gpus:
        arch = needs.gpus[0].removeprefix("sm_")
        selector |= {
            "nvidia.com/gpu.compute.major": arch[:-1],
            "nvidia.com/gpu.compute.minor": arch[-1],
        }
        container["resources"] = {"limits": {"nvidia.com/gpu": max(1, needs.count)}}
    return {
        "restartPolicy": "Never",
        "nodeSelector": selector,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "specs", "configMap": {"name": config}},
            {"name": "results", "persistentVolumeClaim": {"claimName": CLAIM}},
        ],
    }
