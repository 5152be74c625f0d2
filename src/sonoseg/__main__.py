"""`python -m sonoseg` is the `sonoseg` command."""

from sonoseg.cli.main import main

main()
