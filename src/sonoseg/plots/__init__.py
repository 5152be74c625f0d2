"""Plots: from arrays and tables to matplotlib Figures.

Importing any module loads matplotlib, so callers import inside the function that draws. Where it is not
installed, the error names the extra to install.
"""

from sonoseg._util.packages import require

require("data", "matplotlib", "pandas")
