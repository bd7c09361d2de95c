{{
    config(
        partition_by={'field': 'charge_date', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['charge_kind', 'charge_method'],
    )
}}

with

charges as (

    select * from {{ ref('int_charge_days') }}

),

named as (

    select
        charge_date,
        charge_count,
        amount,
        signed_amount_usd,
        orphan_charge_count,
        coalesce(nullif(charge_kind, ''), 'unknown') as charge_kind,
        coalesce(nullif(charge_method, ''), 'unknown') as charge_method,
        coalesce(nullif(currency_code, ''), 'unknown') as currency_code
    from charges

),

final as (

    select
        -- ids
        {{ surrogate_key(['charge_date', 'charge_kind', 'charge_method', 'currency_code']) }} as daily_charges_id,

        -- text
        charge_kind,
        charge_method,
        currency_code,

        -- numbers
        sum(charge_count) as charge_count,
        sum(amount) as amount,
        sum(signed_amount_usd) as signed_amount_usd,
        sum(orphan_charge_count) as orphan_charge_count,

        -- times
        charge_date,
        {{ data_as_of(['shop_mongodb.charges', 'shop_mongodb.orders']) }} as data_as_of

    from named
    group by charge_date, charge_kind, charge_method, currency_code

)

select * from final
