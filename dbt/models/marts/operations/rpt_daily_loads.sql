{{
    config(
        partition_by={'field': 'load_date', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['dataset_id'],
    )
}}

with

loads as (

    select * from {{ ref('stg_tideline__loads') }}

),

dated as (

    select
        *,
        date(committed_at) as load_date
    from loads
    where load_mode != 'rewind'

),

final as (

    select
        -- ids
        {{ surrogate_key(['load_date', 'dataset_id']) }} as daily_loads_id,
        dataset_id,

        -- text
        any_value(source_name) as source_name,
        any_value(dataset_name) as dataset_name,
        max_by(drift_fields, if(drift_fields is null, null, committed_at)) as drift_fields,

        -- numbers
        count(*) as load_count,
        sum(landed_count) as landed_count,
        sum(refined_count) as refined_count,
        sum(quarantined_count) as quarantined_count,
        sum(inserted_count) as inserted_count,
        sum(updated_count) as updated_count,
        sum(unchanged_count) as unchanged_count,
        sum(revived_count) as revived_count,
        sum(stale_count) as stale_count,
        sum(duplicate_count) as duplicate_count,
        sum(deleted_count) as deleted_count,
        sum(raw_bytes) as raw_bytes,
        sum(processed_bytes) as processed_bytes,
        sum(load_seconds) as load_seconds,

        -- times
        load_date,
        max(window_end_at) as data_as_of

    from dated
    group by load_date, dataset_id

)

select * from final
