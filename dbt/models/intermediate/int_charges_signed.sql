with

charges as (

    select * from {{ ref('stg_shop_mongodb__charges') }}

),

orders as (

    select * from {{ ref('stg_shop_mongodb__orders') }}

),

signed as (

    select
        -- ids
        charges.charge_id,
        charges.order_id,
        orders.customer_id,

        -- text
        charges.charge_kind,
        charges.charge_method,
        charges.currency_code,

        -- numbers
        charges.amount,
        case
            when charges.currency_code = 'USD' and charges.charge_kind = 'debit' then charges.amount
            when charges.currency_code = 'USD' and charges.charge_kind = 'credit' then -charges.amount
        end as signed_amount_usd,

        -- booleans
        orders.order_id is not null as has_order,

        -- times
        orders.order_date,
        date(charges.charged_at) as charge_date,
        charges.charged_at,
        charges.created_at,
        charges.updated_at,

        -- metadata
        greatest(charges._merged_at, coalesce(orders._merged_at, charges._merged_at)) as _merged_at

    from charges
    left join orders on charges.order_id = orders.order_id

)

select * from signed
