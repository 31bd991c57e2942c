"""A local Spark that serves tables by Spark Connect until its input ends: python spark_server.py FOLDER PORT.

What salesops reads of them in this process, without Connect, is in inputs.csv beside them.
"""

import os
import sys
from pathlib import Path

from salesops import crm


def main(folder: Path, port: str) -> None:
    """Every Parquet file of the folder becomes a table of the catalog."""
    from pyspark.sql import SparkSession  # an extra

    settings = {
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.port": port,
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.log.level": "OFF",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    }
    session = SparkSession.builder.master("local[1]").config(map=settings).getOrCreate()
    for path in sorted(folder.glob("*.parquet")):
        session.sql(f"CREATE TABLE `{path.stem}` USING parquet LOCATION '{path}'")
    os.environ["SALES_DB"] = "spark://local"
    (folder / "source.yaml").write_text("database: env:SALES_DB", encoding="utf-8")
    crm.load(folder).inputs.to_csv(folder / "inputs.csv", index=False)
    print("ready", flush=True)
    sys.stdin.read()
    session.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
