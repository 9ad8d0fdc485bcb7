"""Labels of many classes as numbers, where a table of who has which would not fit into memory."""
import numpy as np

from gpq.utils.errors import UserError

LARGEST, MOST = 2 ** 30, 2 ** 28  # bytes of a table, classes


def of_numbers(numbers, n_classes):
    """Who has which label: bool [N, n_classes], or `ClassNumbers` where that would be large.

    numbers: int [N], from 0, -1 where nobody knows. Raises ValueError where there are very many classes."""
    if n_classes > MOST:
        raise ValueError(f"a class has the number {n_classes - 1}")
    numbers = ClassNumbers(numbers.astype(np.int64), n_classes)
    return np.asarray(numbers) if len(numbers) * n_classes <= LARGEST else numbers


class ClassNumbers:
    """Stands in for bool [N, L] of one label a row at most; an array of numpy is made of it where one is needed.

    numbers: int64 [N], -1 for a row without a label."""

    dtype, ndim = np.dtype(bool), 2

    def __init__(self, numbers, n_classes):
        self.numbers, self.shape = numbers, (*numbers.shape, n_classes)

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        """index: of rows alone, of which a single one is bool [L]; or of rows and of columns, a mask, numbers or one.
        """
        rows, *columns = index if isinstance(index, tuple) else (index,)
        numbers = self.numbers[rows]
        if not columns:
            return ClassNumbers(numbers, self.shape[1]) if np.ndim(numbers) else numbers == np.arange(self.shape[1])
        if np.ndim(columns[0]) == 0:
            return numbers == columns[0]
        chosen = np.arange(self.shape[1])[columns[0]]
        renumbered = np.full(self.shape[1] + 1, -1)  # the last is that of -1
        renumbered[chosen] = np.arange(len(chosen))
        return ClassNumbers(renumbered[numbers], len(chosen))

    def any(self, axis):
        return self.sum(axis) > 0

    def sum(self, axis):
        if axis:
            return (self.numbers >= 0).astype(int)
        return np.bincount(self.numbers[self.numbers >= 0].ravel(), minlength=self.shape[-1])

    def argmax(self, axis):
        return np.maximum(self.numbers, 0)

    def __array__(self, dtype=None, copy=None):
        """Raises UserError where it would be large."""
        if self.numbers.size * self.shape[-1] > LARGEST:
            raise UserError(f"{self.numbers.size:,} labels of {self.shape[-1]:,} classes would take "
                            f"{self.numbers.size * self.shape[-1] / 2**30:,.0f} GiB as a table; give fewer classes, or "
                            "take a method that needs no labels, such as --method=pq")
        return np.asarray(self.numbers[..., np.newaxis] == np.arange(self.shape[-1]), dtype)
