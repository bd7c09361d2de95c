{{
    config(
        partition_by={'field': 'cohort_month', 'data_type': 'date', 'granularity': 'month'},
    )
}}

with

bought as (

    select
        *,
        -- BigQuery's dates stay dates; the emulator needs the cast
        cast(date_trunc(activity_date, month) as date) as order_month
    from {{ ref('int_customer_days') }}
    where cohort_month is not null

),

cohorts as (

    select
        cohort_month,
        sum(new_buyer_count) as customer_count
    from bought
    group by cohort_month

),

last_month as (

    select max(order_month) as newest_month
    from bought
    where order_month <= current_date('UTC')

),

-- every month of every cohort, also those in which nobody bought; of those to come, where wrong dates lie, the ones in
-- which somebody did
months as (

    select
        cohorts.cohort_month,
        cast(order_month as date) as order_month
    from cohorts
    cross join last_month
    cross join
        unnest(
            generate_date_array(cohorts.cohort_month, last_month.newest_month, interval 1 month)
        ) as order_month

    union distinct

    select
        cohort_month,
        order_month
    from bought

),

monthly as (

    select
        cohort_month,
        order_month,
        sum(monthly_buyer_count) as buyer_count,
        sum(order_count) as order_count,
        sum(new_repeat_customer_count) as new_repeat_customer_count,
        sum(revenue_usd) as revenue_usd
    from bought
    group by cohort_month, order_month

),

joined as (

    select
        months.cohort_month,
        months.order_month,
        cohorts.customer_count,
        date_diff(months.order_month, months.cohort_month, month) as month_number,
        coalesce(monthly.buyer_count, 0) as buyer_count,
        coalesce(monthly.order_count, 0) as order_count,
        coalesce(monthly.revenue_usd, 0) as revenue_usd,
        coalesce(monthly.new_repeat_customer_count, 0) as new_repeat_customer_count
    from months
    inner join cohorts on months.cohort_month = cohorts.cohort_month
    left join monthly
        on
            months.cohort_month = monthly.cohort_month
            and months.order_month = monthly.order_month

),

final as (

    select
        -- ids
        {{ surrogate_key(['cohort_month', 'order_month']) }} as customer_cohort_id,

        -- numbers
        month_number,
        customer_count,
        buyer_count,
        order_count,
        new_repeat_customer_count,
        sum(new_repeat_customer_count) over (
            partition by cohort_month order by order_month
        ) as repeat_customer_count,
        revenue_usd,
        sum(revenue_usd) over (partition by cohort_month order by order_month) as lifetime_revenue_usd,

        -- times
        cohort_month,
        order_month,
        {{ data_as_of(['shop_mongodb.orders', 'shop_s3.order_items']) }} as data_as_of

    from joined

)

select * from final
