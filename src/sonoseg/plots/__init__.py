"""Figures: plain arrays and tables in, matplotlib Figures out. Nothing else in the project draws.

Importing any module of this room loads matplotlib; where it is absent, the error names the extra that brings
it. So callers import from here inside the function that draws.
"""

from sonoseg._util.packages import require

require("data", "matplotlib", "pandas")
