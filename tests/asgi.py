"""The test site for an ASGI server: ``uvicorn tests.asgi:application``."""

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

pages = ASGIStaticFilesHandler(get_asgi_application())

from livebell.asgi import livebell_asgi  # noqa: E402  (after Django is set up)

application = livebell_asgi(pages)
