"""Where well-known packages usually stand among the layers of [stack]; a habit and no fact."""

from __future__ import annotations

_USUAL = {
    "numeric": "numpy scipy pandas polars pyarrow numba scikit-learn einops opt-einsum xarray",
    "domain": "transformers datasets tokenizers diffusers accelerate peft trl lightning "
    "pytorch-lightning timm torchvision torchaudio torchmetrics flax optax equinox keras "
    "sentence-transformers vllm xformers flash-attn bitsandbytes deepspeed safetensors",
    "config": "hydra-core omegaconf ml-collections gin-config jsonargparse pydantic-settings fire",
    "logger": "wandb mlflow tensorboard tensorboardx aim neptune clearml comet-ml trackio",
    "launcher": "submitit ray modal skypilot torchx hydra-submitit-launcher dask-jobqueue",
}
_LAYER = {name: layer for layer, names in _USUAL.items() for name in names.split()}


def layer_of(name: str) -> str | None:
    """Return the layer that a package usually stands in, by its normalised name; None for none."""
    return _LAYER.get(name)
