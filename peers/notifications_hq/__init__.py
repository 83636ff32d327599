"""django-notifications-hq: a row for each recipient. In a virtual environment of its own, on Django 5.0: 5.1 took away the
``index_together`` that its models have."""
