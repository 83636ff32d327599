"""The test site for a WSGI server: ``gunicorn tests.wsgi:application``."""

import os

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

application = StaticFilesHandler(get_wsgi_application())
