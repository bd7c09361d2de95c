{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='order_id',
        on_schema_change='append_new_columns',
        partition_by={'field': 'order_date', 'data_type': 'date', 'granularity': 'month'},
        meta={'replaces': 'months'},
        cluster_by=['order_id', 'customer_id'],
    )
}}
-- the other side of a relationship is built first, so that the test runs with this model
-- depends_on: {{ ref('dim_customers') }}, {{ ref('dim_dates') }}
-- depends_on: {{ ref('online_order_codes') }}
{%- set changes = touched(
    loads={'shop_mongodb.orders': {'table': source('shop_mongodb', 'orders'), 'column': 'order_date'}},
    builds=['fct_order_items', 'fct_charges'],
) %}
{%- set months = within('order_date', changes.months, 'month') %}
{{ changes.note }}

with

orders as (

    select *
    from {{ ref('stg_shop_mongodb__orders') }}
    where {{ months }}

),

items_per_order as (

    select
        order_id,
        count(*) as order_item_count,
        sum(quantity) as unit_count,
        sum(if(is_returned, quantity, 0)) as returned_unit_count,
        sum(gross_amount_usd) as gross_amount_usd,
        sum(discount_amount_usd) as discount_amount_usd,
        sum(net_amount_usd) as net_amount_usd,
        sum(if(is_returned, net_amount_usd, 0)) as returned_amount_usd,
        max(_merged_at) as _merged_at
    from {{ ref('fct_order_items') }}
    where {{ months }}
    group by order_id

),

charges_per_order as (

    select
        order_id,
        count(*) as charge_count,
        sum(if(signed_amount_usd > 0, signed_amount_usd, 0)) as debited_amount_usd,
        sum(if(signed_amount_usd < 0, -signed_amount_usd, 0)) as credited_amount_usd,
        sum(signed_amount_usd) as charged_amount_usd,
        min(charged_at) as first_charged_at,
        max(charged_at) as last_charged_at,
        max(_merged_at) as _merged_at
    from {{ ref('fct_charges') }}
    where {{ months }}
    group by order_id

),

order_statuses as (

    select * from {{ ref('order_statuses') }}

),

summed as (

    select
        orders.*,
        coalesce(items_per_order.order_item_count, 0) as order_item_count,
        coalesce(items_per_order.unit_count, 0) as unit_count,
        -- of an order that was sent back as a whole all items came back, marked or not
        coalesce(
            if(order_statuses.is_returned, items_per_order.unit_count, items_per_order.returned_unit_count), 0
        ) as returned_unit_count,
        coalesce(items_per_order.gross_amount_usd, 0) as gross_amount_usd,
        coalesce(items_per_order.discount_amount_usd, 0) as discount_amount_usd,
        coalesce(items_per_order.net_amount_usd, 0) as net_amount_usd,
        coalesce(
            if(order_statuses.is_returned, items_per_order.net_amount_usd, items_per_order.returned_amount_usd), 0
        ) as returned_amount_usd,
        coalesce(charges_per_order.charge_count, 0) as charge_count,
        coalesce(charges_per_order.debited_amount_usd, 0) as debited_amount_usd,
        coalesce(charges_per_order.credited_amount_usd, 0) as credited_amount_usd,
        coalesce(charges_per_order.charged_amount_usd, 0) as charged_amount_usd,
        charges_per_order.first_charged_at,
        charges_per_order.last_charged_at,
        greatest(
            orders._merged_at,
            coalesce(items_per_order._merged_at, orders._merged_at),
            coalesce(charges_per_order._merged_at, orders._merged_at)
        ) as _last_merged_at
    from orders
    left join items_per_order on orders.order_id = items_per_order.order_id
    left join charges_per_order on orders.order_id = charges_per_order.order_id
    left join order_statuses on orders.status_code = order_statuses.status_code

),

final as (

    select
        -- ids
        summed.order_id,
        summed.customer_id,
        summed.status_code,
        summed.online_order_code,

        -- text
        summed.shipping_carrier,
        summed.shipping_city,
        summed.shipping_state,
        summed.shipping_country_code,

        -- numbers
        summed.amount_usd,
        summed.declared_item_count,
        summed.order_item_count,
        summed.unit_count,
        summed.returned_unit_count,
        summed.gross_amount_usd,
        summed.discount_amount_usd,
        summed.net_amount_usd,
        summed.returned_amount_usd,
        summed.charge_count,
        summed.debited_amount_usd,
        summed.credited_amount_usd,
        summed.charged_amount_usd,
        summed.amount_usd - summed.charged_amount_usd as balance_usd,
        summed.shipping_weight_kg,

        -- booleans
        summed.charge_count > 0 and summed.charged_amount_usd >= summed.amount_usd as is_paid,
        summed.charged_amount_usd > summed.amount_usd as is_overpaid,

        -- times
        summed.order_date,
        summed.first_charged_at,
        summed.last_charged_at,
        summed.created_at,
        summed.updated_at,

        -- metadata
        summed._last_merged_at as _merged_at

    from summed

)

select * from final
