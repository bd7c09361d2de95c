{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='order_status_change_id',
        on_schema_change='append_new_columns',
        partition_by={'field': 'order_date', 'data_type': 'date', 'granularity': 'month'},
        meta={'replaces': 'months'},
        cluster_by=['order_id', 'status_code'],
    )
}}
-- after it, so that what reports say of their age is true of what is read here
-- depends_on: {{ ref('rpt_freshness') }}
-- the other side of a relationship is built first, so that the test runs with this model
-- depends_on: {{ ref('order_statuses') }}
{%- set changes = touched(
    loads={'shop_mongodb.orders': {'table': source('shop_mongodb', 'orders'), 'column': 'order_date'}},
) %}
{{ changes.note }}

with

orders as (

    select
        order_id,
        status_code,
        status_history,
        order_date,
        created_at,
        updated_at,
        _extracted_at,
        _merged_at
    from {{ ref('stg_shop_mongodb__orders') }}
    where {{ within('order_date', changes.months, 'month') }}

),

told as (

    select
        orders.order_id,
        entry.status as status_code,
        entry.changed_at as entered_at,
        false as is_inferred,
        place as place_in_history,
        orders.order_date,
        orders._merged_at
    from orders
    cross join unnest(orders.status_history) as entry with offset as place
    where entry.changed_at is not null

),

last_told as (

    select *
    from told
    qualify row_number() over (partition by order_id order by entered_at desc, place_in_history desc) = 1

),

-- a status that the order has and its history does not tell
inferred as (

    select
        orders.order_id,
        orders.status_code,
        greatest(
            coalesce(orders.updated_at, orders.created_at, orders._extracted_at),
            coalesce(last_told.entered_at, timestamp '0001-01-01 00:00:00+00')
        ) as entered_at,
        true as is_inferred,
        1000000 as place_in_history,
        orders.order_date,
        orders._merged_at
    from orders
    left join last_told on orders.order_id = last_told.order_id
    where
        last_told.order_id is null
        or last_told.status_code is distinct from orders.status_code

),

entered as (

    select * from told
    union all
    select * from inferred

),

numbered as (

    select
        *,
        row_number() over (partition by order_id order by entered_at, place_in_history) as sequence_number,
        lead(status_code) over (partition by order_id order by entered_at, place_in_history) as next_status_code,
        lead(entered_at) over (partition by order_id order by entered_at, place_in_history) as left_at
    from entered

),

final as (

    select
        -- ids
        concat(cast(order_id as string), '-', cast(sequence_number as string)) as order_status_change_id,
        order_id,
        status_code,
        next_status_code,

        -- numbers
        sequence_number,
        timestamp_diff(left_at, entered_at, microsecond) / 3600000000 as hours_in_status,

        -- booleans
        left_at is null as is_current,
        is_inferred,

        -- times
        date(entered_at) as entered_date,
        order_date,
        entered_at,
        left_at,

        -- metadata
        _merged_at

    from numbered

)

select * from final
