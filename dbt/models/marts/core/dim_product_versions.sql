{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='product_version_id',
        on_schema_change='append_new_columns',
        full_refresh=false,
        cluster_by=['product_id'],
    )
}}
-- after it, so that what reports say of their age is true of what is read here
-- depends_on: {{ ref('rpt_freshness') }}
-- raw holds one version of each row: what was seen before is nowhere else, so a full refresh leaves this table alone

with

products as (

    select
        *,
        {{ surrogate_key([
            'title', 'category', 'sub_category', 'gender', 'unit_amount_usd', 'is_active'
        ]) }} as attributes_hash,
        coalesce(least(updated_at, _extracted_at), _extracted_at) as version_at
    from {{ ref('stg_shop_s3__products') }}

),

{% if is_incremental() %}

    newest as (

        select *
        from {{ this }}
        qualify row_number() over (partition by product_id order by valid_from desc) = 1

    ),

    opened as (

        select
            products.*,
            newest.product_version_id as previous_version_id,
            -- a version never begins before the one it follows, whatever the clocks of the source say
            case
                when newest.product_id is null
                    then coalesce(least(products.created_at, products.version_at), products.version_at)
                when newest.is_current
                    then greatest(products.version_at, timestamp_add(newest.valid_from, interval 1 microsecond))
                else greatest(products.version_at, newest.valid_to)
            end as opened_at
        from products
        left join newest on products.product_id = newest.product_id
        where
            newest.product_id is null
            or not newest.is_current
            or newest.attributes_hash != products.attributes_hash

    ),

    replaced as (

        select
            newest.*,
            opened.opened_at as closed_at
        from newest
        inner join opened on newest.product_version_id = opened.previous_version_id
        where newest.is_current

    ),

    vanished as (

        select
            newest.*,
            greatest(current_timestamp(), timestamp_add(newest.valid_from, interval 1 microsecond)) as closed_at
        from newest
        left join products on newest.product_id = products.product_id
        where newest.is_current and products.product_id is null

    ),

    closed as (

        select * from replaced
        union all
        select * from vanished

    ),

{% else %}

    -- what was before the first time it was seen is not known: the first version stands for it
    opened as (

        select
            *,
            coalesce(least(created_at, version_at), version_at) as opened_at
        from products

    ),

{% endif %}

final as (

    select
        -- ids
        {{ surrogate_key(['product_id', 'opened_at']) }} as product_version_id,
        product_id,

        -- text
        title,
        category,
        sub_category,
        gender,
        attributes_hash,

        -- numbers
        unit_amount_usd,

        -- booleans
        is_active,
        true as is_current,

        -- times
        opened_at as valid_from,
        cast(null as timestamp) as valid_to,

        -- metadata
        _merged_at

    from opened

    {% if is_incremental() %}

        union all

        select
            product_version_id,
            product_id,
            title,
            category,
            sub_category,
            gender,
            attributes_hash,
            unit_amount_usd,
            is_active,
            false as is_current,
            valid_from,
            closed_at as valid_to,
            _merged_at
        from closed

    {% endif %}

)

select * from final
