"""What `helm/e2e.py` does its steps with: a namespace, Airflow in it, the shop's truth, and harm."""
