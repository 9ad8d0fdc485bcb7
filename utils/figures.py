"""Ranked lists as pictures."""
from matplotlib.figure import Figure

from utils.errors import UserError

COLUMNS = 8
RIGHT, WRONG, UNKNOWN = "#2ca02c", "#d62728", "#7f7f7f"


def ranked_list(path, query, query_title, images, titles, right):
    """Save the query and its nearest images, nearest first, to `path`.

    query: uint8 [H, W, 3]; images: a list of uint8 [H, W, 3], or None for one that cannot be shown; titles: one
    text each; right: one bool each (green or red frame), or None where nobody knows (grey). Raises UserError where
    `path` cannot be written.
    """
    rows = -(-(len(images) + 1) // COLUMNS)
    figure = Figure(figsize=(1.2 * COLUMNS, 1.55 * rows), dpi=100, layout="constrained")
    query_axis, *axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    _draw(query_axis, query, query_title, "black")
    for axis, image, title, good in zip(axes, images, titles, right, strict=False):
        _draw(axis, image, title, UNKNOWN if good is None else RIGHT if good else WRONG)
    for axis in axes[len(images):]:
        axis.set_axis_off()
    try:
        figure.savefig(path)
    except OSError as error:
        raise UserError(f"the figure {path} cannot be written ({error.strerror}); run it from a folder that you may "
                        "write to") from error


def _draw(axis, image, title, colour):
    if image is not None:
        axis.imshow(image, interpolation="nearest")
    axis.set_title(title, fontsize=7, pad=3, parse_math=False)
    axis.set(xticks=[], yticks=[])
    for edge in axis.spines.values():
        edge.set(color=colour, linewidth=3)
