{{
    config(
        partition_by={'field': 'activity_date', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['country_code'],
    )
}}

with

customers as (

    select * from {{ ref('dim_customers') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

order_statuses as (

    select * from {{ ref('order_statuses') }}

),

signups as (

    select
        date(created_at) as activity_date,
        coalesce(country_code, 'unknown') as country_code,
        count(*) as signup_count
    from customers
    where created_at is not null
    group by activity_date, country_code

),

bought as (

    select
        orders.order_date as activity_date,
        orders.customer_id,
        orders.net_amount_usd,
        coalesce(customers.country_code, 'unknown') as country_code,
        orders.customer_id is not null and row_number() over (
            partition by orders.customer_id
            order by orders.order_date, orders.created_at, orders.order_id
        ) = 1 as is_first
    from orders
    left join customers on orders.customer_id = customers.customer_id
    left join order_statuses on orders.status_code = order_statuses.status_code
    where not coalesce(order_statuses.is_cancelled, false)

),

purchases as (

    select
        activity_date,
        country_code,
        count(distinct customer_id) as buyer_count,
        count(*) as order_count,
        sum(if(is_first, 1, 0)) as new_buyer_count,
        sum(net_amount_usd) as revenue_usd,
        sum(if(is_first, net_amount_usd, 0)) as first_order_revenue_usd
    from bought
    group by activity_date, country_code

),

joined as (

    select
        coalesce(signups.activity_date, purchases.activity_date) as activity_date,
        coalesce(signups.country_code, purchases.country_code) as country_code,
        coalesce(signups.signup_count, 0) as signup_count,
        coalesce(purchases.new_buyer_count, 0) as new_buyer_count,
        coalesce(purchases.buyer_count, 0) as buyer_count,
        coalesce(purchases.order_count, 0) as order_count,
        coalesce(purchases.revenue_usd, 0) as revenue_usd,
        coalesce(purchases.first_order_revenue_usd, 0) as first_order_revenue_usd
    from signups
    full outer join purchases
        on
            signups.activity_date = purchases.activity_date
            and signups.country_code = purchases.country_code

),

final as (

    select
        -- ids
        {{ surrogate_key(['activity_date', 'country_code']) }} as daily_customers_id,

        -- text
        country_code,

        -- numbers
        signup_count,
        new_buyer_count,
        buyer_count,
        order_count,
        order_count - new_buyer_count as repeat_order_count,
        revenue_usd,
        first_order_revenue_usd,

        -- times
        activity_date,
        {{ data_as_of(['shop_mongodb.customers', 'shop_mongodb.orders', 'shop_s3.order_items']) }} as data_as_of

    from joined

)

select * from final
