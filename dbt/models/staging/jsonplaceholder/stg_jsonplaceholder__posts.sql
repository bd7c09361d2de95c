with

source as (

    select *
    from {{ source('jsonplaceholder', 'posts') }}
    where _deleted_at is null

),

renamed as (

    select
        -- ids
        id as post_id,
        user_id,

        -- text
        title,
        body,

        -- metadata
        _extracted_at,
        _merged_at

    from source

)

select * from renamed
