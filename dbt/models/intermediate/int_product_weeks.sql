{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='product_week_id',
        on_schema_change='append_new_columns',
        partition_by={'field': 'order_month', 'data_type': 'date', 'granularity': 'month'},
        meta={'replaces': 'months'},
    )
}}
{%- set changes = touched(builds=['fct_orders', 'fct_order_items']) %}
{%- set months = within('order_date', changes.months, 'month') %}
{{ changes.note }}

with

order_items as (

    select *
    from {{ ref('fct_order_items') }}
    where {{ months }}

),

orders as (

    select *
    from {{ ref('fct_orders') }}
    where {{ months }}

),

order_statuses as (

    select * from {{ ref('order_statuses') }}

),

sold as (

    select
        order_items.product_id,
        order_items.quantity,
        order_items.net_amount_usd,
        order_items.is_returned or coalesce(order_statuses.is_returned, false) as is_returned,
        -- BigQuery's dates stay dates; the emulator needs the casts
        cast(date_trunc(orders.order_date, month) as date) as order_month,
        cast(date_trunc(orders.order_date, week (monday)) as date) as week_start_date
    from order_items
    inner join orders on order_items.order_id = orders.order_id
    left join order_statuses on orders.status_code = order_statuses.status_code
    where not coalesce(order_statuses.is_cancelled, false)

),

final as (

    select
        -- ids
        {{ surrogate_key(['order_month', 'week_start_date', 'product_id']) }} as product_week_id,
        product_id,

        -- numbers
        coalesce(sum(quantity), 0) as unit_count,
        coalesce(sum(net_amount_usd), 0) as revenue_usd,
        coalesce(sum(if(is_returned, quantity, 0)), 0) as returned_unit_count,
        coalesce(sum(if(is_returned, net_amount_usd, 0)), 0) as returned_amount_usd,

        -- times
        order_month,
        week_start_date

    from sold
    group by order_month, week_start_date, product_id

)

select * from final
