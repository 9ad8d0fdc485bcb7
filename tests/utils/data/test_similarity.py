"""`cifar10_Similarity.mat`, the release's ground truth: whole, of the sample, bad and foreign."""
import numpy as np
import pytest
import scipy.sparse
from split_rule import SAMPLE, at, needs_full, published_roles

from gpq.utils.data import cifar10
from gpq.utils.data.relevance import similarity
from gpq.utils.errors import UserError


def as_array(relevant):
    """bool [Q, N] of what lists places."""
    array = np.zeros(relevant.shape, bool)
    for q, row in enumerate(array):
        row[relevant.places(q)] = True
    return array


@pytest.mark.parametrize("sparse", [False, True])
def test_similarity_of_the_sample_is_the_full_files_matching_part(tmp_path, sample, sparse):
    dense = np.zeros((1000, 54_000), np.uint8)
    dense.flat[np.random.default_rng(0).integers(dense.size, size=500_000)] = 1
    matrix = scipy.sparse.csc_matrix(dense, dtype=float) if sparse else dense
    scipy.io.savemat(tmp_path / "s.mat", {"label_Similarity": matrix})
    got = similarity(tmp_path / "s.mat", sample)
    query, _, gallery = published_roles()
    rows = [query.index(p) for p in at(sample, "query")]
    column_of = {p: i for i, p in enumerate(gallery)}
    columns = [column_of[p] for p in at(sample, "gallery")]
    assert np.array_equal(as_array(got), dense[rows][:, columns])
    with pytest.raises(UserError, match="protocol 1"):
        similarity(tmp_path / "s.mat", cifar10.load(SAMPLE, protocol=2))


@needs_full
def test_similarity_of_the_full_set_agrees_with_the_labels(tmp_path, full):
    classes = full.labels.argmax(1)
    same = classes[full.query][:, None] == classes[full.gallery]
    scipy.io.savemat(tmp_path / "s.mat", {"label_Similarity": same.astype(np.uint8)})
    assert np.array_equal(as_array(similarity(tmp_path / "s.mat", full)), same)


def test_no_similarity_file(tmp_path, sample):
    assert similarity(tmp_path / "s.mat", sample) is None
    assert similarity("", sample) is None


def test_the_file_says_nothing_of_other_data(tmp_path, sample):
    (tmp_path / "s.mat").write_bytes(b"whatever")
    assert similarity(tmp_path / "s.mat", sample._replace(positions=None)) is None


@pytest.mark.parametrize("content, says", [
    ({"other": np.ones((2, 2))}, "no `label_Similarity`"),
    ({"label_Similarity": np.ones((54_000, 10), np.uint8)}, "does not hold label_Similarity as .1000, 54000"),
    ({"label_Similarity": scipy.sparse.csc_matrix((999, 54_000))}, "does not hold label_Similarity as .1000, 54000"),
    ({"label_Similarity": "text"}, "does not hold label_Similarity as .1000, 54000"),
    ({"label_Similarity": np.full((1000, 54_000), 2, np.uint8)}, "0 and 1"),
    ({"label_Similarity": scipy.sparse.csc_matrix(([np.nan], ([3], [4])), (1000, 54_000))}, "0 and 1")])
def test_bad_similarity(tmp_path, sample, content, says):
    scipy.io.savemat(tmp_path / "s.mat", content)
    with pytest.raises(UserError, match=says):
        similarity(tmp_path / "s.mat", sample)


@pytest.mark.parametrize("content", [
    b"", b"not a mat file" * 30, b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"x" * 99])
def test_foreign_similarity(tmp_path, sample, content):
    (tmp_path / "s.mat").write_bytes(content)
    with pytest.raises(UserError, match="s.mat is damaged or no .mat file of label_Sim.*save it by save -v7"):
        similarity(tmp_path / "s.mat", sample)
