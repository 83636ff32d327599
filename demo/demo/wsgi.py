"""The pages alone, for a WSGI server beside the ASGI one."""

import os

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo.settings")

application = StaticFilesHandler(get_wsgi_application())
