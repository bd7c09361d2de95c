with

source as (

    select *
    from {{ source('jsonplaceholder', 'photos') }}
    where _deleted_at is null

),

renamed as (

    select
        -- ids
        id as photo_id,
        album_id,

        -- text
        title,
        url as image_url,
        thumbnail_url,

        -- metadata
        _extracted_at,
        _merged_at

    from source

)

select * from renamed
