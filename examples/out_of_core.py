"""Training from a Parquet file that need not fit into memory: XGBoost's external memory, one row group at a time.

    python examples/out_of_core.py

writes a file of 200,000 simulated transactions, trains on its row groups, and predicts it in the same way. XGBoost
keeps its own pages on disk, beside the file; in memory are one row group, and per row the label, the margin and what
the objective returns. Needs: pip install "gbm_focal[all]" pyarrow, and XGBoost 3.0 or newer.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost

from gbm_focal import FocalLoss
from gbm_focal.xgboost import predict_proba, train

FEATURES = [f"x{number}" for number in range(10)]


class RowGroups(xgboost.DataIter):
    """The row groups of a Parquet file, some of them or all, as XGBoost asks for them."""

    def __init__(self, path: Path, groups: range, cache: Path) -> None:
        self.file, self.groups, self.at = pq.ParquetFile(path), groups, 0
        super().__init__(cache_prefix=str(cache))

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Hand the next row group over; False when there is none."""
        if self.at == len(self.groups):
            return False
        table = self.file.read_row_group(self.groups[self.at]).to_pandas()
        input_data(data=table[FEATURES], label=table["fraud"])
        self.at += 1
        return True

    def reset(self) -> None:
        """Start again; XGBoost reads the data more than once."""
        self.at = 0


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--row-group", type=int, default=20_000, help="rows of each row group")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "transactions.parquet")
        write(path, options.rows, options.row_group)
        fit(path)


def fit(path: Path) -> None:
    """Train on the row groups of a file, and say how well the probabilities fit."""
    groups = pq.ParquetFile(path).num_row_groups
    last = max(1, groups // 5)  # a fifth of them to stop on
    dtrain = xgboost.ExtMemQuantileDMatrix(RowGroups(path, range(groups - last), path.with_name("train")))
    rest = RowGroups(path, range(groups - last, groups), path.with_name("valid"))
    valid = xgboost.ExtMemQuantileDMatrix(rest, ref=dtrain)
    print(f"{path.stat().st_size / 2**20:.1f} MiB in {groups} row groups, {dtrain.num_row():,} rows to train on")

    params = {"max_depth": 4, "eta": 0.3, "nthread": 2}
    stopping = {"evals": [(valid, "valid")], "early_stopping_rounds": 5, "verbose_eval": False}
    booster = train(params, dtrain, 100, loss=FocalLoss(gamma=2.0, alpha="balanced"), **stopping)
    for name, data in (("trained on", dtrain), ("stopped on", valid)):
        mean = predict_proba(booster, data)[:, 1].mean()
        print(f"{name}: mean probability {mean:.5f}, share of fraud {data.get_label().mean():.5f}")
    print(f"{booster.best_iteration + 1} rounds")


def write(path: Path, rows: int, row_group: int) -> None:
    """Write simulated transactions, about 1 % of them fraud, a row group at a time."""
    random = np.random.default_rng(0)
    fields = [*((name, pa.float32()) for name in FEATURES), ("fraud", pa.int8())]
    with pq.ParquetWriter(path, pa.schema(fields)) as writer:
        for start in range(0, rows, row_group):
            X = random.normal(size=(min(row_group, rows - start), len(FEATURES))).astype(np.float32)
            fraud = X[:, 0] + X[:, 1] * X[:, 2] + random.normal(size=len(X)) > 4
            columns = [*X.T, fraud.astype(np.int8)]
            writer.write_table(pa.table(columns, schema=pa.schema(fields)), row_group_size=row_group)


if __name__ == "__main__":
    main()
