"""Registers Livebell with Django."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LivebellConfig(AppConfig):
    """The application ``livebell``."""

    name = "livebell"
    verbose_name = _("Live notifications")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the checks and the signal receivers, which need the loaded models."""
        from . import checks, signals  # noqa: F401 (Django's own place for imports that need models)

        signals.connect()
