{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='order_item_id',
        on_schema_change='append_new_columns',
        partition_by={'field': 'order_date', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['order_id', 'product_id'],
        post_hook="{{ delete_vanished('order_item_id', ref('stg_shop_s3__order_items')) }}",
    )
}}
-- the other side of a relationship is built first, so that the test runs with this model
-- depends_on: {{ ref('dim_products') }}

with

order_items as (

    select * from {{ ref('int_order_items_priced') }}

),

{% if is_incremental() %}

    built as (

        select
            order_item_id,
            has_order
        from {{ this }}

    ),

{% endif %}

final as (

    select
        -- ids
        order_items.order_item_id,
        order_items.order_id,
        order_items.product_id,
        order_items.customer_id,

        -- numbers
        order_items.quantity,
        order_items.unit_amount_usd,
        order_items.discount_rate,
        order_items.gross_amount_usd,
        order_items.discount_amount_usd,
        order_items.net_amount_usd,

        -- booleans
        order_items.is_returned,
        order_items.has_order,

        -- times
        order_items.order_date,
        order_items.created_at,
        order_items.updated_at,

        -- metadata
        order_items._merged_at

    from order_items

    {% if is_incremental() %}

        left join built on order_items.order_item_id = built.order_item_id
        where
            order_items._merged_at >= {{ merged_since(this) }}
            or built.order_item_id is null
            -- an order that was deleted leaves only its absence behind
            or order_items.has_order != built.has_order

    {% endif %}

)

select * from final
