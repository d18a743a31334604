from django.db import models


class Product(models.Model):
    sku = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=50)
    price = models.IntegerField(default=0)
    stock = models.PositiveIntegerField(default=0)

    def label(self):
        return f"{self.sku} {self.name.title}"
