"""The local dashboard and the links into Looker Studio: the same reports, shown twice.

target <- marts <- parts, charts <- one module a page <- app: Streamlit, in an environment of its own.
launch finds the warehouse and starts the app (`make dashboard`). looker makes URLs and reference pages of
`looker/pages.yml` and the dbt manifest. Reads `rpt_*` tables only; imports nothing of Tideline.
"""
