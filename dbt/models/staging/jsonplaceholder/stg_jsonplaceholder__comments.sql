with

source as (

    select *
    from {{ source('jsonplaceholder', 'comments') }}
    where _deleted_at is null

),

renamed as (

    select
        -- ids
        id as comment_id,
        post_id,

        -- text
        name as title,
        email as author_email,
        body,

        -- metadata
        _extracted_at,
        _merged_at

    from source

)

select * from renamed
