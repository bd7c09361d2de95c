-- after it, so that what reports say of their age is true of what is read here
-- depends_on: {{ ref('rpt_freshness') }}
with

products as (

    select * from {{ ref('stg_shop_s3__products') }}

),

final as (

    select
        -- ids
        product_id,

        -- text
        title,
        description,
        coalesce(nullif(category, ''), 'unknown') as category,
        coalesce(nullif(sub_category, ''), 'unknown') as sub_category,
        coalesce(nullif(gender, ''), 'unknown') as gender,

        -- numbers
        unit_amount_usd,

        -- booleans
        is_active,

        -- times
        launch_date,
        created_at,
        updated_at,

        -- metadata
        _merged_at

    from products

)

select * from final
