{{
    config(
        partition_by={'field': 'activity_date', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['country_code'],
    )
}}

with

days as (

    select * from {{ ref('int_customer_days') }}

),

final as (

    select
        -- ids
        {{ surrogate_key(['activity_date', 'country_code']) }} as daily_customers_id,

        -- text
        country_code,

        -- numbers
        sum(signup_count) as signup_count,
        sum(new_buyer_count) as new_buyer_count,
        sum(buyer_count) as buyer_count,
        sum(order_count) as order_count,
        sum(order_count) - sum(new_buyer_count) as repeat_order_count,
        sum(revenue_usd) as revenue_usd,
        sum(first_order_revenue_usd) as first_order_revenue_usd,

        -- times
        activity_date,
        {{ data_as_of(['shop_mongodb.customers', 'shop_mongodb.orders', 'shop_s3.order_items']) }} as data_as_of

    from days
    group by activity_date, country_code

)

select * from final
