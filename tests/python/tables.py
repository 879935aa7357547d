"""Reads the files of `doomctl export` as an analyst would: tables.py FOLDER.

There are s.csv, s.jsonl and s.parquet of the same scores: four episodes of experiment e1, three of them with a variable ARMOR. DuckDB reads all
three, pandas what it reads by itself; every one must see the same.
"""

import pathlib
import sys

import duckdb
import pandas

folder = pathlib.Path(sys.argv[1])
EXPECTED = [(1, -1.25, None), (2, -1.25, 0.5), (3, -1.25, 0.5), (4, -1.25, 0.5)]


def figures(table, armor, of=""):
    return duckdb.sql(f"select {of}episode_number, {of}total_reward, {of}{armor} from '{folder / table}' order by 1").fetchall()


for table in ("s.csv", "s.parquet"):
    rows = figures(table, "variable_ARMOR")
    assert rows == EXPECTED, f"{table}: {rows}"
    # Types are what they are, without being told.
    kinds = dict(duckdb.sql(f"select column_name, column_type from (describe select * from '{folder / table}')").fetchall())
    assert kinds["episode_number"] == "BIGINT" and kinds["total_reward"] == "DOUBLE" and kinds["scenario"] == "VARCHAR", kinds
    assert kinds["started_at"].startswith("TIMESTAMP"), kinds
    (mean,) = duckdb.sql(f"select avg(total_reward) from '{folder / table}' group by policy").fetchall()
    assert mean == (-1.25,), mean
rows = figures("s.jsonl", "final_variables.ARMOR", "event.payload.")
assert rows == EXPECTED, rows

frame = pandas.read_csv(folder / "s.csv", parse_dates=["started_at", "completed_at"])
assert frame["episode_number"].tolist() == [1, 2, 3, 4] and frame["total_reward"].mean() == -1.25, frame
assert frame["variable_ARMOR"].isna().tolist() == [True, False, False, False], frame["variable_ARMOR"]
assert frame["scenario"].unique().tolist() == ['basic, "the first"'], frame["scenario"]
assert str(frame["started_at"].iloc[0]) == "2026-01-02 03:04:05.123456+00:00", frame["started_at"]
lines = pandas.json_normalize(pandas.read_json(folder / "s.jsonl", lines=True)["event"])
assert lines["payload.episode_number"].tolist() == [1, 2, 3, 4], lines
# A table of pandas out of Parquet, by way of DuckDB.
parquet = duckdb.sql(f"select * from '{folder / 's.parquet'}' order by episode_number").df()
assert parquet.columns.tolist() == frame.columns.tolist()
for column in ("episode_number", "seed", "kills", "total_reward", "decision_us_p99", "variable_HEALTH"):
    assert parquet[column].tolist() == frame[column].tolist(), column
print("tables")
