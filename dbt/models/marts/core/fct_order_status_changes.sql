{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='order_status_change_id',
        on_schema_change='append_new_columns',
        partition_by={'field': 'order_date', 'data_type': 'date', 'granularity': 'month'},
        meta={'partition_is_fixed': true},
        cluster_by=['order_id', 'status_code'],
        post_hook=[
            "{{ delete_vanished('order_id', ref('stg_shop_mongodb__orders'), within='order_date') }}",
            "{{ delete_outlived('order_id', within='order_date') }}",
        ],
    )
}}
-- the other side of a relationship is built first, so that the test runs with this model
-- depends_on: {{ ref('order_statuses') }}
{%- set touched = merged_dates(source('shop_mongodb', 'orders'), 'order_date') %}

with

orders as (

    select *
    from {{ ref('stg_shop_mongodb__orders') }}
    where {{ touched }}

),

{% if is_incremental() %}

    built as (

        select distinct order_id
        from {{ this }}
        where {{ touched }}

    ),

{% endif %}

changed as (

    select
        orders.order_id,
        orders.status_code,
        orders.status_history,
        orders.order_date,
        orders.created_at,
        orders.updated_at,
        orders._extracted_at,
        orders._merged_at
    from orders

    {% if is_incremental() %}

        left join built on orders.order_id = built.order_id
        where
            orders._merged_at >= {{ merged_since(this) }}
            or built.order_id is null

    {% endif %}

),

told as (

    select
        changed.order_id,
        entry.status as status_code,
        entry.changed_at as entered_at,
        false as is_inferred,
        place as place_in_history,
        changed.order_date,
        changed._merged_at
    from changed
    cross join unnest(changed.status_history) as entry with offset as place
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
        changed.order_id,
        changed.status_code,
        greatest(
            coalesce(changed.updated_at, changed.created_at, changed._extracted_at),
            coalesce(last_told.entered_at, timestamp '0001-01-01 00:00:00+00')
        ) as entered_at,
        true as is_inferred,
        1000000 as place_in_history,
        changed.order_date,
        changed._merged_at
    from changed
    left join last_told on changed.order_id = last_told.order_id
    where
        last_told.order_id is null
        or coalesce(last_told.status_code, -1) != coalesce(changed.status_code, -1)

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
        _merged_at,
        current_timestamp() as _built_at

    from numbered

)

select * from final
