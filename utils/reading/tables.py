"""The one reader of tables: labels.csv and labels.parquet, which people wrote, and any Parquet file.

pyarrow is imported when a Parquet file is read, since that takes time.
"""
import contextlib
import csv
import io
import math
from pathlib import Path

from gpq.utils import files
from gpq.utils.errors import UserError

COLUMNS = "path", "label", "tags", "split"
BETWEEN = ";"  # words in a cell
SEPARATORS = ",", "\t", ";"
BYTE_ORDERS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
MEND = "mend it or take it away"
UNPACKED, RATIO = 2 ** 30, 1000  # a Parquet file may unpack to so many bytes, or RATIO times its size if that is more


def find(folder):
    """The path of `labels.csv` or `labels.parquet` in a folder, or None. Raises UserError where there are both."""
    there = [file for file in (Path(folder) / "labels.csv", Path(folder) / "labels.parquet") if file.exists()]
    if len(there) == 2:
        raise UserError(f"{folder} has both labels.csv and labels.parquet; take one away")
    return there[0] if there else None


def read(path):
    """{column of COLUMNS: a list of words for each row} of a table; a column that it lacks has none.

    A cell is a word or number, several with ";" between them, or empty; in Parquet also bytes of UTF-8, a list of
    them, a struct of one of them, or 0 and 1 for each of as many classes, which are called class 0 and so on. Raises
    UserError where the table cannot be read, has a column twice or one that is none of COLUMNS, or has no `path`.
    """
    path = Path(path)
    names, columns = _csv(path) if path.suffix == ".csv" else _parquet(path)
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path} has the column {name!r} twice; leave one out")
        if name not in COLUMNS:
            raise UserError(f"{path} has the column {name!r}; leave it out, or call it one of {', '.join(COLUMNS)}")
    if "path" not in names:
        raise UserError(f"{path} has no column path; add one, of paths of pictures from the folder")
    found = dict(zip(names, columns, strict=True))
    return {column: found.get(column) or [[]] * len(found["path"]) for column in COLUMNS}


@contextlib.contextmanager
def parquet(path, what, mend=None):
    """Yield the Parquet file at `path`, a pyarrow.parquet.ParquetFile, whose pages are held against their checksums.
    Raises UserError as `files.opened`, and where it would unpack to far more bytes than it has."""
    from pyarrow.parquet import ParquetFile
    with files.opened(path, what, mend) as file, ParquetFile(file, page_checksum_verification=True) as opened:
        groups = [opened.metadata.row_group(number) for number in range(opened.num_row_groups)]
        size = file.seek(0, io.SEEK_END)
        if sum(group.total_byte_size for group in groups) > max(UNPACKED, RATIO * size):
            raise ValueError(f"{size} bytes would unpack to more than {RATIO} times as many")
        if sum(group.num_rows for group in groups) != opened.metadata.num_rows:
            raise ValueError("its parts have not as many rows as it says")
        yield opened


def _csv(path):
    """(names of columns, their cells' words) of a text."""
    with files.opened(path, "table in UTF-8", MEND) as file:
        content = file.read()
        text = content.decode(BYTE_ORDERS.get(content[:2], "utf-8-sig"))
        if "\0" in text:
            raise ValueError("there is a null in it, as of UTF-16")
        header = text.partition("\n")[0]
        separator = next((each for each in SEPARATORS if "path" in [name.strip() for name in header.split(each)]), ",")
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator, strict=True) if row]
        if not rows:
            raise ValueError("it is empty")
        names, *rows = rows
        for number, row in enumerate(rows):
            if len(row) != len(names):
                raise ValueError(f"row {number + 1} has {len(row)} cells and the first line {len(names)}")
    names = [name.strip() for name in names]
    return names, [[_words(name, cell) for cell in column] for name, column in
                   zip(names, zip(*rows, strict=True) if rows else [[]] * len(names), strict=True)]


def _parquet(path):
    """The same of a Parquet file."""
    with parquet(path, "table", MEND) as file:
        table = file.read()
        return table.column_names, [_cells(name, column) for name, column in
                                    zip(table.column_names, table.columns, strict=True)]


def _cells(name, column):
    """The words of each cell of a pyarrow column. Raises ValueError where it is of another type than `read` says."""
    from pyarrow import types
    kind, plain = column.type, [types.is_boolean, types.is_integer, types.is_floating, types.is_string, types.is_null,
                                types.is_large_string, types.is_binary, types.is_large_binary]
    cells = column.to_pylist() if not types.is_temporal(kind) else []
    if types.is_struct(kind) and kind.num_fields == 1:
        kind, cells = kind.field(0).type, [cell and cell[kind.field(0).name] for cell in cells]
    if listed := types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind = kind.value_type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if not any(is_plain(kind) for is_plain in plain):
        raise ValueError(f"its column {name} is {column.type}; words or numbers are needed")
    if listed and (types.is_boolean(kind) or types.is_integer(kind)):
        lengths = {len(cell) for cell in cells if cell}
        if types.is_boolean(kind) and len(lengths) > 1:
            raise ValueError(f"the lists of its column {name} are of different lengths")
        if len(lengths) == 1 and max(lengths) > 1 and {value for cell in cells for value in cell or ()} <= {0, 1}:
            return [[f"class {k}" for k, has in enumerate(cell or ()) if has] for cell in cells]
    return [_words(name, cell) for cell in cells]


def _words(name, cell):
    """The words of a cell, as text, without spaces about them."""
    parts = cell if isinstance(cell, list) else [_text(cell)] if name == "path" else _text(cell).split(BETWEEN)
    return [word for word in (_text(part).strip() for part in parts) if word]


def _text(value):
    """A plain value as text; nothing of None and NaN, and a whole number as one."""
    if value is None or isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, bytes):
        return value.decode()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
