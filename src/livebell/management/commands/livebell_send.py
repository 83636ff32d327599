"""``manage.py livebell_send alice "Build passed" --url /builds/1/``"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError

from ... import api
from ...audience import EVERYONE
from ...content import NotifyError
from ...models import Level


class Command(BaseCommand):
    """Send a notification from a shell, a cron job, a script."""

    help = "Send a notification to a user, a group, a topic or everyone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """USERNAME, or one of --group, --topic, --everyone; then the title."""
        parser.add_argument("words", nargs="+", metavar="USERNAME TITLE", help="the user's name, then the title")
        parser.add_argument("--group", help="name of a group, instead of USERNAME")
        parser.add_argument("--topic", help="name of a topic, instead of USERNAME")
        parser.add_argument("--everyone", action="store_true", help="everybody, instead of USERNAME")
        parser.add_argument("--level", default="info", choices=Level.values)
        parser.add_argument("--data", help="JSON")
        for name in ("body", "url", "kind"):
            parser.add_argument(f"--{name}", default="")
        for name in ("actor", "key"):
            parser.add_argument(f"--{name}")

    def handle(self, *args: Any, **options: Any) -> None:
        """Send it; exit with a clear line if it can't be sent."""
        audience, title = self._audience(options)
        fields = {name: options[name] for name in ("body", "url", "kind", "level", "actor", "key")}
        try:
            data = json.loads(options["data"]) if options["data"] else None
            published = api.notify(audience, title, data=data, **fields)
        except json.JSONDecodeError as error:
            raise CommandError(f"--data: {error}") from error
        except NotifyError as error:
            raise CommandError(str(error)) from error
        said = "stood there already as" if published.duplicate else "is"
        self.stdout.write(f"sent: {title!r} {said} notification {published.id}")

    def _audience(self, options: dict[str, Any]) -> tuple[Any, str]:
        words = options["words"]
        chosen = [name for name in ("group", "topic", "everyone") if options[name]]
        if len(chosen) > 1:
            raise CommandError(f"choose one of --{' and --'.join(chosen)}")
        if len(words) != (1 if chosen else 2):
            raise CommandError(
                "give a USERNAME and a TITLE (in quotes), or only a TITLE with --group/--topic/--everyone"
            )
        if not chosen:
            return self._user(words[0]), words[1]
        if chosen == ["group"]:
            return self._group(options["group"]), words[0]
        return (options["topic"] or EVERYONE), words[0]

    def _user(self, username: str) -> Any:
        model = get_user_model()
        try:
            return model._default_manager.get_by_natural_key(username)
        except model.DoesNotExist:
            raise CommandError(f"there is no user {username!r}") from None

    def _group(self, name: str) -> Group:
        try:
            return Group.objects.get(name=name)
        except Group.DoesNotExist:
            raise CommandError(f"there is no group {name!r}") from None
