{#-
  The report's revenue is that of the raw tables, to the cent. It is added up here from the sources themselves and in
  one step, so that a mistake in any model in between shows. `matching` says which orders the report is about.
-#}
{% test revenue_as_in_raw(model, column, matching='true') %}

with

items as (

    select
        order_id,
        quantity * unit_amount
        - round(quantity * unit_amount * coalesce(safe_cast(discount_rate as numeric), 0), 2) as revenue_usd
    from {{ source('shop_s3', 'order_items') }}
    where _deleted_at is null

),

orders as (

    select id
    from {{ source('shop_mongodb', 'orders') }}
    where
        _deleted_at is null
        and coalesce(status, 0) not in (select status_code from {{ ref('order_statuses') }} where is_cancelled)
        and {{ matching }}

),

raw as (

    select coalesce(sum(items.revenue_usd), 0) as revenue_usd
    from items
    inner join orders on items.order_id = orders.id

),

report as (

    select coalesce(sum({{ column }}), 0) as revenue_usd
    from {{ model }}

)

select
    raw.revenue_usd as raw_revenue_usd,
    report.revenue_usd as report_revenue_usd
from raw
cross join report
where raw.revenue_usd != report.revenue_usd

{% endtest %}
