"""Settings as its README has them."""

import dj_database_url

SECRET_KEY = "for benchmarks only"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "notifications"]
DATABASES = {"default": dj_database_url.config(conn_max_age=None)}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
