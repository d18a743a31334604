"""Django's own."""

from shop import settings

SECRET_KEY = "for tests only"
USE_TZ = True
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "shop.catalogue"]
MIDDLEWARE = []
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": settings.DB.hostname,
        "PORT": settings.DB.port,
        "USER": settings.DB.username,
        "PASSWORD": settings.DB.password,
        "NAME": "app",
        "OPTIONS": {"connect_timeout": 2},
    }
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": settings.REDIS_URL,
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}
