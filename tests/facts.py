"""What the loopback index publishes: real names, pins and paths, in archives of a few bytes.

Their source, where no other stands beside the rows: METADATA and file lists of the releases, read
on 2026-11-22 through the catalog's scan of that day and by range reads. What is called
``example-...`` or ``corp-...`` is made up, and so are the hour of an upload and the day of a leaf:
leaves (``numpy``, ``jinja2`` ...) are real names and versions, most without their own requirements.
The archives are made in ``archives``; the server is in ``loopback``.
"""

from __future__ import annotations

import base64
import dataclasses
import itertools
import re
from typing import TYPE_CHECKING, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from archives import Artefact, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Mode = Literal["pypi", "pytorch", "html"]
UPLOADED = "2025-05-01"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """An artefact as a root shows it; ``yanked`` is the reason, or None."""

    artefact: Artefact
    uploaded: str
    yanked: str | None


@dataclasses.dataclass(slots=True)
class Root:
    """One index: ``url`` is what its clients are told, like ``http://index.example/simple``."""

    url: str
    mode: Mode = "pypi"
    user: str = ""
    password: str = ""
    projects: dict[str, dict[str, Published]] = dataclasses.field(default_factory=dict)

    def add(
        self, artefact: Artefact, *, uploaded: str = UPLOADED, yanked: str | None = None
    ) -> None:
        """Publish ``artefact``, at noon UTC of the day ``uploaded``; ``yanked`` is a reason."""
        noon = f"{uploaded}T12:00:00.000000Z"
        shown = Published(artefact=artefact, uploaded=noon, yanked=yanked)
        self.projects.setdefault(artefact.project, {})[artefact.filename] = shown

    def admits(self, authorization: str | None) -> bool:
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return not self.user or authorization == f"Basic {token}"


# --- rows -------------------------------------------------------------------------------------

DEFAULT = "http://index.example/simple"
MIRROR = "http://mirror.example/simple"
CORP = "http://corp.example/simple"
CORP_USER, CORP_PASSWORD = "reader", "loopback-only"
PYTORCH = "http://download.pytorch.org/whl"

X86, ARM = "x86_64", "aarch64"
LINUX_X86 = 'platform_system == "Linux" and platform_machine == "x86_64"'
PYTHONS = {
    "2.7.1": ("cp311-cp311", "cp312-cp312", "cp313-cp313", "cp313-cp313t"),
    "2.8.0": ("cp311-cp311", "cp312-cp312", "cp313-cp313", "cp313-cp313t"),
    "2.9.1": (
        *("cp311-cp311", "cp312-cp312", "cp313-cp313", "cp313-cp313t"),
        *("cp314-cp314", "cp314-cp314t"),
    ),
}

# Source: METADATA of cuda-toolkit, its extras: what NVIDIA calls CUDA x.y.z.
TOOLKIT = {
    "12.6.3": (
        "cccl=12.6.77 cublas=12.6.4.1 cudart=12.6.77 cufft=11.3.0.4 cufile=1.11.1.6 cupti=12.6.80 "
        "curand=10.3.7.77 cusolver=11.7.1.2 cusparse=12.5.4.2 cuxxfilt=12.6.77 npp=12.3.1.54 "
        "nvcc=12.6.85 nvfatbin=12.6.77 nvjitlink=12.6.85 nvjpeg=12.3.3.54 nvml=12.6.77 "
        "nvrtc=12.6.85 nvtx=12.6.77 opencl=12.6.77 profiler=12.6.77 sanitizer=12.6.77"
    ),
    "12.8.1": (
        "cccl=12.8.90 cublas=12.8.4.1 cudart=12.8.90 cufft=11.3.3.83 cufile=1.13.1.3 cupti=12.8.90 "
        "curand=10.3.9.90 cusolver=11.7.3.90 cusparse=12.5.8.93 cuxxfilt=12.8.90 npp=12.3.3.100 "
        "nvcc=12.8.93 nvfatbin=12.8.90 nvjitlink=12.8.93 nvjpeg=12.3.5.92 nvml=12.8.90 "
        "nvrtc=12.8.93 nvtx=12.8.90 opencl=12.8.90 profiler=12.8.90 sanitizer=12.8.93"
    ),
    "12.9.1": (
        "cccl=12.9.27 cublas=12.9.1.4 cudart=12.9.79 cufft=11.4.1.4 cufile=1.14.1.1 cupti=12.9.79 "
        "curand=10.3.10.19 cusolver=11.7.5.82 cusparse=12.5.10.65 cuxxfilt=12.9.82 npp=12.4.1.87 "
        "nvcc=12.9.86 nvfatbin=12.9.82 nvjitlink=12.9.86 nvjpeg=12.4.0.76 nvml=12.9.79 "
        "nvrtc=12.9.86 nvtx=12.9.79 opencl=12.9.19 profiler=12.9.79 sanitizer=12.9.79"
    ),
    "13.0.1": (
        "cccl=13.0.85 crt=13.0.88 cublas=13.0.2.14 cudart=13.0.88 cufft=12.0.0.61 cufile=1.15.1.6 "
        "culibos=13.0.85 cupti=13.0.85 curand=10.4.0.35 cusolver=12.0.4.66 cusparse=12.6.3.3 "
        "cuxxfilt=13.0.85 npp=13.0.1.2 nvcc=13.0.88 nvfatbin=13.0.85 nvjitlink=13.0.88 "
        "nvjpeg=13.0.1.86 nvml=13.0.87 nvptxcompiler=13.0.88 nvrtc=13.0.88 nvtx=13.0.85 "
        "nvvm=13.0.88 opencl=13.0.85 profiler=13.0.85 sanitizer=13.0.85"
    ),
}
# When the components of each came out (those of 12.6 between 2024-10-01 and that day).
TOOLKIT_DAY = {
    "12.6.3": "2024-11-20",
    "12.8.1": "2025-03-07",
    "12.9.1": "2025-06-05",
    "13.0.1": "2025-09-04",
}
COMPONENT = {  # an extra of cuda-toolkit -> the package, less its `-cu12`
    "cccl": "nvidia-cuda-cccl",
    "crt": "nvidia-cuda-crt",
    "cudart": "nvidia-cuda-runtime",
    "culibos": "nvidia-cuda-culibos",
    "cupti": "nvidia-cuda-cupti",
    "cuxxfilt": "nvidia-cuda-cuxxfilt",
    "nvcc": "nvidia-cuda-nvcc",
    "nvml": "nvidia-nvml-dev",
    "nvrtc": "nvidia-cuda-nvrtc",
    "opencl": "nvidia-cuda-opencl",
    "profiler": "nvidia-cuda-profiler-api",
    "sanitizer": "nvidia-cuda-sanitizer-api",
}  # every other extra is nvidia-EXTRA
LIBRARY = {  # one file of each package that is looked for, at its real path
    "nvidia-cublas-cu12": "nvidia/cublas/lib/libcublas.so.12",
    "nvidia-cuda-cupti-cu12": "nvidia/cuda_cupti/lib/libcupti.so.12",
    "nvidia-cuda-nvcc-cu12": "nvidia/cuda_nvcc/bin/ptxas",
    "nvidia-cuda-nvrtc-cu12": "nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
    "nvidia-cuda-runtime-cu12": "nvidia/cuda_runtime/lib/libcudart.so.12",
    "nvidia-cufft-cu12": "nvidia/cufft/lib/libcufft.so.11",
    "nvidia-cufile-cu12": "nvidia/cufile/lib/libcufile.so.0",
    "nvidia-curand-cu12": "nvidia/curand/lib/libcurand.so.10",
    "nvidia-cusolver-cu12": "nvidia/cusolver/lib/libcusolver.so.11",
    "nvidia-cusparse-cu12": "nvidia/cusparse/lib/libcusparse.so.12",
    "nvidia-nvjitlink-cu12": "nvidia/nvjitlink/lib/libnvJitLink.so.12",
    "nvidia-nvtx-cu12": "nvidia/nvtx/lib/libnvToolsExt.so.1",
    # These four pairs did not move to nvidia/cu13: -cu12 and -cu13 write the same paths.
    "nvidia-cudnn-cu12": "nvidia/cudnn/lib/libcudnn.so.9",
    "nvidia-cudnn-cu13": "nvidia/cudnn/lib/libcudnn.so.9",
    "nvidia-cusparselt-cu12": "nvidia/cusparselt/lib/libcusparseLt.so.0",
    "nvidia-cusparselt-cu13": "nvidia/cusparselt/lib/libcusparseLt.so.0",
    "nvidia-nccl-cu12": "nvidia/nccl/lib/libnccl.so.2",
    "nvidia-nccl-cu13": "nvidia/nccl/lib/libnccl.so.2",
    "nvidia-nvshmem-cu12": "nvidia/nvshmem/lib/libnvshmem_host.so.3",
    "nvidia-nvshmem-cu13": "nvidia/nvshmem/lib/libnvshmem_host.so.3",
    "nvidia-cublas": "nvidia/cu13/lib/libcublas.so.13",
    "nvidia-cuda-nvcc": "nvidia/cu13/bin/ptxas",
    "nvidia-cuda-nvrtc": "nvidia/cu13/lib/libnvrtc.so.13",
    "nvidia-cuda-runtime": "nvidia/cu13/lib/libcudart.so.13",
}
NVIDIA_REQUIRES = {
    "nvidia-cudnn-cu12": ("nvidia-cublas-cu12",),
    "nvidia-cudnn-cu13": ("nvidia-cublas",),
    "nvidia-cufft-cu12": ("nvidia-nvjitlink-cu12",),
    "nvidia-cusolver-cu12": (
        *("nvidia-cublas-cu12", "nvidia-nvjitlink-cu12", "nvidia-cusparse-cu12"),
    ),
    "nvidia-cusparse-cu12": ("nvidia-nvjitlink-cu12",),
}
BESIDE_TOOLKIT = (  # what cuda-toolkit does not name, or names in another patch than torch pins
    ("nvidia-cuda-nvrtc-cu12", "12.6.77", "2024-10-01"),
    ("nvidia-cudnn-cu12", "9.5.1.17", "2024-10-25"),
    ("nvidia-cudnn-cu12", "9.7.1.26", "2025-02-06"),
    ("nvidia-cudnn-cu12", "9.10.2.21", "2025-06-06"),
    ("nvidia-cudnn-cu12", "9.13.0.50", "2025-09-04"),
    ("nvidia-cudnn-cu13", "9.13.0.50", "2025-09-04"),
    ("nvidia-cusparselt-cu12", "0.6.3", "2024-10-15"),
    ("nvidia-cusparselt-cu12", "0.7.1", "2025-02-26"),
    ("nvidia-cusparselt-cu13", "0.8.0", "2025-08-13"),
    ("nvidia-nccl-cu12", "2.26.2", "2025-03-13"),
    ("nvidia-nccl-cu12", "2.27.3", "2025-06-03"),
    ("nvidia-nccl-cu12", "2.27.5", "2025-06-26"),
    ("nvidia-nccl-cu12", "2.27.7", "2025-08-04"),
    ("nvidia-nccl-cu13", "2.27.7", "2025-09-23"),
    ("nvidia-nvshmem-cu12", "3.3.20", "2025-08-04"),
    ("nvidia-nvshmem-cu12", "3.4.5", "2025-09-06"),
    ("nvidia-nvshmem-cu13", "3.4.5", "2025-09-06"),
)

# What torch's wheels pin. 12.8: METADATA of torch 2.8.0. 12.6: that of 2.7.1, whose default build
# was cu126, with the cuDNN, NCCL and cuSPARSELt of 2.8.0. 12.9: cuda-toolkit 12.9.1, likewise.
PINNED = (
    *("nvrtc", "cudart", "cupti", "cudnn", "cublas", "cufft", "curand", "cusolver", "cusparse"),
    *("cusparselt", "nccl", "nvshmem", "nvtx", "nvjitlink", "cufile"),
)
OF_TORCH = {"2.7.1": "cudnn=9.5.1.17 cusparselt=0.6.3 nccl=2.26.2 triton=3.3.1"}
OF_TORCH["2.8.0"] = "cudnn=9.10.2.21 cusparselt=0.7.1 nccl=2.27.3 triton=3.4.0"
OF_TORCH["2.9.1"] = "cudnn=9.10.2.21 cusparselt=0.7.1 nccl=2.27.5 nvshmem=3.3.20 triton=3.5.1"
TOOLKIT_OF = {"12.6": "12.6.3", "12.8": "12.8.1", "12.9": "12.9.1"}
OTHER_PATCH = {"12.6": {"nvrtc": "12.6.77"}}

TORCH_REQUIRES = (
    "filelock",
    "typing-extensions>=4.10.0",
    'setuptools; python_version >= "3.12"',
    "sympy>=1.13.3",
    "networkx",
    "jinja2",
    "fsspec",
)
TORCH_DAY = {"2.7.1": "2025-06-04", "2.8.0": "2025-08-06", "2.9.1": "2025-11-12"}
TORCH_PYTHON = {"2.7.1": ">=3.9.0", "2.8.0": ">=3.9.0", "2.9.1": ">=3.10"}
TORCHVISION = {"2.7.1": "0.22.1", "2.8.0": "0.23.0", "2.9.1": "0.24.1"}
TRITON = {"3.3.1": "2025-05-29", "3.4.0": "2025-07-30", "3.5.1": "2025-11-11"}
TRITON_PYTHON = {"3.3.1": "", "3.4.0": "<3.14,>=3.9", "3.5.1": "<3.15,>=3.10"}
TORCH_VERSION_PY = """from typing import Optional

__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip', 'xpu']
__version__ = {version!r}
debug = False
cuda: Optional[str] = {variant!r}
git_version = 'a1cb3cc05d46d198467bebbb6e8fba50a325d4e7'
hip: Optional[str] = None
xpu: Optional[str] = None
"""

JAX_PYTHONS = PYTHONS["2.9.1"]
JAX_REQUIRES = (
    "jaxlib<=0.7.2,>=0.7.2",
    "ml_dtypes>=0.5.0",
    "numpy>=2.0",
    "opt_einsum",
    "scipy>=1.13",
    *(
        f'{need}<=0.7.2,>=0.7.2; extra == "{extra}"'
        for extra, plugin in (
            ("cuda", "jax-cuda12-plugin[with-cuda]"),
            ("cuda12", "jax-cuda12-plugin[with-cuda]"),
            ("cuda13", "jax-cuda13-plugin[with-cuda]"),
            ("cuda12-local", "jax-cuda12-plugin"),
            ("cuda13-local", "jax-cuda13-plugin"),
        )
        for need in ("jaxlib", plugin)
    ),
)
JAX_WITH_CUDA = {
    "12": (
        *("nvidia-cublas-cu12>=12.1.3.1", "nvidia-cuda-cupti-cu12>=12.1.105"),
        *("nvidia-cuda-nvcc-cu12>=12.6.85", "nvidia-cuda-runtime-cu12>=12.1.105"),
        *("nvidia-cudnn-cu12<10.0,>=9.8", "nvidia-cufft-cu12>=11.0.2.54"),
        *("nvidia-cusolver-cu12>=11.4.5.107", "nvidia-cusparse-cu12>=12.1.0.106"),
        *("nvidia-nccl-cu12>=2.18.1", "nvidia-nvjitlink-cu12>=12.1.105"),
        *("nvidia-cuda-nvrtc-cu12>=12.1.55", "nvidia-nvshmem-cu12>=3.2.5"),
    ),
    "13": (
        *("nvidia-cublas>=13.0.0.19", "nvidia-cuda-cupti>=13.0.48", "nvidia-cuda-nvcc>=13.0.48"),
        *("nvidia-cuda-runtime>=13.0.48", "nvidia-cudnn-cu13<10.0,>=9.12.0.46"),
        *("nvidia-cufft>=12.0.0.15", "nvidia-cusolver>=12.0.3.29", "nvidia-cusparse>=12.6.2.49"),
        *("nvidia-nccl-cu13>=2.27.7", "nvidia-nvjitlink>=13.0.39", "nvidia-cuda-nvrtc>=13.0.48"),
        *("nvidia-nvshmem-cu13>=3.3.20", "nvidia-nvvm"),
    ),
}

TENSORFLOW_REQUIRES = (
    *("absl-py>=1.0.0", "astunparse>=1.6.0", "flatbuffers>=24.3.25"),
    *("gast!=0.5.0,!=0.5.1,!=0.5.2,>=0.2.1", "google_pasta>=0.1.1", "libclang>=13.0.0"),
    *("opt_einsum>=2.3.2", "packaging", "protobuf>=5.28.0", "requests<3,>=2.21.0", "setuptools"),
    *("six>=1.12.0", "termcolor>=1.1.0", "typing_extensions>=3.6.6", "wrapt>=1.11.0"),
    *("grpcio<2.0,>=1.24.3", "tensorboard~=2.20.0", "keras>=3.10.0", "numpy>=1.26.0"),
    *("h5py>=3.11.0", "ml_dtypes<1.0.0,>=0.5.1"),
)
TENSORFLOW_AND_CUDA = (
    *("nvidia-cublas-cu12<13.0,>=12.5.3.2", "nvidia-cuda-cupti-cu12<13.0,>=12.5.82"),
    *("nvidia-cuda-nvcc-cu12<13.0,>=12.5.82", "nvidia-cuda-nvrtc-cu12<13.0,>=12.5.82"),
    *("nvidia-cuda-runtime-cu12<13.0,>=12.5.82", "nvidia-cudnn-cu12<10.0,>=9.3.0.75"),
    *("nvidia-cufft-cu12<12.0,>=11.2.3.61", "nvidia-curand-cu12<11.0,>=10.3.6.82"),
    *("nvidia-cusolver-cu12<12.0,>=11.6.3.83", "nvidia-cusparse-cu12<13.0,>=12.5.1.3"),
    *("nvidia-nccl-cu12<3.0,>=2.25.1", "nvidia-nvjitlink-cu12<13.0,>=12.5.82"),
)
TENSORFLOW_BUILD = {  # the wheel's architecture -> the rows of its build_info
    X86: (
        "('cpu_compiler', 'clang 18'), ('cuda_compute_capabilities', "
        "['sm_60', 'sm_70', 'sm_80', 'sm_89', 'compute_90']), ('cuda_version', '12.5.1'), "
        "('cudnn_version', '9'), ('is_cuda_build', True), "
    ),
    ARM: "('is_cuda_build', False), ",
}
BUILD_INFO_PY = '''"""Auto-generated module providing information about the build."""
import collections

build_info = collections.OrderedDict([{rows}('is_rocm_build', False), ('is_tensorrt_build', False)])
'''

PURE = {  # name -> version and requirements
    "filelock": ("3.19.1",),
    "fsspec": ("2025.7.0",),
    "hydra-core": ("1.3.2", "omegaconf<2.4,>=2.2", "antlr4-python3-runtime==4.9.*", "packaging"),
    "jinja2": ("3.1.6", "MarkupSafe>=2.0"),
    "keras": (
        *(
            "3.11.3",
            "absl-py",
            "numpy",
            "rich",
            "namex",
            "h5py",
            "optree",
            "ml-dtypes",
            "packaging",
        ),
    ),
    "lightning": (
        *("2.5.5", "PyYAML<8.0,>5.4", "fsspec[http]<2027.0,>=2022.5.0"),
        *("lightning-utilities<2.0,>=0.10.0", "packaging<27.0,>=20.0", "torch<4.0,>=2.1.0"),
        *("torchmetrics<3.0,>0.7.0", "tqdm<6.0,>=4.57.0", "typing-extensions<6.0,>4.5.0"),
        "pytorch-lightning",
    ),
    "lightning-utilities": ("0.15.2", "packaging>=17.1", "setuptools", "typing_extensions"),
    "networkx": ("3.5",),
    "omegaconf": ("2.3.0", "antlr4-python3-runtime==4.9.*", "PyYAML>=5.1.0"),
    "opt-einsum": ("3.4.0",),
    "packaging": ("25.0",),
    "pytorch-lightning": (
        *("2.5.5", "torch>=2.1.0", "tqdm>=4.57.0", "PyYAML>5.4", "fsspec[http]>=2022.5.0"),
        *("torchmetrics>0.7.0", "packaging>=20.0", "typing-extensions>4.5.0"),
        "lightning-utilities>=0.10.0",
    ),
    "setuptools": ("80.9.0",),
    "sympy": ("1.14.0", "mpmath<1.4,>=1.1.0"),
    "torchmetrics": (
        *("1.8.2", "numpy>1.20.0", "packaging>17.1", "torch>=2.0.0", "lightning-utilities>=0.8.0"),
    ),
    "typing-extensions": ("4.14.1",),
    **{
        name: (version,)
        for name, version in (
            *(("absl-py", "2.3.1"), ("astunparse", "1.6.3"), ("flatbuffers", "25.2.10")),
            *(("gast", "0.6.0"), ("google-pasta", "0.2.0"), ("libclang", "18.1.1")),
            *(("mpmath", "1.3.0"), ("namex", "0.1.0"), ("requests", "2.32.4"), ("rich", "14.1.0")),
            *(("six", "1.17.0"), ("tensorboard", "2.20.0"), ("termcolor", "3.1.0")),
            *(("tqdm", "4.67.1"),),
        )
    },
}
COMPILED = {  # name -> versions, of wheels per Python and architecture
    "grpcio": ("1.74.0",),
    "h5py": ("3.14.0",),
    "markupsafe": ("3.0.2",),
    "ml-dtypes": ("0.5.3",),
    "numpy": ("1.26.4", "2.2.6", "2.3.2"),
    "optree": ("0.17.0",),
    "pillow": ("11.3.0",),
    "protobuf": ("6.31.1",),
    "pyyaml": ("6.0.2",),
    "scipy": ("1.16.1",),
    "wrapt": ("1.17.2",),
}
EXAMPLE_NEEDS = {  # what comes in though no line of a spec names it
    "example-gil-user": "example-gil",
    "example-old-torch": "torch==2.7.1",
    "example-preview-user": "example-preview==1.0rc1",
    "example-tensorflow-user": "tensorflow",
    "example-vision-user": "torchvision",
}
NUMPY_PYTHON = {"1.26.4": ">=3.9", "2.2.6": ">=3.10", "2.3.2": ">=3.11"}


# --- from rows to artefacts -------------------------------------------------------------------


def roots() -> tuple[Root, ...]:
    """Return all roots, filled; the default one first."""
    default = Root(DEFAULT)
    for artefact, day in _default():
        default.add(artefact, uploaded=day)
    default.add(wheel("example-yanked", "2.0"), yanked="it was a mistake")
    channels = [Root(f"{PYTORCH}/{name}", "pytorch") for name in ("cu126", "cu128", "cu129", "cpu")]
    for channel, variant in zip(channels, ("12.6", "12.8", "12.9", None), strict=True):
        for artefact, day in _channel(variant):
            channel.add(artefact, uploaded=day)
    leaves(default, *channels)
    corp = Root(CORP, user=CORP_USER, password=CORP_PASSWORD)
    corp.add(wheel("corp-tools", "1.0", ["numpy"]))
    return (default, *channels, Root(MIRROR, "html", projects=default.projects), corp)


def leaves(default: Root, *others: Root) -> None:
    """Add to ``default`` an empty wheel for each ``==`` pin of any root that nothing answers."""
    published = [
        s for r in (default, *others) for files in r.projects.values() for s in files.values()
    ]
    for each in published:
        for line in re.findall(
            r"^Requires-Dist: (.+)$", each.artefact.metadata.decode(), re.MULTILINE
        ):
            need = Requirement(line)
            for pin in (s for s in need.specifier if s.operator == "=="):
                files = default.projects.get(canonicalize_name(need.name), {})
                shown = (
                    *files.values(),
                    *(s for s in published if s.artefact.project == need.name),
                )
                if any(
                    need.specifier.contains(s.artefact.version, prereleases=True) for s in shown
                ):
                    continue
                leaf = wheel(need.name, pin.version.removesuffix(".*"))
                default.add(leaf, uploaded=each.uploaded[:10])


def _default() -> Iterator[tuple[Artefact, str]]:
    yield from _nvidia()
    for release, variant in (("2.7.1", "12.6"), ("2.8.0", "12.8"), ("2.9.1", "12.8")):
        yield from _torch(release, release, {X86: variant, ARM: None}, variant)
    for version, day in TRITON.items():
        yield from _triton(version, day)
    yield from _jax()
    yield from _tensorflow()
    for name, (version, *requires) in PURE.items():
        extras = ("http",) if name == "fsspec" else ()
        yield wheel(name, version, requires, extras=extras), UPLOADED
    for name, versions in COMPILED.items():
        for version in versions:
            python = NUMPY_PYTHON[version] if name == "numpy" else ">=3.9"
            for tag in _tags(PYTHONS["2.9.1"], "manylinux_2_27", "manylinux_2_28"):
                yield wheel(name, version, tag=tag, requires_python=python), UPLOADED
    yield sdist("antlr4-python3-runtime", "4.9.3", pure=True), "2021-11-06"
    yield from _examples()


def _channel(variant: str | None) -> Iterator[tuple[Artefact, str]]:
    local = "cpu" if variant is None else f"cu{variant.replace('.', '')}"
    arches = {X86: None, ARM: None} if variant is None else {X86: variant}
    yield from _torch("2.8.0", f"2.8.0+{local}", arches, variant)
    if variant is not None:
        yield from _triton("3.4.0", TRITON["3.4.0"])


def _examples() -> Iterator[tuple[Artefact, str]]:
    yield wheel("example-tiny", "1.0"), UPLOADED
    yield wheel("example-yanked", "1.0"), UPLOADED
    yield sdist("example-pure", "1.0", pure=True), UPLOADED
    yield sdist("example-compiled", "1.0", pure=False), UPLOADED
    for python in ("cp312-cp312", "cp313-cp313", "cp314-cp314", "cp314-cp314t"):
        yield wheel("example-abi", "1.0", tag=f"{python}-manylinux_2_28_x86_64"), UPLOADED
    for python in ("cp312-cp312", "cp314-cp314"):
        yield wheel("example-abi", "2.0", tag=f"{python}-manylinux_2_28_x86_64"), UPLOADED
    yield wheel("example-gil", "1.0", tag="cp314-cp314-manylinux_2_28_x86_64"), UPLOADED
    yield wheel("example-glibc", "1.0", tag="py3-none-manylinux_2_28_x86_64"), UPLOADED
    yield wheel("example-glibc", "2.0", tag="py3-none-manylinux_2_39_x86_64"), UPLOADED
    yield wheel("example-oldpython", "1.0"), UPLOADED
    yield wheel("example-oldpython", "2.0", requires_python="<3.12,>=3.9"), UPLOADED
    for side in ("a", "b"):
        files = {f"example_clash_{side}.py": "", "example_clash/data.txt": f"from {side}\n"}
        yield wheel(f"example-clash-{side}", "1.0", files=files), UPLOADED
        files = {"example_lib/native.so": f"from {side}\n"}
        yield wheel(f"example-lib-{side}", "1.0", files=files), UPLOADED
    for name, need in EXAMPLE_NEEDS.items():
        yield wheel(name, "1.0", [need]), UPLOADED
    yield wheel("example-preview", "1.0rc1"), UPLOADED


def _tags(
    pythons: Sequence[str], *glibcs: str, arches: Sequence[str] = (X86, ARM)
) -> Iterator[str]:
    for python, arch in itertools.product(pythons, arches):
        yield f"{python}-" + ".".join(f"{glibc}_{arch}" for glibc in glibcs)


def _components(release: str) -> dict[str, str]:
    return dict(part.split("=") for part in TOOLKIT[release].split())


def _package(component: str, major: str) -> str:
    suffixed = major == "12" or component in {"cudnn", "cusparselt", "nccl", "nvshmem"}
    return COMPONENT.get(component, f"nvidia-{component}") + (f"-cu{major}" if suffixed else "")


def _nvidia() -> Iterator[tuple[Artefact, str]]:
    rows = list(BESIDE_TOOLKIT)
    for release, day in TOOLKIT_DAY.items():
        major = release.split(".", maxsplit=1)[0]
        held = {_package(extra, major): (extra, of) for extra, of in _components(release).items()}
        rows += [(name, of, day) for name, (_, of) in held.items()]
        requires = []
        for name, (extra, of) in held.items():
            system = '(sys_platform == "linux" or sys_platform == "win32")'
            system = 'sys_platform == "linux"' if extra == "cufile" else system
            requires += [f'{name}=={of}.*; {system} and extra == "{e}"' for e in (extra, "all")]
        tag = "py2.py3-none-any"
        yield wheel("cuda-toolkit", release, requires, tag=tag, requires_python="", files={}), day
    for name, version, day in dict.fromkeys(rows):
        path = LIBRARY.get(name, f"nvidia/{name.removeprefix('nvidia-').replace('-', '_')}/README")
        files = {path: f"{name} {version}\n"}
        if name.endswith("-cu12") and path.split("/")[1] not in {"cudnn", "cusparselt", "nvshmem"}:
            files = {"nvidia/__init__.py": "", **files}
        new = name.startswith(("nvidia-cublas", "nvidia-cudnn", "nvidia-curand", "nvidia-cusolver"))
        glibcs = ("manylinux_2_27",) if new else ("manylinux2014", "manylinux_2_17")
        for tag in _tags(["py3-none"], *glibcs):
            requires = list(NVIDIA_REQUIRES.get(name, ()))
            yield wheel(name, version, requires, tag=tag, requires_python=">=3", files=files), day


def torch_pins(release: str, variant: str) -> dict[str, str]:
    """Return what the x86_64 wheel of a torch release for a CUDA variant pins, by package."""
    own = dict(part.split("=") for part in OF_TORCH[release].split())
    held = {**_components(TOOLKIT_OF[variant]), **OTHER_PATCH.get(variant, {}), **own}
    pins = {_package(each, "12"): held[each] for each in PINNED if each in held}
    return {**pins, "triton": own["triton"]}


def _torch(
    release: str, version: str, arches: Mapping[str, str | None], pinned: str | None
) -> Iterator[tuple[Artefact, str]]:
    day, python, local = TORCH_DAY[release], TORCH_PYTHON[release], version.removeprefix(release)
    pins = {} if pinned is None else torch_pins(release, pinned)
    requires = [*TORCH_REQUIRES, *(f"{name}=={of}; {LINUX_X86}" for name, of in pins.items())]
    requires += ['optree>=0.13.0; extra == "optree"', 'opt-einsum>=3.3; extra == "opt-einsum"']
    vision = ["numpy", f"torch=={release}", "pillow!=8.3.*,>=5.3.0"]
    for arch, variant in arches.items():
        shown = version if variant is None or local else f"{version}+cu{variant.replace('.', '')}"
        files = {
            "torch/__init__.py": "from torch.version import __version__\n",
            "torch/version.py": TORCH_VERSION_PY.format(version=shown, variant=variant),
            "torch/lib/libtorch_cpu.so": "cpu\n",
        }
        if variant is not None:
            files["torch/lib/libtorch_cuda.so"] = f"cuda {variant}\n"
        for tag in _tags(PYTHONS[release], "manylinux_2_28", arches=[arch]):
            yield (
                wheel("torch", version, requires, tag=tag, requires_python=python, files=files),
                day,
            )
            yield wheel("torchvision", TORCHVISION[release] + local, vision, tag=tag), day
            yield wheel("torchaudio", version, vision[1:2], tag=tag, requires_python=""), day


def _triton(version: str, day: str) -> Iterator[tuple[Artefact, str]]:
    pythons = PYTHONS["2.9.1" if version == "3.5.1" else "2.8.0"]
    arches = (X86, ARM) if version == "3.5.1" else (X86,)
    python = TRITON_PYTHON[version]
    for tag in _tags(pythons, "manylinux_2_27", "manylinux_2_28", arches=arches):
        requires = ["setuptools>=40.8.0"]
        yield wheel("triton", version, requires, tag=tag, requires_python=python), day


def _jax() -> Iterator[tuple[Artefact, str]]:
    day, version, python = "2025-09-16", "0.7.2", ">=3.11"
    yield wheel("jax", version, JAX_REQUIRES, requires_python=python), day
    for tag in _tags(JAX_PYTHONS, "manylinux_2_27"):
        requires = ["scipy>=1.13", "numpy>=2.0", "ml_dtypes>=0.5.0"]
        yield wheel("jaxlib", version, requires, tag=tag, requires_python=python), day
        for major, needed in JAX_WITH_CUDA.items():
            plugin = [f"jax-cuda{major}-pjrt=={version}"]
            plugin += [f'{n}; sys_platform == "linux" and extra == "with-cuda"' for n in needed]
            name = f"jax-cuda{major}-plugin"
            yield wheel(name, version, plugin, tag=tag, requires_python=python), day
    for major, tag in itertools.product(JAX_WITH_CUDA, _tags(["py3-none"], "manylinux_2_27")):
        files = {f"jax_plugins/xla_cuda{major}/version.py": f'__version__ = "{version}"\n'}
        yield wheel(f"jax-cuda{major}-pjrt", version, tag=tag, requires_python="", files=files), day


def _tensorflow() -> Iterator[tuple[Artefact, str]]:
    requires = [*TENSORFLOW_REQUIRES, *(f'{n}; extra == "and-cuda"' for n in TENSORFLOW_AND_CUDA)]
    pythons = PYTHONS["2.8.0"][:3]
    for arch, rows in TENSORFLOW_BUILD.items():
        files = {
            "tensorflow/__init__.py": '__version__ = "2.20.0"\n',
            "tensorflow/python/platform/build_info.py": BUILD_INFO_PY.format(rows=rows),
        }
        for tag in _tags(pythons, "manylinux_2_17", "manylinux2014", arches=[arch]):
            yield wheel("tensorflow", "2.20.0", requires, tag=tag, files=files), "2025-08-13"
