"""The review store: items and their readings in one state folder."""

from __future__ import annotations

from sonoseg.review.item_store import ItemStore
from sonoseg.review.reading_store import ReadingStore


class Store(ItemStore, ReadingStore):
    """A state folder with its items and their readings; see StateFolder for the arguments."""
