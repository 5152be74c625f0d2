"""`python -m sonoseg` is the `sonoseg` command."""

from sonoseg.cli.main import main

# Processes that write results import this module too, by another name.
if __name__ == "__main__":
    main()
