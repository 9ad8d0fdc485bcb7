"""Tables of pictures that people wrote, .csv or .parquet.

pyarrow reads both. It is imported when a table is read: folders without one need none of it.
"""
from pathlib import Path

from utils.errors import UserError

COLUMNS = "path", "label", "tags", "split"
BETWEEN = ";"  # words in a cell


def find(folder):
    """The path of `labels.csv` or `labels.parquet` in a folder, or None. Raises UserError where there are both."""
    there = [file for file in (Path(folder) / "labels.csv", Path(folder) / "labels.parquet") if file.is_file()]
    if len(there) == 2:
        raise UserError(f"{folder} has both labels.csv and labels.parquet; take one away")
    return there[0] if there else None


def read(path):
    """{column of COLUMNS: a list of words for each row} of a table; a column that it lacks has none.

    A cell is a word or number, several with ";" between them, a list of them (Parquet), or empty. Raises UserError
    where the table cannot be read, has a column that is none of COLUMNS, or has no `path`.
    """
    path = Path(path)
    try:
        table = _csv(path) if path.suffix == ".csv" else _parquet(path)
    except ImportError as error:
        raise UserError(f"{path} needs pyarrow; pip install -r requirements.txt") from error
    except (OSError, ValueError) as error:  # pyarrow's own are of both kinds
        raise UserError(f"{path} cannot be read ({str(error).splitlines()[0]}); mend it or take it away") from error
    if unknown := sorted(set(table.column_names) - set(COLUMNS)):
        raise UserError(f"{path} has the column {unknown[0]!r}; leave it out, or call it one of {', '.join(COLUMNS)}")
    if "path" not in table.column_names:
        raise UserError(f"{path} has no column path; add one, of paths of pictures from the folder")
    return {column: [_words(cell) for cell in table[column].to_pylist()] if column in table.column_names
            else [[]] * table.num_rows for column in COLUMNS}


def _csv(path):
    """A table whose cells are text: a label 007 stays one."""
    import pyarrow
    from pyarrow import csv
    return csv.read_csv(path, convert_options=csv.ConvertOptions(
        column_types=dict.fromkeys(COLUMNS, pyarrow.string()), strings_can_be_null=False))


def _parquet(path):
    from pyarrow import parquet
    return parquet.read_table(path)


def _words(cell):
    """The words of a cell, as text, without spaces about them."""
    if cell is None:
        return []
    words = cell if isinstance(cell, list) else str(cell).split(BETWEEN)
    return [word for word in (str(each).strip() for each in words) if word]
