"""The name by which all of this is imported: its modules lie in the folder above, and in a wheel beside this."""
from pathlib import Path

__path__ = [str(Path(__file__).resolve().parents[1])]
