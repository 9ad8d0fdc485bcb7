"""Which images a step is made of. A step's draw depends on the seed and the step alone: a resumed run draws alike."""
import numpy as np


def random_batches(roles, batch_size, seed, step):
    """From each of `roles`, int [n] indices of images, `batch_size` without replacement, drawn anew every step
    (release). Returns int64 [roles, batch_size]."""
    generator = np.random.default_rng([seed, step])
    return np.stack([generator.choice(role, batch_size, replace=False) for role in roles])


def epoch_batches(roles, batch_size, seed, step):
    """The images of an epoch in an order of its own, a batch at a time; what is left over waits for another epoch.

    roles: as for `random_batches`; the first one's length makes the epoch, and a shorter one begins again within it.
    Returns int64 [roles, batch_size].
    """
    epoch, place = divmod(step, len(roles[0]) // batch_size)
    places = np.arange(place * batch_size, (place + 1) * batch_size)
    generator = np.random.default_rng([seed, epoch])
    return np.stack([np.asarray(role)[generator.permutation(len(role))[places % len(role)]] for role in roles])
