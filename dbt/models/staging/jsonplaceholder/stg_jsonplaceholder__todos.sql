with

source as (

    select *
    from {{ source('jsonplaceholder', 'todos') }}
    where _deleted_at is null

),

renamed as (

    select
        -- ids
        id as todo_id,
        user_id,

        -- text
        title,

        -- booleans
        coalesce(is_completed, false) as is_completed,

        -- metadata
        _extracted_at,
        _merged_at

    from source

)

select * from renamed
