"""The scripts as verbs of one command, which `pip install .` puts beside Python.

    gpq train --n_book=6 --model_save_path=models/short
    gpq demo --query=307
    gpq encode --images=folder --out=codes.npz
    gpq faiss codes.npz codes.faiss
    gpq pretrain | reproduce | data    # and each has --help

Data and models are read and written below the folder in which it is called. `pip install -e .` in the repository leaves
config.py where it can be edited.
"""
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = {"train": "train.py", "demo": "Demo.py", "encode": "encode.py", "pretrain": "pretrain.py",
           "reproduce": "reproduce.py"}
MODULES = {"data": "gpq.utils.data", "faiss": "gpq.utils.retrieval.faiss"}


def main():
    """Run the script that the first argument names, with the others."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb not in SCRIPTS.keys() | MODULES:
        print(__doc__)
        sys.exit(0 if verb in ("-h", "--help") else f"gpq: there is no {verb}; say one of "
                                                    f"{', '.join([*SCRIPTS, *MODULES])}")
    del sys.argv[1]
    if verb in MODULES:
        runpy.run_module(MODULES[verb], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(str(HERE / SCRIPTS[verb]), run_name="__main__")


if __name__ == "__main__":
    main()
