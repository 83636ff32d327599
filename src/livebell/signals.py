"""What Django says about users and groups, as far as it changes who may read what."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models.signals import m2m_changed, post_save, pre_delete

from . import store
from .api import changed, key_of
from .audience import ALL


def user_saved(instance: Any, *, created: bool, raw: bool, **kwargs: object) -> None:
    """A newcomer begins at the head of ``all``: older announcements are neither shown nor counted."""
    if created and not raw:
        store.join([key_of(instance)], [ALL])


def groups_changed(instance: Any, *, action: str, reverse: bool, pk_set: set[Any] | None, **kwargs: object) -> None:
    """Who enters a group begins at its head; who leaves it stops hearing it at once."""
    users, groups = (pk_set, {instance.pk}) if reverse else ({instance.pk}, pk_set)
    if action == "pre_clear":
        users = set(instance.user_set.values_list("pk", flat=True)) if reverse else {instance.pk}
        instance._livebell_cleared = users
    if action == "post_add" and users and groups:
        store.join([str(pk) for pk in users], [f"group:{pk}" for pk in groups])
    if action == "post_clear":
        users = instance._livebell_cleared
    if action in ("post_add", "post_remove", "post_clear") and users:
        changed(str(pk) for pk in users)


def group_deleted(instance: Any, **kwargs: object) -> None:
    """Its members have left it, though Django says nothing of them."""
    if members := [str(pk) for pk in instance.user_set.values_list("pk", flat=True)]:
        changed(members)


post_save.connect(user_saved, sender=get_user_model(), dispatch_uid="livebell")
if hasattr(get_user_model(), "groups"):
    m2m_changed.connect(groups_changed, sender=get_user_model().groups.through, dispatch_uid="livebell")
    pre_delete.connect(group_deleted, sender=Group, dispatch_uid="livebell")
