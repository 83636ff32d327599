"""Views of the site's own, beside Livebell."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from . import counting


async def hello(request: HttpRequest) -> HttpResponse:
    """What any other request would be, at the least."""
    return HttpResponse("hello")


async def queries(request: HttpRequest) -> HttpResponse:
    """How many queries this process has made."""
    return HttpResponse(str(counting.total))


urlpatterns = [path("hello/", hello), path("queries/", queries)]
