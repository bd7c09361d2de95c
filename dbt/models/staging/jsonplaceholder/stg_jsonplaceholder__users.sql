with

source as (

    select *
    from {{ source('jsonplaceholder', 'users') }}
    where _deleted_at is null

),

renamed as (

    select
        -- ids
        id as user_id,

        -- text
        name as full_name,
        username as user_name,
        email,
        phone,
        website,
        address.street as address_street,
        address.suite as address_suite,
        address.city as address_city,
        address.zipcode as address_postal_code,
        company.name as company_name,
        company.catch_phrase as company_catch_phrase,
        company.bs as company_business,

        -- numbers
        safe_cast(address.geo.lat as float64) as latitude_degrees,
        safe_cast(address.geo.lng as float64) as longitude_degrees,

        -- metadata
        _extracted_at,
        _merged_at

    from source

)

select * from renamed
