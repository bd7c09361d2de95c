{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='order_status_day_id',
        on_schema_change='append_new_columns',
        partition_by={'field': 'order_month', 'data_type': 'date', 'granularity': 'month'},
        meta={'replaces': 'months'},
    )
}}
{%- set changes = touched(builds=['fct_order_status_changes']) %}
{{ changes.note }}

with

status_changes as (

    select
        *,
        -- BigQuery's dates stay dates; the emulator needs the cast
        cast(date_trunc(order_date, month) as date) as order_month
    from {{ ref('fct_order_status_changes') }}
    where {{ within('order_date', changes.months, 'month') }}

),

moves as (

    select
        order_month,
        status_code,
        entered_date as status_date,
        1 as entered_count,
        0 as left_count,
        cast(null as float64) as hours_in_status
    from status_changes

    union all

    select
        order_month,
        status_code,
        date(left_at) as status_date,
        0 as entered_count,
        1 as left_count,
        hours_in_status
    from status_changes
    where left_at is not null

),

final as (

    select
        -- ids
        {{ surrogate_key(['order_month', 'status_code', 'status_date']) }} as order_status_day_id,
        status_code,

        -- numbers
        sum(entered_count) as entered_count,
        sum(left_count) as left_count,
        coalesce(sum(hours_in_status), 0) as hours_in_status,
        max(hours_in_status) as longest_hours_in_status,

        -- times
        order_month,
        status_date

    from moves
    group by order_month, status_code, status_date

)

select * from final
