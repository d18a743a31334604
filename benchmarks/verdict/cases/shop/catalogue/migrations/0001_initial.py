from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Product",
            [
                ("id", models.AutoField(primary_key=True)),
                ("sku", models.CharField(max_length=20, unique=True)),
                ("name", models.CharField(max_length=50)),
                ("price", models.IntegerField(default=0)),
                ("stock", models.PositiveIntegerField(default=0)),
            ],
        )
    ]
