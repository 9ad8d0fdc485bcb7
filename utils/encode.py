"""`python -m utils.encode`, the first name of the command `python encode.py`."""
import runpy

if __name__ == "__main__":
    runpy.run_module("encode", run_name="__main__", alter_sys=True)
