with

source as (

    select *
    from {{ source('shop_s3', 'products') }}
    where _deleted_at is null

),

renamed as (

    select
        -- ids
        id as product_id,

        -- text
        title,
        description,
        category,
        sub_category,
        lower(gender) as gender,

        -- numbers
        unit_amount as unit_amount_usd,

        -- booleans
        is_active,

        -- times
        launched_on as launch_date,
        created_at,
        updated_at,

        -- metadata
        _extracted_at,
        _merged_at

    from source

)

select * from renamed
