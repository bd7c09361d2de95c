with

customers as (

    select * from {{ ref('stg_shop_mongodb__customers') }}

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
