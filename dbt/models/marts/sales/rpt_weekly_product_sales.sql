{{
    config(
        partition_by={'field': 'week_start_date', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['category', 'product_id'],
        require_partition_filter=true,
    )
}}

with

weeks as (

    select * from {{ ref('int_product_weeks') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

sold as (

    select
        product_id,
        week_start_date,
        sum(unit_count) as unit_count,
        sum(revenue_usd) as revenue_usd,
        sum(returned_unit_count) as returned_unit_count,
        sum(returned_amount_usd) as returned_amount_usd
    from weeks
    group by product_id, week_start_date

),

last_week as (

    select max(week_start_date) as newest_week
    from sold

),

-- each week's sales stand in that week, in the next one as "previous" and 52 weeks on as "last year": the columns can
-- then be added up over any products, also over those that sold in one of the weeks only. The calendar ends with 9999
shifted as (

    select
        product_id,
        week_start_date,
        unit_count,
        revenue_usd,
        returned_unit_count,
        returned_amount_usd,
        0 as previous_unit_count,
        cast(0 as numeric) as previous_revenue_usd,
        0 as last_year_unit_count,
        cast(0 as numeric) as last_year_revenue_usd
    from sold

    union all

    select
        product_id,
        cast(date_add(week_start_date, interval 7 day) as date) as week_start_date,
        0 as unit_count,
        cast(0 as numeric) as revenue_usd,
        0 as returned_unit_count,
        cast(0 as numeric) as returned_amount_usd,
        unit_count as previous_unit_count,
        revenue_usd as previous_revenue_usd,
        0 as last_year_unit_count,
        cast(0 as numeric) as last_year_revenue_usd
    from sold
    where week_start_date <= date '9999-12-20'

    union all

    select
        product_id,
        cast(date_add(week_start_date, interval 364 day) as date) as week_start_date,
        0 as unit_count,
        cast(0 as numeric) as revenue_usd,
        0 as returned_unit_count,
        cast(0 as numeric) as returned_amount_usd,
        0 as previous_unit_count,
        cast(0 as numeric) as previous_revenue_usd,
        unit_count as last_year_unit_count,
        revenue_usd as last_year_revenue_usd
    from sold
    where week_start_date <= date '9998-12-28'

),

compared as (

    select
        shifted.product_id,
        shifted.week_start_date,
        sum(shifted.unit_count) as unit_count,
        sum(shifted.revenue_usd) as revenue_usd,
        sum(shifted.returned_unit_count) as returned_unit_count,
        sum(shifted.returned_amount_usd) as returned_amount_usd,
        sum(shifted.previous_unit_count) as previous_unit_count,
        sum(shifted.previous_revenue_usd) as previous_revenue_usd,
        sum(shifted.last_year_unit_count) as last_year_unit_count,
        sum(shifted.last_year_revenue_usd) as last_year_revenue_usd
    from shifted
    inner join last_week on shifted.week_start_date <= last_week.newest_week
    group by shifted.product_id, shifted.week_start_date

),

final as (

    select
        -- ids
        {{ surrogate_key(['compared.week_start_date', 'compared.product_id']) }} as weekly_product_sales_id,
        compared.product_id,

        -- text
        coalesce(nullif(products.title, ''), 'unknown') as product_title,
        coalesce(products.category, 'unknown') as category,
        coalesce(products.sub_category, 'unknown') as sub_category,
        coalesce(products.gender, 'unknown') as gender,

        -- numbers
        compared.unit_count,
        compared.revenue_usd,
        compared.returned_unit_count,
        compared.returned_amount_usd,
        compared.previous_unit_count,
        compared.previous_revenue_usd,
        compared.last_year_unit_count,
        compared.last_year_revenue_usd,

        -- times
        compared.week_start_date,
        {{ data_as_of(['shop_mongodb.orders', 'shop_s3.order_items', 'shop_s3.products']) }} as data_as_of

    from compared
    left join products on compared.product_id = products.product_id

)

select * from final
