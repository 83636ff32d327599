"""Pages, static files and the socket, all from one process."""

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo.settings")

pages = ASGIStaticFilesHandler(get_asgi_application())  # type: ignore[no-untyped-call]

from livebell.asgi import livebell_asgi  # noqa: E402  (after Django is set up)

application = livebell_asgi(pages)
