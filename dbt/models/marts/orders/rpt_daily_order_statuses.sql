{{
    config(
        partition_by={'field': 'status_date', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['status'],
    )
}}

with

moves as (

    select * from {{ ref('int_order_status_days') }}

),

order_statuses as (

    select * from {{ ref('order_statuses') }}

),

named as (

    select
        moves.status_date,
        moves.entered_count,
        moves.left_count,
        moves.hours_in_status,
        moves.longest_hours_in_status,
        coalesce(order_statuses.status_code, -1) as known_code,
        coalesce(order_statuses.status, 'unknown') as status
    from moves
    left join order_statuses on moves.status_code = order_statuses.status_code

),

moved as (

    select
        known_code as status_code,
        status,
        status_date,
        sum(entered_count) as entered_count,
        sum(left_count) as left_count,
        sum(hours_in_status) as hours_in_status,
        max(longest_hours_in_status) as longest_hours_in_status
    from named
    group by known_code, status, status_date

),

span as (

    select
        min(status_date) as first_date,
        max(status_date) as last_date
    from moved
    where status_date >= date '{{ var("dates_from") }}' and status_date <= current_date('UTC')

),

statuses as (

    select distinct
        status_code,
        status
    from moved

),

-- every day on which orders can be; of others, where wrong dates lie, those on which something moved
dates as (

    select status_date
    from span
    cross join unnest(generate_date_array(span.first_date, span.last_date)) as status_date

    union distinct

    select status_date
    from moved

),

days as (

    select
        statuses.status_code,
        statuses.status,
        dates.status_date
    from dates
    cross join statuses

),

final as (

    select
        -- ids
        {{ surrogate_key(['days.status_date', 'days.status_code']) }} as daily_order_status_id,
        days.status_code,

        -- text
        days.status,

        -- numbers
        coalesce(moved.entered_count, 0) as entered_count,
        coalesce(moved.left_count, 0) as left_count,
        sum(coalesce(moved.entered_count, 0) - coalesce(moved.left_count, 0)) over (
            partition by days.status_code order by days.status_date
        ) as order_count,
        coalesce(moved.hours_in_status, 0) as hours_in_status,
        moved.longest_hours_in_status,

        -- times
        days.status_date,
        {{ data_as_of(['shop_mongodb.orders']) }} as data_as_of

    from days
    left join moved
        on
            days.status_code = moved.status_code
            and days.status_date = moved.status_date

)

select * from final
