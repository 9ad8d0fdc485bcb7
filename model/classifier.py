"""F with a softmax classifier on top: it pretrains F on labelled images of other classes, and it retrieves."""
from gpq.model import losses
from gpq.model.errors import UserError
from gpq.model.method import Method, Retrieval
from gpq.model.tf1 import tf


class Classifier(Method):
    """Softmax cross-entropy of F's logits, and ranking by predicted class (Sablayrolles et al., How should we evaluate
    supervised hashing?, ICASSP 2017)."""

    name = "classifier"
    val_metric = "accuracy"

    @property
    def dimension(self):
        """Classes, C."""
        return self.config.n_CLASSES

    def losses(self, batches, step):
        """total: mean softmax cross-entropy in nats; accuracy: of the batch, 0 to 1. batches: {"labelled":
        training.Batch}, whose labels may be soft."""
        batch = batches["labelled"]
        return self.loss_graph(self.F.augment(batch.images, "labelled", step), batch.labels)

    def loss_graph(self, images, labels):
        """images: standardised float32 [B, H, W, 3]; labels: [B, n_CLASSES] as `losses.cross_entropy` takes."""
        logits, update = self.F.train(images, "labelled")
        right = tf.equal(tf.argmax(logits, axis=1), tf.argmax(tf.cast(labels, tf.float32), axis=1))
        return {"total": losses.cross_entropy(labels, logits),
                "accuracy": tf.reduce_mean(tf.cast(right, tf.float32))}, update()

    def retrieval(self, images):
        """features [B, C] are the probabilities of the classes, codes [B, 1] the likeliest class, and codebooks
        [1, K, C] a one-hot codeword for each class, then zeros up to a power of two.

        A query's inner product with the codeword of an image is the query's probability of that image's predicted
        class; its inner product with the image's features gives the unquantized ranking. Raises ValueError where there
        are too many classes for one byte.
        """
        if self.dimension > 256:
            raise ValueError(f"a code of one byte tells 256 classes apart, not {self.dimension}")
        logits = self.F(images)
        codes = tf.cast(tf.argmax(logits, axis=1), tf.uint8)[:, tf.newaxis]
        codewords = tf.one_hot(tf.range(2 ** (self.dimension - 1).bit_length()), self.dimension)
        return Retrieval(tf.nn.softmax(logits), codes, codewords[tf.newaxis])

    def check(self, path, shapes):
        """Raise UserError where it is a checkpoint of GPQ or SPQ, or of another F."""
        for table, other in (("Z", "gpq"), ("spq/C", "spq")):
            if table in shapes:
                raise UserError(f"{path} is a checkpoint of {other.upper()} and no classifier; set --method={other}, "
                                "or model_load_path to another")
        self.F.check(path, shapes)
