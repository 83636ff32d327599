"""What Django says about users, groups and logins, as far as it changes who may read what (invariant 7)."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete

from . import store
from .api import changed, gone, guard, key_of
from .audience import ALL, streams_of
from .conf import conf


def user_saved(
    instance: Any, *, created: bool, raw: bool, using: str, update_fields: Any = None, **kwargs: object
) -> None:
    """A newcomer begins at the head of ``all`` and of what is public: older announcements are neither shown nor counted. Of
    somebody else, the open sockets are asked again if the password or ``is_active`` is another."""
    if raw or _elsewhere(using):
        return
    if created:
        store.join([key_of(instance)], [ALL, *conf().PUBLIC])
    if update_fields is None or {"password", "is_active"} & set(update_fields):
        guard(instance)


def user_deleted(instance: Any, *, using: str, **kwargs: object) -> None:
    """What was said to a user goes with the user: the next one with the same key must not read it."""
    if instance.pk is not None and not _elsewhere(using):
        store.forget([f"user:{instance.pk}"])
        gone(key_of(instance))


def logged_out(request: Any, user: Any, **kwargs: object) -> None:
    """The session ends now and not after this signal, so that whoever is asked again finds it ended."""
    if getattr(user, "pk", None) is None:
        return
    session = getattr(request, "session", None)  # none where tokens are logged out
    if session is not None and session.get(SESSION_KEY) == user._meta.pk.value_to_string(user):
        session.delete()
    changed([key_of(user)])


def groups_changed(
    instance: Any, *, action: str, reverse: bool, pk_set: set[Any] | None, using: str, **kwargs: object
) -> None:
    """Who enters a group begins at its head; who leaves it stops hearing it at once."""
    if _elsewhere(using):
        return
    users, groups = (pk_set, {instance.pk}) if reverse else ({instance.pk}, pk_set)
    if action == "pre_clear":
        instance._livebell_cleared = _members(instance) if reverse else {instance.pk}
    if action == "post_add" and users and groups:
        store.join([str(pk) for pk in users], [f"group:{pk}" for pk in groups])
    if action == "post_clear":
        users = instance._livebell_cleared
    if action in ("post_add", "post_remove", "post_clear") and users:
        changed(str(pk) for pk in users)


def permissions_changed(instance: Any, *, action: str, reverse: bool, using: str, **kwargs: object) -> None:
    """The project's own rule about topics may depend on permissions."""
    if not _elsewhere(using) and not reverse and action in ("post_add", "post_remove", "post_clear"):
        members = _members(instance) if isinstance(instance, Group) else {instance.pk}
        changed(str(pk) for pk in members)


def group_deleted(instance: Any, *, using: str, **kwargs: object) -> None:
    """Its members have left it, though Django says nothing of them."""
    if _elsewhere(using):
        return
    changed(str(pk) for pk in _members(instance))
    store.forget(streams_of(instance))


def _elsewhere(using: str) -> bool:
    """Whether this is about users of another database than Livebell's."""
    return using != store.database().alias


def _members(group: Any) -> set[Any]:
    return set(group.user_set.values_list("pk", flat=True))


def connect() -> None:
    """Listen, to the user model in force."""
    user: Any = get_user_model()
    post_save.connect(user_saved, sender=user, dispatch_uid="livebell.saved")
    post_delete.connect(user_deleted, sender=user, dispatch_uid="livebell.deleted")
    user_logged_out.connect(logged_out, dispatch_uid="livebell.logged_out")
    if hasattr(user, "groups"):
        m2m_changed.connect(groups_changed, sender=user.groups.through, dispatch_uid="livebell.groups")
        pre_delete.connect(group_deleted, sender=Group, dispatch_uid="livebell.group")
    if hasattr(user, "user_permissions"):
        for through in (user.user_permissions.through, Group.permissions.through):
            m2m_changed.connect(permissions_changed, sender=through, dispatch_uid=f"livebell.{through.__name__}")
