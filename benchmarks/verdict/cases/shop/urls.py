from django.core.cache import cache
from django.http import JsonResponse
from django.urls import path

from shop.catalogue.models import Product


def products(request):
    return JsonResponse({"products": [product.sku for product in Product.objects.order_by("sku")]})


def product(request, sku):
    found = Product.objects.get(sku=sku)
    return JsonResponse({"sku": found.sku, "price": found.price})


def visits(request):
    try:
        return JsonResponse({"visits": cache.get_or_set("visits", 1)})
    except Exception:
        return JsonResponse({"error": "unavailable"}, status=503)


def price(request):
    return JsonResponse({"price": int(request.GET["amount"]) * 119 / 100})


urlpatterns = [
    path("products/", products),
    path("products/<str:sku>/", product),
    path("visits/", visits),
    path("price/", price),
]
