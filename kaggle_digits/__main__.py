"""``python -m kaggle_digits`` is ``kd``."""

from kaggle_digits.cli.main import main

main()
