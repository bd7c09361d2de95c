with

source as (

    select *
    from {{ source('shop_mongodb', 'orders') }}
    where _deleted_at is null

),

renamed as (

    select
        -- ids
        id as order_id,
        customer_id,
        status as status_code,
        online_order as online_order_code,

        -- text
        shipping.carrier as shipping_carrier,
        shipping.city as shipping_city,
        shipping.state as shipping_state,
        shipping.country as shipping_country_code,
        tags,
        status_history,

        -- numbers
        amount as amount_usd,
        total_items as declared_item_count,
        shipping.weight_kg as shipping_weight_kg,

        -- times
        order_date,
        created_at,
        updated_at,

        -- metadata
        _extracted_at,
        _merged_at

    from source

)

select * from renamed
