"""Bring the database of DATABASE_URL to the schema and the seed of the tests; safe to run again."""

import asyncio
import os
from pathlib import Path

import asyncpg


async def main() -> None:
    connection = await asyncpg.connect(os.environ["DATABASE_URL"], timeout=5)
    try:
        for name in ("schema.sql", "seed.sql"):
            await connection.execute(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    finally:
        await connection.close(timeout=5)


asyncio.run(main())
