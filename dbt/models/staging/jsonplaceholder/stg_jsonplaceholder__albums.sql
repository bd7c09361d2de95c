with

source as (

    select *
    from {{ source('jsonplaceholder', 'albums') }}
    where _deleted_at is null

),

renamed as (

    select
        -- ids
        id as album_id,
        user_id,

        -- text
        title,

        -- metadata
        _extracted_at,
        _merged_at

    from source

)

select * from renamed
