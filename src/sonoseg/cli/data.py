"""`sonoseg data`: public sets and your own, from download to split."""

from __future__ import annotations

import typer

from sonoseg.cli.data_check import check
from sonoseg.cli.data_get import get
from sonoseg.cli.data_inspect import inspect
from sonoseg.cli.data_list import list_sets
from sonoseg.cli.data_phantom import phantom
from sonoseg.cli.data_prepare import from_reviews, prepare
from sonoseg.cli.data_show import show
from sonoseg.cli.data_split import split

app = typer.Typer(
    help="Public data sets and your own: list, get, check, inspect, prepare, split, show, phantom."
)
app.command("list")(list_sets)
app.command("from-reviews")(from_reviews)
for verb in (get, check, inspect, prepare, split, show, phantom):
    app.command()(verb)
