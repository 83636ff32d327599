"""The one address of an event stream."""

import django_eventstream
from django.urls import include, path

urlpatterns = [path("events/", include(django_eventstream.urls))]
