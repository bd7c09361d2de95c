{{
    config(
        partition_by={'field': 'status_date', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['status'],
    )
}}

with

status_changes as (

    select * from {{ ref('fct_order_status_changes') }}

),

order_statuses as (

    select * from {{ ref('order_statuses') }}

),

named as (

    select
        status_changes.entered_date,
        date(status_changes.left_at) as left_date,
        status_changes.hours_in_status,
        coalesce(order_statuses.status_code, -1) as status_code,
        coalesce(order_statuses.status, 'unknown') as status
    from status_changes
    left join order_statuses on status_changes.status_code = order_statuses.status_code

),

entered as (

    select
        status_code,
        entered_date as status_date,
        count(*) as entered_count
    from named
    group by status_code, status_date

),

ended as (

    select
        status_code,
        left_date as status_date,
        count(*) as left_count,
        sum(hours_in_status) as hours_in_status,
        max(hours_in_status) as longest_hours_in_status
    from named
    where left_date is not null
    group by status_code, status_date

),

span as (

    select
        min(entered_date) as first_date,
        max(greatest(entered_date, coalesce(left_date, entered_date))) as last_date
    from named

),

statuses as (

    select distinct
        status_code,
        status
    from named

),

days as (

    select
        statuses.status_code,
        statuses.status,
        status_date
    from span
    cross join statuses
    cross join unnest(generate_date_array(span.first_date, span.last_date)) as status_date

),

final as (

    select
        -- ids
        {{ surrogate_key(['days.status_date', 'days.status_code']) }} as daily_order_status_id,
        days.status_code,

        -- text
        days.status,

        -- numbers
        coalesce(entered.entered_count, 0) as entered_count,
        coalesce(ended.left_count, 0) as left_count,
        sum(coalesce(entered.entered_count, 0) - coalesce(ended.left_count, 0)) over (
            partition by days.status_code order by days.status_date
        ) as order_count,
        coalesce(ended.hours_in_status, 0) as hours_in_status,
        ended.longest_hours_in_status,

        -- times
        days.status_date,
        {{ data_as_of(['shop_mongodb.orders']) }} as data_as_of

    from days
    left join entered
        on
            days.status_code = entered.status_code
            and days.status_date = entered.status_date
    left join ended
        on
            days.status_code = ended.status_code
            and days.status_date = ended.status_date

)

select * from final
