"""A view of the site's own, beside Livebell."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


async def hello(request: HttpRequest) -> HttpResponse:
    """What any other request would be, at the least."""
    return HttpResponse("hello")


urlpatterns = [path("hello/", hello)]
