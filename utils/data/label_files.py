"""Files of labels that another network gave, beside the data's own."""
from gpq.utils.errors import UserError
from gpq.utils.reading import arrays


def teachers_features(path):
    """The features in the .npy file `path`, float [N, D], mapped. Raises UserError where they cannot be read."""
    features = arrays.one(path, "float [N, D]", "file of features, .npy")
    if not features.size:
        raise UserError(f"{path} is {list(features.shape)} and holds no features; make it again")
    return features


def read(path, form, name, data, **forms):
    """What the .npz file `path` holds of `data`: a `form`, a NamedTuple of arrays, one of them the data's sha256.

    name: what such labels are called, "pseudo-labels"; forms: of the other arrays, as of `arrays.read`, N being the
    number of images. Raises UserError where there is no such file, and where it is damaged or of other data.
    """
    what = f"file of {name}"
    mend = f"make it by python -m utils.training.{name.replace('-', '_').replace(' ', '_')}"
    made_of = str(arrays.read(path, {"sha256": "str []"}, what, mend, others=True)["sha256"])
    if made_of != data.source.sha256:
        raise UserError(f"{path} was made of other data than {data.source}; make it again, or set data_dir as it was")
    return form(**arrays.read(path, {**forms, "sha256": "str []"}, what, mend, N=len(data.images)))
