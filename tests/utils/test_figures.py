"""Pictures of curves, bars, columns, points and cells, looked at as pixels."""
import warnings

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from scipy.spatial.distance import cdist

from gpq.utils import figures
from gpq.utils.errors import UserError

LAMBDAS = [0, 0.001, 0.01, 0.1, 1]
BLACK = (0, 0, 0)


class Picture:
    """A picture that `function` drew, read back from its file, and its figure."""

    def __init__(self, monkeypatch, path, function, *arguments):
        def savefig(figure, *where, **how):
            self.figure = figure
            save(figure, *where, **how)

        save = figures.Figure.savefig
        with monkeypatch.context() as patched, warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warnings.simplefilter("error", RuntimeWarning)
            patched.setattr(figures.Figure, "savefig", savefig)
            assert function(path, *arguments) is None
        self.pixels = np.asarray(Image.open(path).convert("RGB"), int)

    def at(self, axis, points):
        """The pixels int [N, 3] at data coordinates [N, 2]."""
        x, y = self.figure.axes[axis].transData.transform(points).astype(int).T
        return self.pixels[len(self.pixels) - 1 - y, x]

    def places(self, axis, colour):
        """Data coordinates [N, 2] of the pixels inside an axis that have a colour."""
        place = self.figure.axes[axis]
        rows, columns = np.nonzero(np.abs(self.pixels - np.multiply(colour, 255)).max(-1) < 4)
        x, y = columns + 0.5, len(self.pixels) - rows - 0.5
        box = place.bbox.padded(-3)  # without the frame
        kept = (x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)
        return place.transData.inverted().transform(np.column_stack([x, y])[kept])


@pytest.fixture
def draw(monkeypatch, tmp_path):
    return lambda function, *arguments: Picture(monkeypatch, tmp_path / "a.png", function, *arguments)


def legend(figure):
    holder = figure.legends or [axis.get_legend() for axis in figure.axes]
    return [text.get_text() for text in holder[0].get_texts()]


def test_curves_pass_through_their_points(draw):
    x = np.linspace(0, 10, 21)
    picture = draw(figures.curves, {"up": (x, x**2), "down": (x[::4], 90 - x[::4])}, "step", "loss")
    for colour, line in ((0, x**2), (1, 90 - x)):
        ink = picture.places(0, figures.CLASSES[colour])
        ink = ink[(ink[:, 0] > 1) & (ink[:, 0] < 9.5)]
        np.testing.assert_allclose(ink[:, 1], np.interp(ink[:, 0], x, line), atol=1.5)
        assert np.ptp(ink[:, 0]) > 8
    assert legend(picture.figure) == ["up", "down"]
    axis = picture.figure.axes[0]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("step", "loss")


def test_forty_curves_all_look_different_and_the_legend_hides_none(draw):
    picture = draw(figures.curves, {f"row {k}": ([0, 1], [k, k]) for k in range(40)}, "step", "mAP")
    (axis,) = picture.figure.axes
    assert len({(line.get_linestyle(), tuple(line.get_color())) for line in axis.lines}) == 40
    assert not picture.figure.legends[0].get_window_extent().overlaps(axis.bbox)


def test_few_points_of_a_curve_are_marked(draw):
    picture = draw(figures.curves, {"few": ([4], [0.5]), "many": (np.arange(9), np.arange(9))}, "bits", "mAP")
    assert [line.get_marker() for line in picture.figure.axes[0].lines] == ["o", ""]


def test_bars_stand_as_high_as_their_means_and_leave_gaps(draw):
    series = {"GPQ": [(0.4, 0), (0.8, 0)], "GPQ-H": [(0.6, 0), None], "GPQ-T": [None, None]}
    picture = draw(figures.bars, ["12", "48"], series, "mAP")
    blue, orange, green = (picture.places(0, colour) for colour in figures.CLASSES[:3])
    for side, height in ((blue[:, 0] < 0.5, 0.4), (blue[:, 0] > 0.5, 0.8)):
        assert blue[side, 1].max() == pytest.approx(height, abs=0.01)
    assert orange[:, 1].max() == pytest.approx(0.6, abs=0.01)
    assert (orange[:, 0] < 0.5).all() and not len(green)
    assert orange[:, 0].min() > blue[blue[:, 0] < 0.5, 0].max() - 0.01
    assert legend(picture.figure) == ["GPQ", "GPQ-H", "GPQ-T"]
    assert [text.get_text() for text in picture.figure.axes[0].get_xticklabels()] == ["12", "48"]


def test_bars_show_their_deviation(draw):
    black = draw(figures.bars, ["12"], {"GPQ": [(0.5, 0.2)]}, "mAP").places(0, BLACK)
    np.testing.assert_allclose([black[:, 1].min(), black[:, 1].max()], [0.3, 0.7], atol=0.01)


def test_columns_of_the_surface_stand_at_their_places_in_the_colour_of_their_value(draw):
    values = np.full((2, 5, 5), np.nan)
    values[0, 4, 0], values[0, 0, 4], values[1, 4, 0] = 0.8, 0.4, 0.4
    picture = draw(figures.surface, LAMBDAS, LAMBDAS, values, ["12 bits", "48 bits"])
    left, right, scale = picture.figure.axes
    red, green, blue = picture.pixels.transpose(2, 0, 1)
    yellow, purple = red > 3 * blue, blue > 3 * green  # shading keeps the hue
    x = np.arange(picture.pixels.shape[1])
    in_left, in_right = ((x > axis.bbox.x0) & (x < axis.bbox.x1) for axis in (left, right))
    (low, far), (high, near) = (np.argwhere(hue & in_left).mean(0) for hue in (yellow, purple))
    assert low > high + 50 and far > near + 50  # (4, 0) stands in front, right, (0, 4) behind, left
    assert (yellow & in_left).sum() > 1.5 * (purple & in_left).sum()
    assert not (yellow & in_right).any() and (purple & in_right).sum() > 500
    assert [axis.get_title() for axis in (left, right)] == ["12 bits", "48 bits"]
    assert scale.get_ylim() == (0.4, 0.8)
    assert (left.get_xlabel(), left.get_ylabel()) == ("weight of classification, λ1", "weight of entropy, λ2")
    for axis in (left.xaxis, left.yaxis):
        assert [text.get_text() for text in axis.get_ticklabels()] == [str(value) for value in LAMBDAS]


def test_figures_without_any_run_are_drawn_empty(draw):
    surface = draw(figures.surface, LAMBDAS, LAMBDAS, np.full((1, 5, 5), np.nan), ["12 bits"])
    x = np.arange(surface.pixels.shape[1])
    inside = surface.pixels[:, x < surface.figure.axes[0].bbox.x1]
    assert (np.ptp(inside, axis=-1) == 0).all()  # grey axes, no column
    assert not len(draw(figures.bars, ["12"], {"GPQ": [None]}, "mAP").places(0, figures.CLASSES[0]))


def test_embedded_points_have_the_colour_of_their_class_in_every_panel(draw):
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, 10, 40))
    grid = np.stack(np.divmod(np.arange(40), 8), 1).astype(np.float32)
    points = np.stack([rng.permutation(grid) for _ in range(3)])
    names = [f"class {k}" for k in range(10)]
    picture = draw(figures.embedding, points, labels, names, ["GPQ-T", "GPQ-H", "GPQ"])
    for panel in range(3):
        np.testing.assert_allclose(picture.at(panel, points[panel]), 255 * figures.CLASSES[labels], atol=60)
    assert legend(picture.figure) == names
    assert [axis.get_title() for axis in picture.figure.axes] == ["GPQ-T", "GPQ-H", "GPQ"]


def test_no_class_of_an_embedding_hides_another(draw):
    points = np.random.default_rng(0).random((1, 20000, 2), np.float32)
    picture = draw(figures.embedding, points, np.repeat([0, 1], 10000), ["a", "b"], ["crowded"])
    blue, orange = (len(picture.places(0, colour)) for colour in figures.CLASSES[:2])
    assert 0.8 < blue / orange < 1.25


def test_cells_part_what_is_nearest_to_each_codeword(draw):
    codewords = np.random.default_rng(0).standard_normal((8, 2))
    none = np.empty((0, 2))
    picture = draw(figures.voronoi, [("cells", codewords, none, np.empty(0, int), none)])
    axis = picture.figure.axes[0]
    pixel = np.diff(axis.get_xlim())[0] / axis.bbox.width

    def imbalance(points):
        """By how many pixels the nearest codeword is nearer than the next, and how far it is."""
        first, second = np.sort(cdist(points, codewords) / pixel, axis=1)[:, :2].T
        return second - first, first

    drawn = picture.places(0, to_rgb(figures.UNKNOWN))
    difference, distance = imbalance(drawn)
    assert len(drawn) > 300 and (difference[distance > 12] < 3).all()
    x, y = (np.linspace(*limits, 400)[5:-5] for limits in (axis.get_xlim(), axis.get_ylim()))
    everywhere = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    difference, distance = imbalance(everywhere)
    border = everywhere[(difference < 0.2) & (distance > 12)]
    assert len(border) > 100 and np.mean(picture.at(0, border).max(1) < 230) > 0.95  # soft where pixels round


def test_a_single_cell_and_equal_codewords_have_no_border(draw):
    none, labels = np.empty((0, 2)), np.empty(0, int)
    circle = np.column_stack([np.cos(np.arange(6)), np.sin(np.arange(6))])
    picture = draw(figures.voronoi, [(title, circle[:1].repeat(n, 0), none, labels, circle)
                                     for title, n in (("one", 1), ("equal", 3))])
    for panel in range(2):
        ink = picture.places(panel, to_rgb(figures.UNKNOWN))
        assert (np.abs(ink - circle[0]) < 0.1).all()  # the soft edge of the star at most


def test_a_voronoi_panel_shows_all_its_points_in_their_colours(draw):
    angle = 2 * np.pi * np.arange(12) / 12
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    labels = np.array([0, 3, 7])
    panels = [(title, size * circle[:4], size * circle[4:7], labels, size * circle[7:])
              for title, size in (("before", 1), ("after", 30))]
    picture = draw(figures.voronoi, panels)
    for panel, (title, codewords, labelled, _, unlabelled) in enumerate(panels):
        assert picture.figure.axes[panel].get_title() == title
        assert (picture.at(panel, codewords) == 0).all()
        np.testing.assert_allclose(picture.at(panel, labelled), 255 * figures.CLASSES[labels], atol=40)
        grey = 255 * to_rgb(figures.UNLABELLED)[0]
        np.testing.assert_allclose(picture.at(panel, unlabelled), grey, atol=25)


@pytest.mark.parametrize("function, arguments", [
    (figures.curves, ({"a": ([0, 1], [0, 1])}, "x", "y")),
    (figures.bars, (["12"], {"a": [(1, 0)]}, "y")),
    (figures.surface, ([0], [0], np.ones((1, 1, 1)), ["a"])),
    (figures.embedding, (np.ones((1, 1, 2)), np.array([0]), ["a"], ["a"])),
    (figures.voronoi, ([("a", np.eye(2), np.eye(2), np.array([0, 1]), np.eye(2))],)),
], ids=["curves", "bars", "surface", "embedding", "voronoi"])
def test_a_place_that_cannot_be_written_is_said(tmp_path, function, arguments):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"a\.png cannot be written"):
        function(tmp_path / "file" / "a.png", *arguments)
