"""Ray, where it is installed: an engine that runs Python on many machines, optional."""
import os
from pathlib import Path

from utils.errors import UserError

CODE = str(Path(__file__).resolve().parents[2])  # where the workers find `utils`, wherever the command was started


def connected(address):
    """The module `ray`, connected to the cluster at `address`, as `ray.init` names it: "auto" for one that runs,
    "local" for one that is started here and ends with this process. A connection that there is already stays.

    Raises UserError where Ray is not installed, or finds no cluster.
    """
    try:
        import ray
    except ImportError:
        raise UserError(f"--ray={address} needs Ray; pip install \"ray[data]\", or leave --ray out"
                        ) from None
    if not ray.is_initialized():
        path = os.pathsep.join(filter(None, [CODE, os.environ.get("PYTHONPATH")]))
        try:
            ray.init(address=address, log_to_driver=False, logging_level="warning",
                     runtime_env={"env_vars": {"PYTHONPATH": path}})
        except (ConnectionError, ValueError) as error:
            raise UserError(f"Ray finds no cluster at {address} ({str(error).partition(chr(10))[0]}); start one with "
                            "ray start --head, or give --ray=local") from error
    return ray


def cores(ray):
    """How many cores the cluster has, at least 1."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))
