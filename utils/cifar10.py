"""`python -m utils.cifar10`, the command's first name: see utils.data."""
from utils import errors
from utils.data.__main__ import main

if __name__ == "__main__":
    errors.run(lambda: main("cifar10"))
