"""This installation: installed packages, capabilities (`sonoseg info`), self-test (`sonoseg doctor`)."""
