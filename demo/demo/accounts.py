"""Who takes part in the demo."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

USERNAMES = ("alice", "bob")
TEAM = "team"


def create() -> None:
    """Make the accounts and their group, unless they are there. Alice may look into the admin."""
    team, _ = Group.objects.get_or_create(name=TEAM)
    for username in USERNAMES:
        user, created = get_user_model().objects.get_or_create(username=username)
        if created:
            user.set_unusable_password()
            user.is_staff = user.is_superuser = username == "alice"
            user.save()
        team.user_set.add(user)


def find(username: str) -> Any:
    return get_user_model().objects.get(username=username)


def other_than(user: Any) -> Any:
    return find(next(name for name in USERNAMES if name != user.get_username()))


def team() -> Group:
    return Group.objects.get(name=TEAM)
