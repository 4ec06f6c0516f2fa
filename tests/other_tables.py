"""A caller's further table (a wallet, ranks) as each kind of source."""

import polars as pl
import pyarrow as pa


def as_source(frame, kind, folder, connection):
    if kind == "parquet":
        frame.to_parquet(folder / "wallet.parquet")
        return folder / "wallet.parquet"
    if kind == "csv":
        frame.to_csv(folder / "wallet.csv", index=False)
        return str(folder / "wallet.csv")
    makers = {
        "pandas": lambda: frame,
        "polars": lambda: pl.from_pandas(frame),
        "polars-lazy": lambda: pl.from_pandas(frame).lazy(),
        "pyarrow": lambda: pa.Table.from_pandas(frame),
        "stream": lambda: pa.Table.from_pandas(frame).to_reader(),
        "duckdb": lambda: connection.from_df(frame),
    }
    return makers[kind]()
