"""Where the shop finds its services."""

import os
from urllib.parse import urlsplit

DATABASE_URL = os.environ["DATABASE_URL"]
REDIS_URL = os.environ["REDIS_URL"]
BACKEND_URL = os.environ["BACKEND_URL"]
AUTH_URL = os.environ["AUTH_URL"]
WEBSOCKET_URL = os.environ["WEBSOCKET_URL"]
LLM_URL = os.environ["LLM_URL"]
API_TOKEN = os.environ["API_TOKEN"]

DB = urlsplit(DATABASE_URL)
REDIS = urlsplit(REDIS_URL)
BACKEND = urlsplit(BACKEND_URL)
HEADERS = {"Authorization": f"Bearer {API_TOKEN}"}


def dsn(scheme="postgresql", *, user=None, password=None, port=None, database=None, query=""):
    """The database's URL with one thing changed."""
    return (
        f"{scheme}://{user or DB.username}:{password or DB.password}@{DB.hostname}:{port or DB.port}"
        f"/{database or DB.path[1:]}{query}"
    )
