with

loads as (

    select * from {{ ref('stg_tideline__loads') }}

),

-- what was read before the newest rewind counts no more
rewinds as (

    select
        dataset_id,
        load_id,
        extracted_at,
        committed_at
    from loads
    where load_mode = 'rewind'
    qualify row_number() over (partition by dataset_id order by committed_at desc, load_id desc) = 1

),

-- the windows of the source that were read: a replay reads none, a reconciliation a moment. A rewind says up to where
-- it was read, and one to the beginning nothing
windows as (

    select
        loads.dataset_id,
        loads.load_id,
        loads.window_start_at,
        loads.window_end_at
    from loads
    left join rewinds on loads.dataset_id = rewinds.dataset_id
    where
        (loads.load_id = rewinds.load_id and loads.window_end_at > timestamp '0001-01-01 00:00:00+00')
        or (
            loads.load_mode in ('scheduled', 'exact')
            and (
                rewinds.load_id is null
                or (loads.committed_at > rewinds.committed_at and loads.extracted_at > rewinds.extracted_at)
            )
        )

),

-- in order of their starts, the unbounded first; what begins after all before it have ended opens a gap
covered as (

    select
        *,
        max(window_end_at) over (
            partition by dataset_id
            order by window_start_at is not null, window_start_at, window_end_at, load_id
            rows between unbounded preceding and 1 preceding
        ) as covered_until
    from windows

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

marks as (

    select
        dataset_id,
        max(if(gap_count = 0, window_end_at, null)) as data_as_of,
        max(gap_count) > 0 as has_gap
    from chained
    group by dataset_id

),

counted as (

    select
        dataset_id,
        any_value(source_name) as source_name,
        any_value(dataset_name) as dataset_name,
        max_by(drift_fields, if(drift_fields is null, null, committed_at)) as drift_fields,
        count(*) as load_count,
        sum(refined_count) as refined_count,
        sum(quarantined_count) as quarantined_count,
        sum(deleted_count) as deleted_count,
        max(extracted_at) as last_extracted_at,
        max(committed_at) as last_committed_at
    from loads
    where load_mode != 'rewind'
    group by dataset_id

),

final as (

    select
        -- ids
        counted.dataset_id,

        -- text
        counted.source_name,
        counted.dataset_name,
        counted.drift_fields,

        -- numbers
        counted.load_count,
        counted.refined_count,
        counted.quarantined_count,
        counted.deleted_count,
        timestamp_diff(current_timestamp(), marks.data_as_of, minute) as lag_minutes,

        -- booleans
        coalesce(marks.has_gap, false) as has_gap,

        -- times
        counted.last_extracted_at,
        counted.last_committed_at,
        marks.data_as_of,
        current_timestamp() as checked_at

    from counted
    left join marks on counted.dataset_id = marks.dataset_id

)

select * from final
