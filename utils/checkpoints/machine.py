"""The machine that TensorFlow runs on: its Session, and what it is called."""
import os
import platform
import subprocess
from pathlib import Path

from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig

from gpq.model.tf1 import tf


def session(config):
    """A Session that takes GPU memory as it needs it and computes in `config.precision`."""
    options = tf.ConfigProto(gpu_options=tf.GPUOptions(allow_growth=True))
    options.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 = (
        RewriterConfig.ON if config.precision == "bfloat16" else RewriterConfig.OFF)
    return tf.Session(config=options)


def device():
    """The name of the GPU that TensorFlow uses, else the processor's and how many cores there are."""
    for gpu in tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"


def commit():
    """The commit that the code is of, a + behind it where Python files were changed since; "unknown" without one."""
    try:
        revision, changed = (
            subprocess.run(["git", *command], cwd=Path(__file__).parent, capture_output=True, text=True,
                           check=True).stdout.strip()
            for command in (["rev-parse", "--short", "HEAD"], ["diff", "--name-only", "HEAD", "--", ":/*.py"]))
        return f"{revision}+" if changed else revision
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
