"""The store: ALL the SQL. What is here is the truth; everything else in Livebell is a way to hear of it sooner.

outbox     publish, retract, number: from the caller's transaction into the log
intake     one copy of what every process gets over the channel layer
log        pull above a position, position check, epoch
reading    the streams a reader stands on, its snapshot, its list
public     the same for somebody who is nobody
marks      what a reader has read
retention  prune, forget, verify
sql        what PostgreSQL and SQLite spell differently
"""

from .intake import claim
from .log import PAGE, Moved, Page, Position, change_mark, epoch, moved, new_epoch, now, pull
from .marks import Marking, guard, join, mark, subscribe, touch, unsubscribe
from .outbox import (
    CHUNK,
    newest_pending,
    nobody_has_to_commit,
    number,
    pending,
    put,
    put_and_number,
    put_expired,
    put_retraction,
    standing_already,
)
from .public import public
from .reading import Item, Standing, entries_of, items, standings
from .retention import cut, forget
from .sql import database, open_for_batches

__all__ = [
    "CHUNK",
    "PAGE",
    "Item",
    "Marking",
    "Moved",
    "Page",
    "Position",
    "Standing",
    "change_mark",
    "claim",
    "cut",
    "database",
    "entries_of",
    "epoch",
    "forget",
    "guard",
    "items",
    "join",
    "mark",
    "moved",
    "new_epoch",
    "newest_pending",
    "nobody_has_to_commit",
    "now",
    "number",
    "open_for_batches",
    "pending",
    "public",
    "pull",
    "put",
    "put_and_number",
    "put_expired",
    "put_retraction",
    "standing_already",
    "standings",
    "subscribe",
    "touch",
    "unsubscribe",
]
