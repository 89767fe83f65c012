"""The table of docs/engines.md: `python tests/support/parity_table.py`."""

import parity_lightgbm
import parity_xgboost

ENGINES = {"XGBoost": parity_xgboost, "LightGBM": parity_lightgbm}


def table():
    """Every path, and where it ends, in Markdown."""
    rows = [f"| {name} | {case.path} | {case.outcome} |" for name, engine in ENGINES.items() for case in engine.CASES]
    return "\n".join(["| engine | path | outcome |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())
