"""A DAG whose one task has an order refined by Spark, as the hourly DAG's would; it stands beside the order."""

from pathlib import Path

from airflow.sdk import dag, task


@dag(schedule=None)
def spark_task() -> None:
    @task
    def refine() -> None:
        from tideline import connections
        from tideline.spark.order import Order

        with connections.open_deployment() as deployment:
            deployment.submit_spark(Order.decode(Path(__file__).with_name("order.txt").read_text()))

    refine()


spark_task()
