"""The admin: what was sent, to look at, and to take back. Sending is the application's business."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from . import api
from .models import Notification

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Notification]
else:
    Base = admin.ModelAdmin


@admin.register(Notification)
class NotificationAdmin(Base):
    """Read-only, because what was delivered can't be changed; it can be retracted."""

    list_display = ("title", "kind", "level", "actor", "created", "expires", "retracted")
    list_filter = ("level", "kind", "created")
    search_fields = ("title", "body", "key")
    actions = ("retract",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes; retracting is its own action."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows go by pruning, never by hand: positions depend on them."""
        return False

    def has_retract_permission(self, request: HttpRequest) -> bool:
        """Who may change notifications may take them back."""
        return request.user.has_perm("livebell.change_notification")

    @admin.action(description=_("Take back the selected notifications"), permissions=["retract"])
    def retract(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        """Take them back on every open page."""
        for notification in queryset:
            api.retract(notification)
