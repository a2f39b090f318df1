import os

import pytest

from kaggle_digits.core.library_settings import ignore_variables

IGNORED = (
    *("KERAS_MAX_EPOCHS", "KERAS_NNX_ENABLED", "TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS"),
    *("TF_USE_LEGACY_KERAS", "TF_XLA_FLAGS", "TF2_BEHAVIOR", "JAX_ENABLE_X64", "ONEDNN_VERBOSE"),
    *("DNNL_MAX_CPU_ISA", "SKLEARN_WORKING_MEMORY", "PANDAS_COPY_ON_WRITE", "SCIPY_ARRAY_API"),
    "MATPLOTLIBRC",
)
HONOURED = (
    *("KERAS_BACKEND", "KERAS_HOME", "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", "OMP_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_MEM_FRACTION"),
    *("KD_PRECISION", "HOME", "MPLCONFIGDIR"),
)


def test_variables_of_other_tools_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*IGNORED, *HONOURED):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    ignore_variables()
    assert not {*IGNORED, "XLA_FLAGS"} & set(os.environ)
    assert set(HONOURED) <= set(os.environ)


def test_the_folder_of_cuda_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "--xla_gpu_cuda_data_dir=cuda-12"
    monkeypatch.setenv("XLA_FLAGS", f"--xla_gpu_autotune_level=0 {folder}")
    ignore_variables()
    assert os.environ["XLA_FLAGS"] == folder
