{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='customer_id',
        on_schema_change='append_new_columns',
        partition_by={'field': 'created_at', 'data_type': 'timestamp', 'granularity': 'month'},
        meta={'replaces': 'months'},
        cluster_by=['customer_id'],
    )
}}
-- after it, so that what reports say of their age is true of what is read here
-- depends_on: {{ ref('rpt_freshness') }}
{%- set changes = touched(
    loads={'shop_mongodb.customers': {'table': source('shop_mongodb', 'customers'), 'column': 'created_at'}},
) %}
{{ changes.note }}

with

customers as (

    select *
    from {{ ref('stg_shop_mongodb__customers') }}
    where {{ within('created_at', changes.months, 'month', kind='timestamp', or_null=true) }}

),

final as (

    select
        -- ids
        customer_id,

        -- text
        first_name,
        last_name,
        trim(concat(coalesce(first_name, ''), ' ', coalesce(last_name, ''))) as full_name,
        email,
        gender,
        delivery_city,
        delivery_state,
        delivery_postal_code,
        country_code,

        -- booleans
        is_marketing_opted_in,

        -- times
        birth_date,
        created_at,
        updated_at,

        -- metadata
        _merged_at

    from customers

)

select * from final
