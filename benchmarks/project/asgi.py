"""As in the README."""

from django.core.asgi import get_asgi_application

application = get_asgi_application()

from benchmarks.project import counting  # noqa: E402, F401  (after Django is set up; counts queries if told to)
from livebell.asgi import livebell_asgi  # noqa: E402

application = livebell_asgi(application)
