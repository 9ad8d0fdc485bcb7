"""Command lines of other releases, rewritten for this project's scripts."""
import re

DATASETS = {"flickr": "flickr25k", "nuswide": "nus-wide"}
METHODS = {"WSDQH": "wsdhq", "WSDHQ": "wsdhq", "WDHT": "wdht"}  # the release misspells its own


def rewritten(arguments):
    """What to type in place of `arguments` of WSDHQ's release, or None where they are none of it.

    Its train.py takes DATASET LR ITERS LAMBDA M LOSS NOTES GPU, its validation.py DATASET CHECKPOINT.npy GPU; both look
    for data/ and datasets/ in the folder in which they are called.
    """
    if not arguments or arguments[0] not in DATASETS:
        return None
    dataset, shared = DATASETS[arguments[0]], "--data_dir=. --backbone=alexnet"
    if len(arguments) == 8 and arguments[5] in METHODS:
        _, rate, steps, lam, books, loss, notes, gpu = arguments
        method = METHODS[loss]
        return (f"CUDA_VISIBLE_DEVICES={gpu} python train.py --method={method} --dataset={dataset} --n_book={books} "
                f"--learning_rate={rate} --iterations={steps} --lam={lam} {shared} "
                f"--ImagNet_pretrained_path=alexnet.npy --model_save_path=models/{method}_{arguments[0]}_{notes}")
    if len(arguments) == 3 and arguments[1].endswith(".npy"):
        _, checkpoint, gpu = arguments
        bits = re.search(r"nbits=(\d+)", checkpoint)
        books = f" --n_book={int(bits[1]) // 8}" if bits else ""
        return (f"CUDA_VISIBLE_DEVICES={gpu} python Demo.py --method=wsdhq --dataset={dataset}{books} {shared} "
                f"--model_load_path={checkpoint}")
    return None
