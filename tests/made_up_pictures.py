"""Data sets of pictures that nobody took, in the files of the true ones."""
import io
import pickle
import tarfile

import numpy as np
from PIL import Image

THEMES = {1000: "sea", 2000: "wood"}


def jpeg(width=48, height=32, seed=0):
    """The bytes of a JPEG of coloured noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(file, "JPEG")
    return file.getvalue()


def corel(folder, broken=()):
    """Write a small Corel5k: two CDs of 15 training and 3 test pictures, 12 keywords; `broken` names are cut short."""
    words = ["sea", "boat", "wave", "tree", "leaf", "moss", "zzz", *(f"word{k}" for k in range(5))]
    (folder / "words").write_text("\n".join(words) + "\n")
    vectors = np.eye(8, dtype=np.float32)
    vectors[2] = vectors[0] + 0.02 * vectors[7]  # a wave is nearly a sea
    np.savez(folder / "glove300.npz", vectors=vectors[:6], words=np.array(words[:6]))
    with tarfile.open(folder / "images.tar", "w") as archive:
        for part, count, start in (("train", 15, 0), ("test", 3, 50)):
            rows = []
            for theme in THEMES:
                for k in range(count):
                    name, first = f"{part}/{theme + start + k}.jpeg", 1 if theme == 1000 else 4
                    # the first picture of each has a keyword that no vector is known of, and no other
                    rows.append(f"{theme + start + k} {7 if k == 0 else f'{first + k % 3} {8 + k % 5}'}")
                    content = jpeg(48, 32, theme + k)
                    member = tarfile.TarInfo(name)
                    content = content[:len(content) // 2] if name in broken else content
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
            (folder / ("training_label" if part == "train" else "test_label")).write_text("\n".join(rows) + "\n")
    return folder


def lists(root, name="flickr25k"):
    """Write a small data set in the released program's files: 6 pictures of which the first two are test, the others
    database, and the last three train; 4 raw tags, 3 merged. Returns `root`."""
    folder, pictures = root / "data" / name, root / "datasets" / name / "im"
    (folder / "tags").mkdir(parents=True)
    pictures.mkdir(parents=True)
    for k in range(6):
        (pictures / f"{k}.jpg").write_bytes(jpeg(40 + k, 50, k))
    paths = [f"im/{k}.jpg" for k in range(6)]
    texts = {"test_img.txt": paths[:2], "database_img.txt": paths[2:], "train_img.txt": paths[3:],
             "test_label.txt": ["1 0", "0 1"], "database_label.txt": ["1 0", "0 1", "1 1", "0 1"],
             "train_tag.txt": ["1 0 0 0", "0 1 1 0", "0 0 0 1"],
             "common_tags.txt": ["sun", "suns", "rain", "x9y"], "tags/FinalTagEmbs.txt": ["1.0 0.0", "0.0 2e0"]}
    for file, rows in texts.items():
        (folder / file).write_text("\n".join(rows) + "\n")
    with open(folder / "tags" / "TagIdMergeMap.pkl", "wb") as file:
        pickle.dump({0: [0, 1], 1: [2], -1: [3]}, file)
    return root
