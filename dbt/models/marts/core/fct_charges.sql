{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='charge_id',
        on_schema_change='append_new_columns',
        partition_by={'field': 'order_date', 'data_type': 'date', 'granularity': 'month'},
        meta={'replaces': 'months', 'placed_by': 'created_at'},
        cluster_by=['order_id', 'charge_kind'],
    )
}}
-- after it, so that what reports say of their age is true of what is read here
-- depends_on: {{ ref('rpt_freshness') }}
{%- set changes = touched(
    loads={
        'shop_mongodb.orders': {'table': source('shop_mongodb', 'orders'), 'column': 'order_date'},
        'shop_mongodb.charges': {'table': source('shop_mongodb', 'charges'), 'column': 'created_at'},
    },
    children={'dataset': 'shop_mongodb.charges', 'key': 'charge_id', 'parents': 'shop_mongodb.orders'},
) %}
{%- set months = within('order_date', changes.months, 'month', or_null=true) %}
{%- set merged = changes.days['shop_mongodb.charges'] if changes.days else none %}
{%- set days = within('created_at', merged, kind='timestamp', or_null=true) %}
{{ changes.note }}

with

orders as (

    select
        order_id,
        customer_id,
        order_date
    from {{ ref('stg_shop_mongodb__orders') }}
    where {{ months }}

),

signed as (

    select
        charge_id,
        order_id,
        charge_kind,
        charge_method,
        currency_code,
        amount,
        case
            when currency_code = 'USD' and charge_kind = 'debit' then amount
            when currency_code = 'USD' and charge_kind = 'credit' then -amount
        end as signed_amount_usd,
        date(charged_at) as charge_date,
        charged_at,
        created_at,
        updated_at,
        _merged_at
    from {{ ref('stg_shop_mongodb__charges') }}
    where {{ days }}

    {% if changes.months is not none %}

        union all

        -- of the same months, as they are: nothing was merged where they lie in raw
        select
            charge_id,
            order_id,
            charge_kind,
            charge_method,
            currency_code,
            amount,
            signed_amount_usd,
            charge_date,
            charged_at,
            created_at,
            updated_at,
            _merged_at
        from {{ this }}
        where {{ months }} and not {{ days }}

    {% endif %}

),

final as (

    select
        -- ids
        signed.charge_id,
        signed.order_id,
        orders.customer_id,

        -- text
        signed.charge_kind,
        signed.charge_method,
        signed.currency_code,

        -- numbers
        signed.amount,
        signed.signed_amount_usd,

        -- booleans
        orders.order_id is not null as has_order,

        -- times
        orders.order_date,
        signed.charge_date,
        signed.charged_at,
        signed.created_at,
        signed.updated_at,

        -- metadata
        signed._merged_at

    from signed
    left join orders on signed.order_id = orders.order_id

)

select * from final
