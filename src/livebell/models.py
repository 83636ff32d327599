"""The tables. Every row but :class:`Outbox`'s is written by ``livebell.store`` alone; change them nowhere else."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Level(models.TextChoices):
    """How a notification looks."""

    INFO = "info", _("info")
    SUCCESS = "success", _("success")
    WARNING = "warning", _("warning")
    ERROR = "error", _("error")


class Content(models.Model):
    """What a notification says; the same columns in the outbox and in the log, so that numbering copies them in SQL."""

    kind = models.CharField(max_length=100, default="")
    title = models.CharField(max_length=200)
    body = models.TextField(default="")
    url = models.CharField(max_length=2000, default="")
    level = models.CharField(max_length=10, choices=Level, default=Level.INFO)
    data = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    actor = models.CharField(max_length=200, default="")
    key = models.CharField(max_length=200, null=True)  # noqa: DJ001 (NULL: no key; unique indexes skip it)
    expires = models.DateTimeField(null=True)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True


class Stream(models.Model):
    """An ordered log: entries ``floor + 1`` to ``head`` exist, without holes."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=255, unique=True)
    head = models.BigIntegerField(default=0)
    floor = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class Notification(Content):
    """Content, stored once however many streams it stands in. Its number is that of its outbox row."""

    id = models.BigIntegerField(primary_key=True)
    retracted = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        indexes: ClassVar = [
            models.Index(
                fields=["expires"],
                name="livebell_expires",
                condition=Q(expires__isnull=False, retracted__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Entry(models.Model):
    """``(stream, seq)`` → a notification, or the retraction of the entry ``retracts`` of the same stream.

    No foreign key constraints: numbering makes the rows of all three tables in one transaction, and checking each of
    10,000 entries again costs more than writing them.
    """

    pk = models.CompositePrimaryKey("stream_id", "seq")
    stream = models.ForeignKey(Stream, models.DO_NOTHING, db_constraint=False, db_index=False)
    seq = models.BigIntegerField()
    notification = models.ForeignKey(Notification, models.DO_NOTHING, db_constraint=False)
    retracts = models.BigIntegerField(null=True)
    key = models.CharField(max_length=200, null=True)  # noqa: DJ001 (NULL: no key)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream", "key"], name="livebell_once", condition=Q(key__isnull=False)),
            models.UniqueConstraint(
                fields=["stream", "retracts"], name="livebell_retracted_once", condition=Q(retracts__isnull=False)
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["stream", "seq"], name="livebell_retractions", condition=Q(retracts__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id}/{self.seq}"


class Reader(models.Model):
    """One user who has marks; ``rev`` counts their changes. Locking this row is what makes a change of marks atomic."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+")
    rev = models.BigIntegerField(default=0)
    guard = models.CharField(max_length=64, default="")
    """Digest of what a login depends on, so that a saved user is told apart from a changed one."""

    def __str__(self) -> str:
        return str(self.user_id)


class Mark(models.Model):
    """How far one user has read one stream, and whether the user asked for it (topics only)."""

    pk = models.CompositePrimaryKey("user_id", "stream_id")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    stream = models.ForeignKey(Stream, models.DO_NOTHING, db_constraint=False)
    read_through = models.BigIntegerField(default=0)
    seen_through = models.BigIntegerField(default=0)
    subscribed = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.user_id} in {self.stream_id}: {self.read_through}"


class Receipt(models.Model):
    """One entry that one user has read on its own (above ``read_through``) or has archived (anywhere)."""

    pk = models.CompositePrimaryKey("user_id", "stream_id", "seq")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    stream = models.ForeignKey(Stream, models.DO_NOTHING, db_constraint=False, db_index=False)
    seq = models.BigIntegerField()
    archived = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.user_id} {self.stream_id}/{self.seq}"


class Outbox(Content):
    """A publish, or a retraction, that is written but not numbered yet."""

    id = models.BigAutoField(primary_key=True)
    streams = models.JSONField(default=list)
    """Names of the streams it goes to."""
    part_of = models.BigIntegerField(null=True)
    """A large audience takes several rows: the number of the first, which is the notification's."""
    retracts = models.BigIntegerField(null=True)
    """Not NULL: no content, but the number of the notification to take back."""

    def __str__(self) -> str:
        return self.title


class Epoch(models.Model):
    """One row: the name of this database's history. Changed after a restore from a backup."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    value = models.CharField(max_length=32)
    drains = models.BigIntegerField(default=0, db_default=0)
    """How often the live processes have been told to drain. One that began under a lower number drains now."""

    def __str__(self) -> str:
        return self.value


class Leaver(models.Model):
    """A live process that drains, and how many connections it still has; for whoever told it to."""

    process = models.CharField(max_length=32, primary_key=True)
    name = models.CharField(max_length=100)
    """Host and process id, for people."""
    drain = models.BigIntegerField()
    """Number of the drain that it follows."""
    total = models.IntegerField(default=0)
    left = models.IntegerField(default=0)
    done = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name


class Intake(models.Model):
    """A publish that came over the channel layer, and which processes have seen it: each gets its own copy."""

    id = models.BigAutoField(primary_key=True)
    digest = models.CharField(max_length=64, db_index=True)
    received = models.DateTimeField(default=timezone.now)
    seen = models.JSONField(default=list)

    def __str__(self) -> str:
        return self.digest
