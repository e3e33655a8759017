#!/usr/bin/env python3
"""Runs the Python and every query of query.md against a bucket, and prints what each answers.

    pip install pyarrow duckdb
    AWS_ENDPOINT_URL=http://localhost:4566 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test docs/query.py

The page's example minute is replaced by the last one that has counts, or by the argument, 2026-11-24T13:05.
"""

import datetime
import pathlib
import re
import sys

page = pathlib.Path(__file__).with_name("query.md").read_text()
python = re.search(r"^```python\n(.*?)^```", page, re.M | re.S)
chapter = re.search(r"^## Queries\n(.*?)^## ", page, re.M | re.S)
if python is None or chapter is None:
    sys.exit("query.md has no block of Python, or no chapter of queries")
namespace = {}
exec(compile(python[1], "query.md", "exec"), namespace)
db = namespace["db"]

if len(sys.argv) > 1:
    minute = datetime.datetime.fromisoformat(sys.argv[1])
else:
    [(minute,)] = db.sql("SELECT MAX(window_start) AT TIME ZONE 'UTC' FROM counts").fetchall()
    if minute is None:
        sys.exit("the bucket has no counts")

for title, query in re.findall(r"^### ([^\n]*)\n|^```sql\n(.*?)^```", chapter[1], re.M | re.S):
    if title:
        print(f"\n== {title}")
        continue
    query = query.replace("2026-11-24 13:05", f"{minute:%Y-%m-%d %H:%M}")
    query = query.replace("2026-11-24 13", f"{minute:%Y-%m-%d %H}")
    query = query.replace("2026-11-24", f"{minute:%Y-%m-%d}").replace("'13'", f"'{minute:%H}'")
    print(db.sql(query))
