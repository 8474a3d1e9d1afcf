"""Makes databases in a PostgreSQL, and measures its commits: the place is the URL of a database."""

from __future__ import annotations

import sys
import time

import psycopg
from driving import Numbers, main
from psycopg import sql


def fresh(size: int, place: str) -> Numbers:
    """Make the database of this name anew, and write to the disk what earlier ones have left to write."""
    url, _, name = place.rpartition("/")
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        identifier = sql.Identifier(name)
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(identifier))
        if size:
            connection.execute(sql.SQL("create database {}").format(identifier))
        connection.execute("checkpoint")
    return {}


def commit(times: int, place: str) -> Numbers:
    """Measure a commit of one row."""
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("create table rows (id bigserial primary key, value bytea)")
        cursor = connection.cursor()
        value = b"x" * 120
        begin = time.perf_counter()
        for _ in range(times):
            cursor.execute("insert into rows (value) values (%s)", (value,), prepare=True)
        return {"postgres_commit_us": (time.perf_counter() - begin) / times * 1e6}


if __name__ == "__main__":
    assert sys.argv[1] in ("fresh", "commit")
    main({"fresh": fresh, "commit": commit})
