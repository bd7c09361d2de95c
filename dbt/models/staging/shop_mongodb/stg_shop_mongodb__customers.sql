with

source as (

    select *
    from {{ source('shop_mongodb', 'customers') }}
    where _deleted_at is null

),

renamed as (

    select
        -- ids
        id as customer_id,

        -- text
        first_name,
        last_name,
        email,
        coalesce(lower(gender), 'unknown') as gender,
        phone,
        delivery_address,
        delivery_city,
        delivery_state,
        delivery_postal_code,
        country as country_code,
        marketing.channels as marketing_channels,

        -- booleans
        coalesce(marketing.is_opted_in, false) as is_marketing_opted_in,

        -- times
        birth_date,
        created_at,
        updated_at,

        -- metadata
        _extracted_at,
        _merged_at

    from source

)

select * from renamed
