"""One honest use of each tool of a research desk, offline and on the CPU.

An import proves little: a plug-in is looked up, a kernel started, a file written when a thing is
used. Each check stands in an empty folder of its own and keeps the tool out of the home folder.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

from mlenv.smoke.register import Fail, Skip, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlenv.smoke.register import Given

_ROWS = 64


def numpy(_given: Given) -> dict[str, Any]:
    """Solve a system by LAPACK and look at what is left over."""
    np = load("numpy")
    random = np.random.default_rng(0)
    left, right = random.standard_normal((200, 200)), random.standard_normal((200, 3))
    rest = float(np.abs(left @ np.linalg.solve(left, right) - right).max())
    if not rest < 1e-8:  # so that NaN fails
        raise Fail("wrong-result", f"what is left of a solved system is {rest:g}")
    return {"version": np.__version__, "rest": rest}


def pandas(_given: Given) -> dict[str, Any]:
    """Group, sum, and read back what was written."""
    pd = load("pandas")
    frame = pd.DataFrame({"key": ["a", "b"] * 5, "value": range(10)})
    frame.to_csv("frame.csv", index=False)
    sums = pd.read_csv("frame.csv").groupby("key")["value"].sum().to_dict()
    _demand(sums == {"a": 20, "b": 25}, f"the sums are {sums}")
    return {"version": pd.__version__}


def sklearn(_given: Given) -> dict[str, Any]:
    """Fit what a line can part."""
    model = load("sklearn.linear_model").LogisticRegression()
    rows = [[value / _ROWS, 1.0] for value in range(-_ROWS, _ROWS)]
    wanted = [int(row[0] >= 0) for row in rows]
    score = float(model.fit(rows, wanted).score(rows, wanted))
    _demand(score > 0.95, f"a fitted model has {score:.0%} right")
    return {"version": load("sklearn").__version__, "score": score}


def hydra(_given: Given) -> dict[str, Any]:
    """Compose a config of two files and an override."""
    os.makedirs("conf/model")
    for path, text in (
        ("conf/config.yaml", "defaults:\n  - model: small\n  - _self_\nseed: 1\n"),
        ("conf/model/small.yaml", "width: 8\n"),
    ):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    module = load("hydra")
    with module.initialize_config_dir(version_base=None, config_dir=os.path.abspath("conf")):
        config = module.compose(config_name="config", overrides=["seed=7"])
    said = f"{config.model.width} {config.seed}"
    _demand(said == "8 7", f"the composed config says {said}, not 8 7")
    return {"version": module.__version__}


def wandb(_given: Given) -> dict[str, Any]:
    """Log an offline run, and find its files."""
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=".")
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        os.environ[name] = os.path.abspath(name.lower())
    module = load("wandb")
    run = module.init(project="mlenv", dir=".", mode="offline")
    for step in range(3):
        run.log({"loss": 1.0 / (step + 1)})
    run.finish()
    written = [
        name for _, _, names in os.walk("wandb") for name in names if name.endswith(".wandb")
    ]
    _demand(len(written) == 1, f"the offline run left {len(written)} files")
    return {"version": module.__version__}


def lightning(_given: Given) -> dict[str, Any]:
    """Train two steps on the CPU, and see a weight move."""
    module, torch = load("lightning"), _torch()

    class Line(module.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, _index: int) -> Any:  # noqa: ANN401 (tensors)
            return self.layer(batch[0]).square().mean()

        def configure_optimizers(self) -> Any:  # noqa: ANN401 (an optimizer)
            return torch.optim.SGD(self.parameters(), lr=0.1)

    rows = torch.utils.data.TensorDataset(torch.ones(8, 4))
    model = Line()
    before = model.layer.weight.detach().clone()
    trainer = load("lightning.pytorch").Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=".",
    )
    trainer.fit(model, torch.utils.data.DataLoader(rows, batch_size=4))
    _demand(trainer.global_step == 2, f"{trainer.global_step} steps were trained, not 2")
    _demand(not torch.equal(before, model.layer.weight), "two steps moved no weight")
    return {"version": module.__version__}


def transformers(_given: Given) -> dict[str, Any]:
    """Run a tiny random model forward; nothing is fetched."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_HOME=os.path.abspath("hf"))
    module, torch = load("transformers"), _torch()
    config = module.BertConfig(
        vocab_size=99,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    model = module.BertModel(config).eval()
    with torch.no_grad():
        found = model(input_ids=torch.tensor([[1, 2, 3, 4, 5]])).last_hidden_state
    shape, finite = tuple(found.shape), bool(torch.isfinite(found).all())
    _demand(shape == (1, 5, 16) and finite, f"the model gave {shape}, finite: {finite}")
    return {"version": module.__version__}


def accelerate(_given: Given) -> dict[str, Any]:
    """Let it prepare a model and take a step on the CPU."""
    module, torch = load("accelerate"), _torch()
    kit = module.Accelerator(cpu=True)
    layer = torch.nn.Linear(4, 1)
    model, optimizer = kit.prepare(layer, torch.optim.SGD(layer.parameters(), lr=0.1))
    before = layer.weight.detach().clone()
    kit.backward(model(torch.ones(2, 4)).square().mean())
    optimizer.step()
    _demand(not torch.equal(before, layer.weight), "a step moved no weight")
    return {"version": module.__version__}


def submitit(_given: Given) -> dict[str, Any]:
    """Send a job to this machine and read its result."""
    module = load("submitit")
    executor = module.AutoExecutor(folder="jobs", cluster="local")
    executor.update_parameters(timeout_min=1)
    found = executor.submit(max, 20, 22).result()
    _demand(found == 22, f"the job returned {found}, not 22")
    return {"version": module.__version__}


def jupyter(_given: Given) -> dict[str, Any]:
    """Start a kernel and let it add."""
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR"):
        os.environ[name] = os.path.abspath(name.lower())
    # By files and not by ports: a sandbox without a network may lack even its loopback.
    manager = load("jupyter_client.manager").KernelManager(kernel_name="python3", transport="ipc")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    said: list[str] = []
    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive(
            "import sys; (1 + 1, sys.prefix)",
            timeout=60,
            output_hook=lambda message: said.append(
                message["content"].get("data", {}).get("text/plain", "")
            ),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    text = " ".join(said).strip()
    _demand(text.startswith("(2, "), f"the kernel said {text!r}")
    return {"version": load("ipykernel").__version__, "kernel": text}


def _torch() -> Any:  # noqa: ANN401 (a module of the target)
    if find_spec("torch") is None:
        raise Skip("not-installed", "it is tried with torch, which is not installed")
    load("torch.utils.data")
    return load("torch")


def _demand(is_so: bool, text: str) -> None:  # noqa: FBT001 (what is so)
    if not is_so:
        raise Fail("wrong-result", text)
