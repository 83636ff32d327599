from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("livebell", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Leaver",
            fields=[
                ("process", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100)),
                ("drain", models.BigIntegerField()),
                ("total", models.IntegerField(default=0)),
                ("left", models.IntegerField(default=0)),
                ("done", models.BooleanField(default=False)),
            ],
        ),
        migrations.AddField(
            model_name="epoch",
            name="drains",
            field=models.BigIntegerField(default=0, db_default=0),
        ),
    ]
