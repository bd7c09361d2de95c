{{
    config(
        partition_by={'field': 'charge_date', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['charge_kind', 'charge_method'],
    )
}}

with

charges as (

    select * from {{ ref('fct_charges') }}

),

named as (

    select
        charge_date,
        has_order,
        amount,
        signed_amount_usd,
        coalesce(charge_kind, 'unknown') as charge_kind,
        coalesce(charge_method, 'unknown') as charge_method,
        coalesce(currency_code, 'unknown') as currency_code
    from charges
    where charge_date is not null

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
        count(*) as charge_count,
        coalesce(sum(amount), 0) as amount,
        coalesce(sum(signed_amount_usd), 0) as signed_amount_usd,
        sum(if(has_order, 0, 1)) as orphan_charge_count,

        -- times
        charge_date,
        {{ data_as_of(['shop_mongodb.charges', 'shop_mongodb.orders']) }} as data_as_of

    from named
    group by charge_date, charge_kind, charge_method, currency_code

)

select * from final
