"""A Spark job whose workers die: one before it writes anything, one after it committed and before it answers."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> int:
    """`spark-submit spark_killed.py ORDER FOLDER`; a file in the folder says which death was died."""
    from pyspark.sql import SparkSession

    from tideline.spark import job
    from tideline.spark.order import Order
    from tideline.spark.parts import refine_part

    word, folder = sys.argv[1:]

    def die_once(death: str) -> None:
        try:
            Path(folder, death).touch(exist_ok=False)
        except FileExistsError:
            return
        os._exit(1)

    def refine(order, landed, stages):
        number = landed.details["range"]["number"]
        if number == 1:
            die_once("before")
        refined = refine_part(order, landed, stages)
        if number == 2:
            die_once("after")
        return refined

    spark = SparkSession.builder.getOrCreate()
    job.run(spark, Order.decode(word), refine)
    spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
