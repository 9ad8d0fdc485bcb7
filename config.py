"""Every setting of GPQ. Edit the values here, or override them: `python train.py --n_book=6 --total_epochs=40`.

The names and defaults are the release's; the last group is what this port adds. Each entry says its meaning,
range, unit and, where it has one, its symbol in the paper. Nothing is read from here behind a caller's back:
a script makes one `Config` and hands it on.
"""
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, computed_field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Config(BaseSettings):
    """GPQ's settings."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True,
        cli_prog_name=Path(sys.argv[0]).name, case_sensitive=True, cli_hide_none_type=True,
        protected_namespaces=(), allow_inf_nan=False)

    # Paths
    data_dir: str = "./cifar10"
    """Folder of the CIFAR-10 python batches. Its `sample/` stands in where the full set is absent."""

    ImagNet_pretrained_path: str = "./models/ImageNet_pretrained.mat"
    """Pretrained F, arrays by variable name. Where it is absent, training starts from random weights."""

    model_save_path: str = "./models/"
    """Folder that training writes to: `<epoch>.ckpt`, the final checkpoint, `logs/` for TensorBoard."""

    model_load_path: str = "./models/{n_bits}bits_example.ckpt"
    """Checkpoint that Demo.py restores; {n_bits} stands for the code length. Training's last checkpoint gets this
    name, in `model_save_path`."""

    cifar10_label_sim_path: str = "./cifar10/cifar10_Similarity.mat"
    """Ground truth, `label_Similarity` [queries, gallery] of 0/1. Where it is absent, the labels decide."""

    # Data
    n_CLASSES: Annotated[int, Field(ge=2)] = 10
    """Classes, N^c. At least 2; CIFAR-10 has 10."""

    image_size: Annotated[int, Field(ge=32, le=32)] = 32
    """Height and width of an image in pixels. F takes 32."""

    img_channels: Annotated[int, Field(ge=3, le=3)] = 3
    """Channels of an image: 3, red, green, blue."""

    n_DB: PositiveInt = 54000
    """Ranks that count for mAP. 1 or more; a smaller gallery counts whole."""

    # Training
    total_epochs: PositiveInt = 300
    """Epochs. 1 or more; one epoch is (labelled images // batch_size) steps."""

    batch_size: Annotated[int, Field(ge=2)] = 500
    """Labelled images in a step, and as many unlabelled. From 2 to the number of labelled images."""

    save_term: PositiveInt = 20
    """Epochs from one checkpoint to the next. 1 or more."""

    # Quantizer
    len_code: PositiveInt = 12
    """Numbers in a sub-vector, d. 1 or more."""

    n_book: PositiveInt = 12
    """Codebooks, M. 1 or more; 3, 6, 8, 12 make codes of 12, 24, 32, 48 bits."""

    bn_word: Annotated[int, Field(ge=1, le=8)] = 4
    """Bits of a codeword's index, b. 1 to 8."""

    # Losses
    alpha: PositiveFloat = 20.0
    """Scale of the soft assignment, alpha. Above 0."""

    beta: PositiveFloat = 4.0
    """Scale of the classifier, beta. Above 0."""

    lam_1: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the entropy loss as the release uses it; lambda_1, classification, with follow=paper. 0 or more."""

    lam_2: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the classification loss as the release uses it; lambda_2, entropy, with follow=paper. 0 or more."""

    # What the port adds
    follow: Literal["release", "paper"] = "release"
    """Where paper and release differ, which one to compute (see the README's table)."""

    protocol: Annotated[int, Field(ge=1, le=2)] = 1
    """Data protocol of table 1: 1, all classes known; 2, three of ten unseen."""

    known_classes: tuple[Annotated[int, Field(ge=0, le=9)], ...] = (0, 1, 2, 3, 4, 5, 6)
    """Labels of the classes that are known under protocol 2, as [0,1,2,3,4,5,6]; the paper does not say which."""

    backbone: Literal["modified_vgg", "cnn_f"] = "modified_vgg"
    """F: the modified VGG, or CNN-F on images enlarged to 224 x 224 (GPQ-F of figure 3)."""

    metric_loss: Literal["n_pair", "triplet"] = "n_pair"
    """What is learned from pairs of labelled images: N-pair PQ, or a triplet loss (GPQ-T of figure 3)."""

    margin: PositiveFloat = 0.1
    """Margin of the triplet loss, in squared distance between unit vectors. Above 0."""

    learning_rate: PositiveFloat = 2e-4
    """Adam's learning rate at step 0. Above 0."""

    augmentation: Literal["release", "strong"] = "release"
    """How training varies its images: flip and crop, or contrast, saturation, brightness and a hole besides."""

    batch_statistics: Literal["separate", "joint"] = "separate"
    """What normalises a step's batches: each its own statistics (release), or those of both together."""

    lam_u: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the loss on pseudo-labels, FixMatch's lambda_u, beyond the paper; a step costs half as much again.
    0 or more; 0 for none."""

    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Probability from which a prediction is a pseudo-label, FixMatch's tau. Above 0, below 1."""

    decay: Literal["staircase", "cosine"] = "staircase"
    """How the learning rate falls: by the release's stairs, or along a half cosine to 0 at the last step."""

    decay_rate: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Factor of one stair of the learning rate's decay. Above 0, at most 1."""

    decay_steps: PositiveInt = 100
    """Steps from one stair to the next. 1 or more."""

    seed: Annotated[int, Field(ge=0, lt=2 ** 31)] = 0
    """Seed of the initial weights, the sampler and the augmentation. From 0 to 2 ** 31 - 1."""

    eval_term: NonNegativeInt = 0
    """Epochs from one mAP on held-back images to the next, the end always; 0 for never, and nothing is held back."""

    n_validation: PositiveInt = 500
    """Labelled images held back from training as queries of that mAP, where `eval_term` asks for it."""

    gpu_memory_growth: bool = True
    """Take GPU memory as it is needed and not all at once."""

    @computed_field
    @property
    def intn_word(self) -> int:
        """Codewords of a codebook, K = 2 ^ bn_word."""
        return 2 ** self.bn_word

    @computed_field
    @property
    def n_bits(self) -> int:
        """Bits of a code, B = n_book * bn_word."""
        return self.n_book * self.bn_word

    @property
    def checkpoint(self) -> str:
        """`model_load_path` with the code length put in."""
        return self.model_load_path.replace("{n_bits}", str(self.n_bits))

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, **_):
        """Only this file and the command line count; environment variables do not."""
        return (init_settings,)


class Pretraining(Config):
    """Settings of F's pretraining on CIFAR-100; those of GPQ's quantizer, losses and two batches have no effect."""

    data_dir: str = "./cifar100"
    """Folder of CIFAR-100's published files, or one that holds `cifar-100-python/`."""

    out: str = "./models/CIFAR100_pretrained.mat"
    """File that F goes to at the end, arrays by variable name."""

    ImagNet_pretrained_path: str = ""
    """Pretrained F to start from. Where it is absent, training starts from random weights."""

    model_save_path: str = "./models/pretraining/"
    """Folder that training writes to."""

    model_load_path: str = "./models/pretraining/CIFAR100_pretrained.ckpt"
    """Name of the last checkpoint, in `model_save_path`."""

    n_CLASSES: Annotated[int, Field(ge=100, le=100)] = 100
    """Classes; CIFAR-100 has 100."""

    batch_size: Annotated[int, Field(ge=2)] = 125
    """Images in a step."""

    total_epochs: PositiveInt = 30
    """Epochs; one is 400 steps of 125 images."""

    save_term: PositiveInt = 1
    """Epochs from one checkpoint to the next. 1 or more."""

    eval_term: NonNegativeInt = 1
    """Epochs from one accuracy on the 10,000 test images to the next, the end always; 0 for never."""

    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate at step 0. Above 0."""

    decay: Literal["staircase", "cosine"] = "cosine"
    """How the learning rate falls: by stairs, or along a half cosine to 0 at the last step."""
