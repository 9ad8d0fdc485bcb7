"""Demo.py whole, as a user starts it: seconds and peak memory, with the database not yet saved and saved.

    python benchmarks/demo.py [any setting of config.py]     # about 5 minutes on two cores with the full set
"""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    with tempfile.TemporaryDirectory() as folder:
        for state in ("not yet saved", "saved"):
            began = time.perf_counter()
            process = subprocess.Popen([sys.executable, "Demo.py", *sys.argv[1:], f"--model_save_path={folder}"],
                                       cwd=ROOT, stdout=subprocess.PIPE, text=True)
            printed = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                sys.exit("Demo.py failed")
            print(f"database {state}: {time.perf_counter() - began:.1f} s, peak {usage.ru_maxrss / 2**20:.2f} GiB")
            print("".join(f"    {line}\n" for line in printed.splitlines()), flush=True)


if __name__ == "__main__":
    main()
