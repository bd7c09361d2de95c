{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='charge_day_id',
        on_schema_change='append_new_columns',
        partition_by={'field': 'order_month', 'data_type': 'date', 'granularity': 'month'},
        meta={'replaces': 'months'},
    )
}}
{%- set changes = touched(builds=['fct_charges']) %}
{{ changes.note }}

with

charges as (

    select
        *,
        -- BigQuery's dates stay dates; the emulator needs the cast
        cast(date_trunc(order_date, month) as date) as order_month
    from {{ ref('fct_charges') }}
    where
        {{ within('order_date', changes.months, 'month', or_null=true) }}
        and charge_date is not null

),

final as (

    select
        -- ids
        {{ surrogate_key([
            'order_month', 'charge_date', 'charge_kind', 'charge_method', 'currency_code'
        ]) }} as charge_day_id,

        -- text
        charge_kind,
        charge_method,
        currency_code,

        -- numbers
        count(*) as charge_count,
        coalesce(sum(amount), 0) as amount,
        coalesce(sum(signed_amount_usd), 0) as signed_amount_usd,
        sum(if(has_order, 0, 1)) as orphan_charge_count,

        -- times
        order_month,
        charge_date

    from charges
    group by order_month, charge_date, charge_kind, charge_method, currency_code

)

select * from final
