"""`python -m utils.cifar100`, the command's first name: see utils.data."""
from utils import errors
from utils.data.cifar100 import main

if __name__ == "__main__":
    errors.run(main)
