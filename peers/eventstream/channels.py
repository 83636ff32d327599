"""Who may read what."""

from __future__ import annotations

from typing import Any

from django_eventstream.channelmanager import DefaultChannelManager


class Channels(DefaultChannelManager):  # type: ignore[misc]
    """Everybody who is logged in reads the channel of all and the own one."""

    def get_channels_for_request(self, request: Any, view_kwargs: Any) -> set[str]:
        return {"all", f"user-{request.user.pk}"} if request.user.is_authenticated else set()

    def can_read_channel(self, user: Any, channel: str) -> bool:
        return user is not None and channel in ("all", f"user-{user.pk}")
