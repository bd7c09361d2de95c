{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='order_item_id',
        on_schema_change='append_new_columns',
        partition_by={'field': 'order_date', 'data_type': 'date', 'granularity': 'month'},
        meta={'replaces': 'months', 'placed_by': 'created_at'},
        cluster_by=['order_id', 'product_id'],
    )
}}
-- the other side of a relationship is built first, so that the test runs with this model
-- depends_on: {{ ref('dim_products') }}
{%- set changes = touched(
    loads={
        'shop_mongodb.orders': {'table': source('shop_mongodb', 'orders'), 'column': 'order_date'},
        'shop_s3.order_items': {'table': source('shop_s3', 'order_items'), 'column': 'created_at'},
    },
    children={'dataset': 'shop_s3.order_items', 'key': 'order_item_id', 'parents': 'shop_mongodb.orders'},
) %}
{%- set months = within('order_date', changes.months, 'month', or_null=true) %}
{%- set merged = changes.days['shop_s3.order_items'] if changes.days else none %}
{%- set days = within('created_at', merged, kind='timestamp', or_null=true) %}
{{ changes.note }}

with

orders as (

    select
        order_id,
        customer_id,
        order_date
    from {{ ref('stg_shop_mongodb__orders') }}
    where {{ months }}

),

grossed as (

    select
        *,
        quantity * unit_amount_usd as gross_amount_usd,
        -- a rate that is not a number (NaN, infinity) waives nothing
        coalesce(safe_cast(discount_rate as numeric), 0) as discount_share
    from {{ ref('stg_shop_s3__order_items') }}
    where {{ days }}

),

priced as (

    select
        order_item_id,
        order_id,
        product_id,
        quantity,
        unit_amount_usd,
        discount_rate,
        gross_amount_usd,
        round(gross_amount_usd * discount_share, 2) as discount_amount_usd,
        gross_amount_usd - round(gross_amount_usd * discount_share, 2) as net_amount_usd,
        is_returned,
        created_at,
        updated_at,
        _merged_at
    from grossed

    {% if changes.months is not none %}

        union all

        -- of the same months, as they are: nothing was merged where they lie in raw
        select
            order_item_id,
            order_id,
            product_id,
            quantity,
            unit_amount_usd,
            discount_rate,
            gross_amount_usd,
            discount_amount_usd,
            net_amount_usd,
            is_returned,
            created_at,
            updated_at,
            _merged_at
        from {{ this }}
        where {{ months }} and not {{ days }}

    {% endif %}

),

final as (

    select
        -- ids
        priced.order_item_id,
        priced.order_id,
        priced.product_id,
        orders.customer_id,

        -- numbers
        priced.quantity,
        priced.unit_amount_usd,
        priced.discount_rate,
        priced.gross_amount_usd,
        priced.discount_amount_usd,
        priced.net_amount_usd,

        -- booleans
        priced.is_returned,
        orders.order_id is not null as has_order,

        -- times
        orders.order_date,
        priced.created_at,
        priced.updated_at,

        -- metadata
        priced._merged_at

    from priced
    left join orders on priced.order_id = orders.order_id

)

select * from final
