"""What is said of the machine and of the code."""
import subprocess

from utils.session import machine


def test_the_commit_is_marked_where_code_was_changed_alone(tmp_path, monkeypatch):
    """Tables and checkpoints are tracked too, and a training rewrites them."""
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "utils" / "runs.py"))
    (tmp_path / "utils").mkdir()
    for file in ("train.py", "table.md"):
        (tmp_path / file).write_text("as committed")
    made_by = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "--quiet"], ["add", "."], [*made_by, "commit", "--quiet", "--message=first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    clean = machine.commit()
    assert len(clean) >= 4 and int(clean, 16)
    (tmp_path / "table.md").write_text("rewritten")
    assert machine.commit() == clean
    (tmp_path / "train.py").write_text("changed")
    assert machine.commit() == f"{clean}+"
    monkeypatch.setattr(machine, "__file__", "/nowhere/runs.py")
    assert machine.commit() == "unknown"
