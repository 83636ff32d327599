from typing import Any

from django.core.management.base import BaseCommand

from demo import accounts


class Command(BaseCommand):
    help = "Make the demo's two accounts and their group, unless they are there."

    def handle(self, *args: Any, **options: Any) -> None:
        accounts.create()
