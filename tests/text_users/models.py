"""Users whose primary key is a text, and who have no groups."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models


class Manager(BaseUserManager):
    def create_user(self, login: str, **more: Any) -> "Named":
        return self.create(login=login, **more)


class Named(AbstractBaseUser):
    login = models.CharField(primary_key=True, max_length=40)

    USERNAME_FIELD = "login"
    objects: ClassVar = Manager()

    def __str__(self) -> str:
        return self.login
