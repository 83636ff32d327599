"""The addresses of a site without the admin."""

from django.urls import include, path

urlpatterns = [path("livebell/", include("livebell.urls"))]
