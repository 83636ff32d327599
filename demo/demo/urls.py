from django.contrib import admin
from django.urls import include, path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("log-in/", views.log_in, name="log-in"),
    path("log-out/", views.log_out, name="log-out"),
    path("send/", views.send, name="send"),
    path("admin/", admin.site.urls),
    path("livebell/", include("livebell.urls")),
]
