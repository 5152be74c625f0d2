"""The generated tables of the pages, one function a table."""
