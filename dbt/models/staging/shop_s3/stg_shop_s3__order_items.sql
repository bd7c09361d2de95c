with

source as (

    select *
    from {{ source('shop_s3', 'order_items') }}
    where _deleted_at is null

),

renamed as (

    select
        -- ids
        id as order_item_id,
        order_id,
        product_id,

        -- text
        note,

        -- numbers
        quantity,
        unit_amount as unit_amount_usd,
        discount_rate,

        -- booleans
        coalesce(is_returned, false) as is_returned,

        -- times
        created_at,
        updated_at,

        -- metadata
        _extracted_at,
        _merged_at

    from source

)

select * from renamed
