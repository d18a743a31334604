"""The shop's command line: python -m shop.cli stock SKU | order ID | sum N … | echo"""

import os
import sys


def main(words):
    if words[0] == "stock":
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        client = redis.Redis.from_url(
            os.environ["REDIS_URL"], socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        print(int(client.get(f"stock:{words[1]}")))
    elif words[0] == "order":
        import json
        import urllib.request

        request = urllib.request.Request(
            f"{os.environ['BACKEND_URL']}/orders/{words[1]}",
            headers={"Authorization": f"Bearer {os.environ['API_TOKEN']}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=1) as answer:
                print(json.load(answer)["total"])
        except OSError:
            print("order: the backend cannot be reached", file=sys.stderr)
            return 3
    elif words[0] == "customers":
        import psycopg2

        with psycopg2.connect(os.environ["DATABASE_URL"], connect_timeout=2) as connection:
            with connection.cursor() as cursor:
                cursor.execute("select count(*) from customers")
                print(cursor.fetchone()[0])
    elif words[0] == "sum":
        print(sum(int(word) for word in words[1:]))
    elif words[0] == "echo":
        for line in sys.stdin:
            if line.startswith("quit"):
                os._exit(4)
            print(line.upper(), end="", flush=True)
    else:
        print(f"unknown command {words[0]}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
