{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='product_id',
        on_schema_change='append_new_columns',
        meta={'replaces': 'all'},
    )
}}

with

products as (

    select
        product_id,
        category,
        sub_category,
        gender
    from {{ ref('dim_products') }}

),

{% if is_incremental() %}

    before as (

        select * from {{ this }}

    ),

    -- an article that is gone is in no group any more, which is a change too
    compared as (

        select
            coalesce(products.product_id, before.product_id) as product_id,
            products.category,
            products.sub_category,
            products.gender,
            before.product_id is not null
            and products.category is not distinct from before.category
            and products.sub_category is not distinct from before.sub_category
            and products.gender is not distinct from before.gender as is_as_before,
            before.grouped_at
        from products
        full outer join before on products.product_id = before.product_id

    ),

{% else %}

    compared as (

        select
            *,
            false as is_as_before,
            cast(null as timestamp) as grouped_at
        from products

    ),

{% endif %}

final as (

    select
        -- ids
        product_id,

        -- text
        category,
        sub_category,
        gender,

        -- times
        if(is_as_before, grouped_at, current_timestamp()) as grouped_at

    from compared

)

select * from final
