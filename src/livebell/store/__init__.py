"""The store: ALL the SQL. What is here is the truth; everything else in Livebell is a way to hear of it sooner.

outbox     publish, retract, number: from the caller's transaction into the log
intake     one copy of what every process gets over the channel layer
log        pull above a position, position check, epoch
reading    the streams a reader stands on, its snapshot, its list
public     the same for somebody who is nobody
marks      what a reader has read
retention  forget, cut
pruning    what is too old or too much leaves the log, bit by bit
leaving    the word to drain, and who follows it
sql        what PostgreSQL and SQLite spell differently
"""

from .intake import claim
from .leaving import Leaving, ask_to_drain, leaving, report
from .log import PAGE, Moved, Page, Position, change_mark, epoch, history, moved, new_epoch, now, pull
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
from .pruning import MAX_BATCH, Limits, Pruned, prune, to_look_at
from .public import public
from .reading import Item, Standing, entries_of, items, standings
from .retention import cut, forget
from .sql import database, open_for_batches

__all__ = [
    "CHUNK",
    "MAX_BATCH",
    "PAGE",
    "Item",
    "Leaving",
    "Limits",
    "Marking",
    "Moved",
    "Page",
    "Position",
    "Pruned",
    "Standing",
    "ask_to_drain",
    "change_mark",
    "claim",
    "cut",
    "database",
    "entries_of",
    "epoch",
    "forget",
    "guard",
    "history",
    "items",
    "join",
    "leaving",
    "mark",
    "moved",
    "new_epoch",
    "newest_pending",
    "nobody_has_to_commit",
    "now",
    "number",
    "open_for_batches",
    "pending",
    "prune",
    "public",
    "pull",
    "put",
    "put_and_number",
    "put_expired",
    "put_retraction",
    "report",
    "standing_already",
    "standings",
    "subscribe",
    "to_look_at",
    "touch",
    "unsubscribe",
]
