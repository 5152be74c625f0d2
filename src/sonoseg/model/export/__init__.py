"""Export: the table of formats, a module for each engine's format, and int8 quantisation."""
