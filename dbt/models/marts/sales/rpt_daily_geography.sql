{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='daily_geography_id',
        on_schema_change='append_new_columns',
        meta={'replaces': 'all'},
        partition_by={'field': 'order_date', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['country_code', 'city'],
    )
}}
{%- set changes = touched(builds=['fct_orders']) %}
{%- set months = within('order_date', changes.months, 'month') %}
{{ changes.note }}

with

orders as (

    select *
    from {{ ref('fct_orders') }}
    where {{ months }}

),

order_statuses as (

    select * from {{ ref('order_statuses') }}

),

online_order_codes as (

    select * from {{ ref('online_order_codes') }}

),

placed as (

    select
        orders.order_date,
        orders.amount_usd,
        orders.unit_count,
        orders.net_amount_usd,
        orders.shipping_weight_kg,
        coalesce(nullif(orders.shipping_country_code, ''), 'unknown') as country_code,
        coalesce(nullif(orders.shipping_state, ''), 'unknown') as state,
        coalesce(nullif(orders.shipping_city, ''), 'unknown') as city,
        coalesce(online_order_codes.sales_channel, 'unknown') as sales_channel
    from orders
    left join order_statuses on orders.status_code = order_statuses.status_code
    left join online_order_codes on orders.online_order_code = online_order_codes.online_order_code
    where not coalesce(order_statuses.is_cancelled, false)

),

summed as (

    select
        -- ids
        {{ surrogate_key(['order_date', 'country_code', 'state', 'city', 'sales_channel']) }} as daily_geography_id,

        -- text
        country_code,
        state,
        city,
        sales_channel,

        -- numbers
        count(*) as order_count,
        coalesce(sum(unit_count), 0) as unit_count,
        coalesce(sum(net_amount_usd), 0) as revenue_usd,
        coalesce(sum(amount_usd), 0) as order_amount_usd,
        coalesce(sum(shipping_weight_kg), 0) as shipping_weight_kg,

        -- times
        order_date

    from placed
    group by order_date, country_code, state, city, sales_channel

),

all_months as (

    select * from summed

    {% if changes.months is not none %}

        union all

        -- as they were, by name: a column that was added to the model lies at the end of its table
        select
            daily_geography_id,
            country_code,
            state,
            city,
            sales_channel,
            order_count,
            unit_count,
            revenue_usd,
            order_amount_usd,
            shipping_weight_kg,
            order_date
        from {{ this }}
        where not {{ months }}

    {% endif %}

),

final as (

    select
        *,
        {{ data_as_of(['shop_mongodb.orders', 'shop_s3.order_items']) }} as data_as_of
    from all_months

)

select * from final
