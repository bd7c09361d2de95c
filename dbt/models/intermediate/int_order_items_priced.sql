with

order_items as (

    select * from {{ ref('stg_shop_s3__order_items') }}

),

orders as (

    select * from {{ ref('stg_shop_mongodb__orders') }}

),

grossed as (

    select
        *,
        quantity * unit_amount_usd as gross_amount_usd,
        -- a rate that is not a number (NaN, infinity) waives nothing
        coalesce(safe_cast(discount_rate as numeric), 0) as discount_share
    from order_items

),

discounted as (

    select
        *,
        round(gross_amount_usd * discount_share, 2) as discount_amount_usd
    from grossed

),

priced as (

    select
        -- ids
        discounted.order_item_id,
        discounted.order_id,
        discounted.product_id,
        orders.customer_id,

        -- numbers
        discounted.quantity,
        discounted.unit_amount_usd,
        discounted.discount_rate,
        discounted.gross_amount_usd,
        discounted.discount_amount_usd,
        discounted.gross_amount_usd - discounted.discount_amount_usd as net_amount_usd,

        -- booleans
        discounted.is_returned,
        orders.order_id is not null as has_order,

        -- times
        orders.order_date,
        discounted.created_at,
        discounted.updated_at,

        -- metadata
        greatest(discounted._merged_at, coalesce(orders._merged_at, discounted._merged_at)) as _merged_at

    from discounted
    left join orders on discounted.order_id = orders.order_id

)

select * from priced
