{{ config(materialized='table') }}

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

bought as (

    select
        orders.order_date,
        orders.customer_id,
        orders.net_amount_usd,
        coalesce(nullif(customers.country_code, ''), 'unknown') as country_code,
        -- BigQuery's dates stay dates; the emulator needs the cast
        cast(
            date_trunc(min(orders.order_date) over (partition by orders.customer_id), month) as date
        ) as first_month,
        row_number() over (
            partition by orders.customer_id
            order by orders.order_date, orders.created_at, orders.order_id
        ) as order_number,
        row_number() over (
            partition by orders.customer_id, date_trunc(orders.order_date, month)
            order by orders.order_date, orders.created_at, orders.order_id
        ) as number_in_month,
        row_number() over (
            partition by orders.customer_id, orders.order_date
            order by orders.created_at, orders.order_id
        ) as number_in_day
    from orders
    left join customers on orders.customer_id = customers.customer_id
    left join order_statuses on orders.status_code = order_statuses.status_code
    where not coalesce(order_statuses.is_cancelled, false)

),

events as (

    -- an order of nobody known is nobody's first one
    select
        order_date as activity_date,
        country_code,
        if(customer_id is null, null, first_month) as cohort_month,
        0 as signup_count,
        1 as order_count,
        if(customer_id is not null and order_number = 1, 1, 0) as new_buyer_count,
        if(customer_id is not null and order_number = 2, 1, 0) as new_repeat_customer_count,
        if(customer_id is not null and number_in_day = 1, 1, 0) as buyer_count,
        if(customer_id is not null and number_in_month = 1, 1, 0) as monthly_buyer_count,
        net_amount_usd as revenue_usd
    from bought

    union all

    select
        date(created_at) as activity_date,
        coalesce(nullif(country_code, ''), 'unknown') as country_code,
        cast(null as date) as cohort_month,
        1 as signup_count,
        0 as order_count,
        0 as new_buyer_count,
        0 as new_repeat_customer_count,
        0 as buyer_count,
        0 as monthly_buyer_count,
        cast(0 as numeric) as revenue_usd
    from customers
    where created_at is not null

),

final as (

    select
        -- ids
        {{ surrogate_key(['activity_date', 'country_code', 'cohort_month']) }} as customer_day_id,

        -- text
        country_code,

        -- numbers
        sum(signup_count) as signup_count,
        sum(order_count) as order_count,
        sum(new_buyer_count) as new_buyer_count,
        sum(new_repeat_customer_count) as new_repeat_customer_count,
        sum(buyer_count) as buyer_count,
        sum(monthly_buyer_count) as monthly_buyer_count,
        sum(revenue_usd) as revenue_usd,
        sum(if(new_buyer_count = 1, revenue_usd, 0)) as first_order_revenue_usd,

        -- times
        activity_date,
        cohort_month

    from events
    group by activity_date, country_code, cohort_month

)

select * from final
