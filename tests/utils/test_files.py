"""Files are opened without trust, and written whole or not at all, never over what was read, by one mechanism."""
import ast
import os
import signal

import pytest
from conftest import ROOT

from gpq.utils import files
from gpq.utils.errors import UserError


def test_a_regular_file_is_yielded(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    with files.opened(tmp_path / "a", "text") as file:
        assert file.read() == b"abc"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, make):
    path = str(tmp_path / "x")
    make(path)
    with pytest.raises(UserError, match=f"^{path} is a folder, a pipe or a device, and no text; give another$"):
        with files.opened(path, "text"):
            pass


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match=f"there is no file {tmp_path / 'x'}; give the path of a text"):
        with files.opened(tmp_path / "x", "text"):
            pass


@pytest.mark.parametrize("error, said", [
    (EOFError(), "EOFError"), (KeyError("a"), "KeyError: 'a'"), (RecursionError("too deep a file"), "too deep a file"),
    (MemoryError(), "MemoryError"), (OSError(5, "Input/output error"), "Input/output error"),
    (SystemError("two\nlines"), "two lines"), (ValueError("x " * 200), "x " * 58 + "x...")])
def test_whatever_is_raised_becomes_one_sentence(tmp_path, error, said):
    (tmp_path / "a").touch()
    with pytest.raises(UserError) as raised:
        with files.opened(tmp_path / "a", "text", "mend it"):
            raise error
    assert str(raised.value) == f"{tmp_path / 'a'} is damaged or no text ({said}); mend it"


def test_a_sentence_and_an_interruption_pass_through(tmp_path):
    (tmp_path / "a").touch()
    for error in UserError("so it is"), KeyboardInterrupt():
        with pytest.raises(type(error)) as raised:
            with files.opened(tmp_path / "a", "text"):
                raise error
        assert raised.value is error


# ---------------------------------------------------------------- writing

def put(path, content=b"new", **more):
    with files.whole(path, **more) as file:
        file.write(content)


def read(path):
    with files.opened(path, "text") as file:
        return file.read()


def test_a_file_is_whole_or_as_it_was(tmp_path):
    put(tmp_path / "below" / "a")
    with pytest.raises(ZeroDivisionError), files.whole(tmp_path / "below" / "a") as file:
        file.write(b"half")
        1 / 0  # noqa: B018
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "below").iterdir()] == [("a", b"new")]


@pytest.mark.parametrize("spelled", ["a", "./b/../a", "link", "hard"])
def test_what_was_read_is_not_written_over(tmp_path, monkeypatch, spelled):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "a").write_bytes(b"mine")
    os.link("a", "hard")
    os.symlink("a", "link")
    assert read("a") == b"mine"
    with pytest.raises(UserError, match=f"^{spelled} is what this command reads, and would be lost; choose another"):
        put(spelled)
    assert {name: (tmp_path / name).read_bytes() for name in ("a", "hard", "link")} == dict.fromkeys(
        ("a", "hard", "link"), b"mine")
    put(spelled, over_input=True)
    assert (tmp_path / spelled).read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()


def test_what_is_read_while_it_is_written_is_not_written_over(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(UserError, match="is what this command reads"), files.whole(tmp_path / "a") as file:
        file.write(read(tmp_path / "a")[:2])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_a_file_in_the_place_of_one_that_was_read_is_another(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    read(tmp_path / "a")
    (tmp_path / "a").unlink()
    (tmp_path / "a").write_bytes(b"an hour later")
    put(tmp_path / "a")
    assert read(tmp_path / "a") == b"new"


def test_a_pipe_and_a_device_stay_what_they_are(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/dev/null", tmp_path / "null")
    for name in "pipe", "null":
        with pytest.raises(UserError, match=f"{name} is a pipe or a device, and no file can take its place"):
            put(tmp_path / name)
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "null").is_char_device()


def test_a_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "far").mkdir()
    os.symlink("far/a", tmp_path / "a")
    put(tmp_path / "a")
    assert (tmp_path / "a").is_symlink() and (tmp_path / "far" / "a").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127, os.fsdecode(b"\xff" * 255)])
def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path, name):
    put(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"new"


def test_a_folder_is_there_with_all_that_is_in_it_or_not_at_all(tmp_path):
    with pytest.raises(ZeroDivisionError), files.whole_folder(tmp_path / "a") as unfinished:
        (unfinished / "half").touch()
        1 / 0  # noqa: B018
    assert not list(tmp_path.iterdir())
    with files.whole_folder(tmp_path / "a") as unfinished:
        (unfinished / "below").mkdir()
        (unfinished / "below" / "x").touch()
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["a", "a/below", "a/below/x"]


def test_the_files_of_a_folder_take_their_names_in_order_and_others_stay(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")
    (tmp_path / "z").write_text("other")
    moved, replace = [], os.replace
    with monkeypatch.context() as patched, files.whole_folder(tmp_path) as unfinished:
        patched.setattr(os, "replace", lambda one, other: (moved.append(os.path.basename(other)), replace(one, other)))
        for name in "cab":
            (unfinished / name).write_text("new")
    assert moved[1:] == ["a", "b", "c"]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {**dict.fromkeys("abc", "new"), "z": "other"}
    read(tmp_path / "a")
    with pytest.raises(UserError, match="/a is what this command reads"), files.whole_folder(tmp_path) as unfinished:
        (unfinished / "a").write_text("newer")
    assert (tmp_path / "a").read_text() == "new" and len(list(tmp_path.iterdir())) == 4


def killed(work):
    """A process, of this one's kind, that is killed within `work()`."""
    if not (child := os.fork()):
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def end():
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path):
    def half_a_file():
        with files.whole(tmp_path / "a") as file:
            file.write(b"half")
            file.flush()
            end()

    def half_a_folder():
        with files.whole_folder(tmp_path) as unfinished:
            (unfinished / "b").touch()
            end()

    for work in half_a_file, half_a_folder:
        killed(work)
        assert [path.name for path in tmp_path.iterdir()] != ["c"]
        put(tmp_path / "c")
        assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_folder_that_was_whole_when_its_process_was_killed_is_gone_on_with(tmp_path, monkeypatch):
    replace = os.replace

    def second(one, other):
        if other.endswith("/b"):
            end()
        replace(one, other)

    def work():
        monkeypatch.setattr(os, "replace", second)
        with files.whole_folder(tmp_path) as unfinished:
            for name in "abc":
                (unfinished / name).write_text("new")

    (tmp_path / "c").write_text("old")
    killed(work)
    assert (tmp_path / "a").exists() and not (tmp_path / "b").exists() and (tmp_path / "c").read_text() == "old"
    files.tidy(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys("abc", "new")


def test_what_another_process_writes_is_left_alone(tmp_path):
    """One that lives, on this machine and on another; after a day without a change another machine's has died."""
    name = ".part-a~{}~{}~0"
    alive = [name.format(files._machine(), os.getppid()), ".saved-notes", ".part-2", name.format("elsewhere-1", 1)]
    for each in alive:
        (tmp_path / each).touch()
    with files.whole(tmp_path / "b"), files.whole(tmp_path / "a") as file:
        file.write(b"both")
        files.tidy(os.path.relpath(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", *alive}
    for each in alive:
        os.utime(tmp_path / each, (0, 0))
    files.tidy(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", *alive[:3]}


def test_a_file_is_held_by_one(tmp_path):
    with files.held(tmp_path / "a", "taken"):
        with pytest.raises(UserError, match="taken"), files.held(tmp_path / "a", "taken"):
            pass
    with files.held(tmp_path / "a", "taken"):
        pass


# ---------------------------------------------------------------- who writes

OPENING = {"write_text", "write_bytes", "savefig", "save", "savez", "savez_compressed", "savetxt", "savemat", "dump",
           "simple_save", "write_table", "extractall", "replace", "rename", "copyfile", "mkstemp", "NamedTemporaryFile",
           "TemporaryDirectory", "TemporaryFile"}


def writers(source):
    """The lines of `source` that write a file otherwise than within `files.whole` and its like."""
    def look(node, inside):
        if isinstance(node, ast.With):
            calls = [ast.unparse(item.context_expr) for item in node.items]
            inside = inside or any(call.startswith(("files.whole", "files.held")) for call in calls)
        if isinstance(node, ast.Call) and not inside:
            name = ast.unparse(node.func)
            mode = [each.value for each in node.args[1:2] if isinstance(each, ast.Constant)]
            if name == "open" and set("wax+") & set(str(*mode)):
                yield node.lineno
            of_files = name.rpartition(".")[0] in ("os", "np", "shutil", "tempfile", "scipy.io", "pickle", "json")
            if name.rpartition(".")[2] in OPENING and (of_files or name.rpartition(".")[2] in (
                    "write_text", "write_bytes", "savefig", "simple_save", "write_table", "extractall")):
                yield node.lineno
        for child in ast.iter_child_nodes(node):
            yield from look(child, inside)
    return list(look(ast.parse(source), False))


@pytest.mark.parametrize("source, found", [
    ("open(path, 'ab')", [1]), ("open(path, 'rb')\nopen(path)", []), ("path.write_text('')", [1]),
    ("np.savez(path, a=a)", [1]), ("with files.whole(path) as file:\n    np.savez(file, a=a)", []),
    ("os.replace(a, b)\ntext.replace(a, b)", [1]), ("database.save(path)", []), ("figure.savefig(path)", [1]),
    ("def f():\n    tempfile.mkstemp()", [2])])
def test_the_scan_sees_who_writes(source, found):
    assert writers(source) == found


def test_nobody_else_writes_files():
    there = [path for path in [*ROOT.glob("*.py"), *(ROOT / "model").rglob("*.py"), *(ROOT / "utils").rglob("*.py")]
             if "accelerate" not in path.parts]
    found = {str(path.relative_to(ROOT)): writers(path.read_text()) for path in there}
    assert {name for name, lines in found.items() if lines} == {"utils/files.py"}


def test_what_a_process_wrote_itself_is_no_input_of_it(tmp_path):
    path = tmp_path / "a"
    for content in b"one", b"two":
        with files.whole(path) as file:
            file.write(content)
        with files.opened(path, "text") as file:
            assert file.read() == content
    path.write_bytes(b"another's")
    with files.opened(path, "text") as file:
        file.read()
    with pytest.raises(UserError, match="is what this command reads"), files.whole(path):
        pass
