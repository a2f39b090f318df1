"""Run the ``kd`` command as ``python -m kaggle_digits``."""

from kaggle_digits.cli.main import main

main()
