with

loads as (

    select * from {{ ref('stg_tideline__loads') }}

),

-- windows in order of their starts, the unbounded first; what begins after all before it have ended opens a gap
covered as (

    select
        *,
        max(window_end_at) over (
            partition by dataset_id
            order by window_start_at is not null, window_start_at, window_end_at, load_id
            rows between unbounded preceding and 1 preceding
        ) as covered_until
    from loads

),

chained as (

    select
        *,
        sum(if(window_start_at is not null and (covered_until is null or window_start_at > covered_until), 1, 0)) over (
            partition by dataset_id
            order by window_start_at is not null, window_start_at, window_end_at, load_id
            rows between unbounded preceding and current row
        ) as gap_count
    from covered

),

final as (

    select
        -- ids
        dataset_id,

        -- text
        any_value(source_name) as source_name,
        any_value(dataset_name) as dataset_name,
        max_by(
            drift_fields, if(coalesce(drift_fields, '{}') in ('', '{}'), null, committed_at)
        ) as drift_fields,

        -- numbers
        count(*) as load_count,
        sum(refined_count) as refined_count,
        sum(quarantined_count) as quarantined_count,
        sum(deleted_count) as deleted_count,
        timestamp_diff(
            current_timestamp(), max(if(gap_count = 0, window_end_at, null)), minute
        ) as lag_minutes,

        -- booleans
        max(if(gap_count > 0, 1, 0)) = 1 as has_gap,

        -- times
        max(extracted_at) as last_extracted_at,
        max(committed_at) as last_committed_at,
        max(if(gap_count = 0, window_end_at, null)) as data_as_of,
        current_timestamp() as checked_at

    from chained
    group by dataset_id

)

select * from final
