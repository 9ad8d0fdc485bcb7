import numpy as np

from utils import files
from utils.data import archives, cifar10
from utils.errors import UserError


def make_sample(data_dir, out):
    """Write every tenth image of each role of protocol 1 into the folder `out`, in the published format.

    Each image stays in the file of its own batch; `positions.npy`, int32 [6000], says where it was published.
    Raises `UserError` where `data_dir` has no full set or `out` cannot be written.
    """
    source = cifar10.find(data_dir)
    data = cifar10.load(data_dir)
    if data.source.part != "all":
        raise UserError(f"A sample is made from the full set, which is not in {data_dir}.")
    positions = np.sort(np.concatenate([role[::10] for role in (data.query, data.labelled, data.gallery)]))
    with files.whole_folder(out) as unfinished:
        (unfinished / "batches.meta").write_bytes((source / "batches.meta").read_bytes())
        np.save(unfinished / cifar10.POSITIONS, positions)
        for number, name in enumerate(cifar10.BATCHES):
            rows = positions[positions // cifar10.PER_BATCH == number] % cifar10.PER_BATCH
            (unfinished / name).write_bytes(_batch_bytes(source / name, rows))


def _batch_bytes(path, rows):
    """The pickle of a published batch file cut down to the given rows."""
    batch = archives.read_batch(cifar10.ARCHIVE, path, cifar10.fetch_command(path.parent), cifar10.PER_BATCH)
    return archives.batch_bytes({
        b"batch_label": batch[b"batch_label"],
        b"labels": [batch[b"labels"][row] for row in rows],
        b"data": batch[b"data"][rows],
        b"filenames": [batch[b"filenames"][row] for row in rows]})
