{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='charge_id',
        on_schema_change='append_new_columns',
        partition_by={'field': 'charge_date', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['order_id', 'charge_kind'],
        post_hook="{{ delete_vanished('charge_id', ref('stg_shop_mongodb__charges')) }}",
    )
}}

with

charges as (

    select * from {{ ref('int_charges_signed') }}

),

{% if is_incremental() %}

    built as (

        select
            charge_id,
            has_order
        from {{ this }}

    ),

{% endif %}

final as (

    select
        -- ids
        charges.charge_id,
        charges.order_id,
        charges.customer_id,

        -- text
        charges.charge_kind,
        charges.charge_method,
        charges.currency_code,

        -- numbers
        charges.amount,
        charges.signed_amount_usd,

        -- booleans
        charges.has_order,

        -- times
        charges.order_date,
        charges.charge_date,
        charges.charged_at,
        charges.created_at,
        charges.updated_at,

        -- metadata
        charges._merged_at

    from charges

    {% if is_incremental() %}

        left join built on charges.charge_id = built.charge_id
        where
            charges._merged_at >= {{ merged_since(this) }}
            or built.charge_id is null
            -- an order that was deleted leaves only its absence behind
            or charges.has_order != built.has_order

    {% endif %}

)

select * from final
