"""Ranked lists, curves and the paper's figures as pictures."""
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.rcsetup import cycler
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter
from scipy.spatial import Voronoi, voronoi_plot_2d

from gpq.utils import files

COLUMNS = 8
RIGHT, WRONG, UNKNOWN = "#2ca02c", "#d62728", "#7f7f7f"
CLASSES = np.array(colormaps["tab10"].colors)  # RGB of ten classes; an eleventh has the colour of the first
UNLABELLED = "#b0b0b0"
FEW = 8  # points of a line that are marked
LINES = cycler(linestyle=["-", "--", ":", "-."]) * cycler(color=CLASSES)  # ten solid ones first


def ranked_list(path, query, query_title, images, titles, right):
    """Save the query and its nearest images, nearest first, to `path`.

    query: uint8 [H, W, 3]; images: a list of uint8 [H, W, 3], or None for one that cannot be shown; titles:
    one text each; right: one bool each (green or red frame), or None where nobody knows (grey). Raises
    UserError where `path` cannot be written.
    """
    rows = -(-(len(images) + 1) // COLUMNS)
    figure = Figure(figsize=(1.2 * COLUMNS, 1.55 * rows), dpi=100, layout="constrained")
    query_axis, *axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    _draw(query_axis, query, query_title, "black")
    for axis, image, title, good in zip(axes, images, titles, right, strict=False):
        _draw(axis, image, title, UNKNOWN if good is None else RIGHT if good else WRONG)
    for axis in axes[len(images):]:
        axis.set_axis_off()
    _save(figure, path)


def curves(path, series, x_label, y_label):
    """Save lines over one pair of axes to `path`: losses, mAP, precision-recall, precision@k.

    series: {name: (x [N], y [N])} in the units that the labels name; a line has a gap where y is NaN.
    Raises UserError where `path` cannot be written.
    """
    figure, (axis,) = _panels(1, width=9)
    axis.set_prop_cycle(LINES)
    for name, (x, y) in series.items():
        axis.plot(x, y, label=name, marker="o" if len(x) <= FEW else "")
    axis.set(xlabel=x_label, ylabel=y_label)
    axis.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    _save(figure, path)


def bars(path, groups, series, y_label):
    """Save grouped bars with error bars to `path` (the paper's Figure 3).

    groups: a name for each group, such as a bit length. series: {name: a (mean, standard deviation) for each
    group, or None where there is no run}, which leaves a gap. Raises UserError where `path` cannot be
    written.
    """
    figure, (axis,) = _panels(1, width=6.4)
    width = 0.8 / len(series)
    for k, (name, cells) in enumerate(series.items()):
        mean, deviation = np.array([(np.nan, np.nan) if cell is None else cell for cell in cells]).T
        place = np.arange(len(groups)) + (k - (len(series) - 1) / 2) * width
        axis.bar(place, mean, width, yerr=deviation, capsize=3, label=name)
    axis.set_xticks(range(len(groups)), groups)
    axis.set_xlim(-0.5, len(groups) - 0.5)
    axis.set_ylabel(y_label)
    figure.legend(loc="outside upper center", ncols=len(series))
    _save(figure, path)


def surface(path, lam_1, lam_2, values, titles):
    """Save the mAP over the paper's λ1 and λ2, as columns of one colour scale, to `path` (Figure 4).

    lam_1 [A], lam_2 [B]: the weights of classification and entropy, evenly spaced whatever they are. values: float
    [T, A, B], a panel for each of T titles, NaN where there is no run. Raises UserError where `path` cannot be written.
    """
    values = np.asarray(values, float)
    figure, axes = _panels(len(titles), width=5, projection="3d")
    known = values[np.isfinite(values)]
    scale = ScalarMappable(Normalize(*(known.min(), known.max()) if known.size else (0, 1)), "viridis")
    for axis, title, table in zip(axes, titles, values, strict=True):
        a, b = np.nonzero(np.isfinite(table))
        if len(a):
            axis.bar3d(a - 0.3, b - 0.3, 0, 0.6, 0.6, table[a, b], color=scale.to_rgba(table[a, b]))
        axis.set(xticks=range(len(lam_1)), yticks=range(len(lam_2)))
        # With labels given to set_xticks, Matplotlib 3.8 cannot lay the figure out.
        axis.xaxis.set_major_formatter(FixedFormatter(list(map(str, lam_1))))
        axis.yaxis.set_major_formatter(FixedFormatter(list(map(str, lam_2))))
        axis.set(title=title, zlim=(0, scale.norm.vmax))
        axis.set_xlabel("weight of classification, λ1", labelpad=10)
        axis.set_ylabel("weight of entropy, λ2", labelpad=10)
        axis.view_init(elev=40)  # shows the tops of columns that stand behind others
        axis.set_box_aspect(None, zoom=0.8)  # leaves room for the numbers
    figure.colorbar(scale, ax=axes, label="mAP", shrink=0.6)
    _save(figure, path)


def embedding(path, points, labels, class_names, titles):
    """Save embedded features, coloured by class, to `path` (Figure 5).

    points: float32 [T, N, 2], a panel for each of T titles. labels: int [N], the class of each point, one of
    ten, in all panels. class_names: a text for each class. Raises UserError where `path` cannot be written.
    """
    figure, axes = _panels(len(titles), width=4)
    mixed = np.random.default_rng(0).permutation(len(labels))  # or the last class would lie on top
    for axis, title, cloud in zip(axes, titles, points, strict=True):
        axis.scatter(*cloud[mixed].T, s=4, linewidths=0, c=_class_colours(labels)[mixed])
        axis.set(title=title, xticks=[], yticks=[])
    dots = [_dot(colour, name) for colour, name in zip(_class_colours(range(len(class_names))), class_names,
                                                       strict=True)]
    figure.legend(handles=dots, loc="outside lower center", ncols=min(5, 3 * len(titles)))
    _save(figure, path)


def voronoi(path, panels):
    """Save the cells of a codebook's codewords among the sub-vectors, all 2-D, to `path` (Figure 1, below).

    panels: for each panel (title, codewords float [K, 2], labelled float [N, 2], labels int [N], unlabelled
    float [N', 2]), all drawn as they are, so that those that were l2-normalised lie on the unit circle. A
    cell holds what is nearest to its codeword. Raises UserError where `path` cannot be written.
    """
    figure, axes = _panels(len(panels), width=4)
    for axis, (title, codewords, labelled, labels, unlabelled) in zip(axes, panels, strict=True):
        _cells(axis, codewords, np.concatenate([codewords, labelled, unlabelled]))
        axis.scatter(*np.transpose(unlabelled), s=6, linewidths=0, color=UNLABELLED)
        axis.scatter(*np.transpose(labelled), s=12, linewidths=0, c=_class_colours(labels))
        axis.scatter(*np.transpose(codewords), s=90, marker="*", color="black", edgecolors="white", zorder=3)
        axis.set(title=title, xticks=[], yticks=[])
    kinds = [_dot(UNLABELLED, "unlabelled"), _dot(CLASSES[0], "labelled, by class"),
             _dot("black", "codeword", "*")]
    figure.legend(handles=kinds, loc="outside lower center", ncols=len(kinds))
    _save(figure, path)


def _panels(n, width, **subplot):
    """A figure of n panels in a row, `width` inches each, and their axes."""
    figure = Figure(figsize=(width * n, 4.2), dpi=100, layout="constrained")
    return figure, figure.subplots(1, n, squeeze=False, subplot_kw=subplot)[0]


def _class_colours(labels):
    return CLASSES[np.asarray(labels) % len(CLASSES)]


def _dot(colour, name, marker="o"):
    """An entry of a legend."""
    return Line2D([], [], linestyle="", marker=marker, color=colour, label=name)


def _cells(axis, codewords, shown):
    """Draw the borders between the codewords' cells, over the square that holds all points `shown`."""
    low, high = shown.min(0), shown.max(0)
    centre, half = (low + high) / 2, 0.55 * (high - low).max()
    far = 100 * half * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    bounded = np.concatenate([codewords, centre + far])  # their cells lie out of sight and close all others
    voronoi_plot_2d(Voronoi(bounded), axis, show_points=False, show_vertices=False, line_colors=UNKNOWN)
    (left, bottom), (right, top) = centre - half, centre + half
    axis.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")


def _save(figure, path):
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a $ in somebody's name is a $
        text.set_text(text.get_text().encode(errors="replace").decode())  # a name may be no UTF-8
    with files.whole(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:])


def _draw(axis, image, title, colour):
    if image is not None:
        axis.imshow(image, interpolation="nearest")
    axis.set_title(title, fontsize=7, pad=3)
    axis.set(xticks=[], yticks=[])
    for edge in axis.spines.values():
        edge.set(color=colour, linewidth=3)
