with

source as (

    select *
    from {{ source('shop_mongodb', 'charges') }}
    where _deleted_at is null

),

renamed as (

    select
        -- ids
        id as charge_id,
        order_id,

        -- text
        lower(kind) as charge_kind,
        lower(method) as charge_method,
        currency as currency_code,
        processor as processor_response,

        -- numbers
        amount,

        -- times
        charged_at,
        created_at,
        updated_at,

        -- metadata
        _extracted_at,
        _merged_at

    from source

)

select * from renamed
