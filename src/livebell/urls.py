"""``path("livebell/", include("livebell.urls"))``."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "livebell"

urlpatterns = [
    path("", views.list_page, name="list"),
    path("api/items/", views.items, name="items"),
    path("api/mark/", views.mark, name="mark"),
    path("api/frames/", views.frames, name="frames"),
]
