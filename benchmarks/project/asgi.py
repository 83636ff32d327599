"""As in the README."""

from django.core.asgi import get_asgi_application

application = get_asgi_application()

from livebell.asgi import livebell_asgi  # noqa: E402  (after Django is set up)

application = livebell_asgi(application)
