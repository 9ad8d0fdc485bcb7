"""The page under load: how long answers take, and what memory the process grows to.

    python benchmarks/page.py                              # Demo.py --serve of the shipped checkpoint, on loopback

10,000 requests by 8 clients, then 100 uploads of large pictures by 50 clients at once. It takes some minutes. Times are
of a process that shares the machine with its clients; beside other work they mean little, the memory still does.
"""
import contextlib
import http.client
import io
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
REQUESTS, UPLOADS = (10_000, 8), (100, 50)  # how many, by how many clients
HEAD = b'--B\r\nContent-Disposition: form-data; name="picture"; filename="x"\r\n\r\n'


def pictures():
    """{what: bytes of a file of at most 10 MiB}, the largest that an upload may be."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    found = {}
    for what, mode, size, kind, more in (
            ("JPEG, 50 million pixels", "RGB", (8000, 6250), "JPEG", {"quality": 60}),
            ("progressive JPEG, 16 million", "RGB", (4000, 4000), "JPEG", {"quality": 60, "progressive": True}),
            ("PNG with transparency, 16 million", "RGBA", (4000, 4000), "PNG", {}),
            ("PNG of 16 bits, 16 million", "I;16", (4000, 4000), "PNG", {}),
            ("TIFF of float32, 2 million", "F", (1400, 1400), "TIFF", {}),
            ("PNG of 1 × 16,000,000", "L", (1, 16_000_000), "PNG", {})):
        picture = Image.new(mode, size, 0)
        if mode == "RGB":
            picture = noise.resize(size)
        elif mode == "F":
            picture.putpixel((0, 0), 1.0)
        file = io.BytesIO()
        picture.save(file, kind, **more)
        found[what] = file.getvalue()
    return found


def ask(address, path, body=None):
    """(seconds, status) of a request."""
    began = time.perf_counter()
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=600)) as connection:
        connection.request("POST" if body else "GET", path, body, {"Content-Type": "multipart/form-data; boundary=B"})
        answer = connection.getresponse()
        answer.read()
    return time.perf_counter() - began, answer.status


def _until_it_ends(*asked):
    with contextlib.suppress(OSError, http.client.HTTPException):
        ask(*asked)


def memory(process, kind):
    """MiB of a process: "VmRSS" now, or "VmHWM" at most since `mark`."""
    return int(re.search(rf"{kind}:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) >> 10


def mark(process):
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def measured(process, what, clients, address, jobs):
    """Print how long `jobs`, (path, body) each, took when so many clients asked for them."""
    before = memory(process, "VmRSS")
    mark(process)
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds, statuses = zip(*pool.map(lambda job: ask(address, *job), jobs), strict=True)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    took = time.perf_counter() - began
    print(f"{what}: {len(jobs)} by {clients} clients in {took:.0f} s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, "
          f"{statuses.count(200)} answered; memory {before} MiB before, at most {memory(process, 'VmHWM')}, "
          f"{memory(process, 'VmRSS')} after", flush=True)


def main():
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(
            [sys.executable, ROOT / "Demo.py", "--serve", "--port=0", f"--model_save_path={folder}",
             f"--model_load_path={ROOT / 'models' / '48bits_example.ckpt'}"], stdout=subprocess.PIPE, text=True,
            cwd=ROOT) as process:
        port = next(int(found[1]) for line in process.stdout if (found := re.search(r"at http://.*:(\d+)/", line)))
        address = "127.0.0.1", port
        draw = random.Random(0)
        paths = ["/", "/static/page.js", "/map", *(f"/search?query={draw.randrange(100)}" for _ in range(20)),
                 *(f"/search?picture={draw.randrange(5400)}" for _ in range(5)),
                 *(f"/gallery/{draw.randrange(5400)}.png" for _ in range(40))]
        number, clients = REQUESTS
        for what, count in (("the first requests", number // 10), ("requests", number)):
            measured(process, what, clients, address, [(draw.choice(paths), None) for _ in range(count)])
        uploads = []
        for what, picture in pictures().items():
            uploads.append(("/search", HEAD + picture + b"\r\n--B--\r\n"))
            measured(process, f"{what} ({len(picture) / 2**20:.1f} MiB)", 1, address, uploads[-1:])
        number, clients = UPLOADS
        for what in ("the first uploads", "uploads", "uploads"):
            measured(process, f"{what} of all of these", clients, address, draw.choices(uploads, k=number))
        threading.Thread(target=_until_it_ends, args=(address, *uploads[0]), daemon=True).start()
        time.sleep(0.1)
        began = time.perf_counter()
        process.send_signal(signal.SIGINT)
        print(f"Ctrl-C during an upload: ends with {process.wait()} after {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
