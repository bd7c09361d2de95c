with

-- not called source: a name that is both a table's and a column's is the table in BigQuery
ledger as (

    select * from {{ source('tideline', 'load_ledger') }}

),

renamed as (

    select
        -- ids
        load_id,
        concat(source, '.', dataset) as dataset_id,
        run_id,

        -- text
        source as source_name,
        dataset as dataset_name,
        mode as load_mode,
        -- names only: what the ledger holds besides are examples of values, which are not for everybody
        (
            select
                string_agg(
                    concat(
                        json_value(found, '$.path'),
                        if(
                            json_value(found, '$.kind') = 'new_field',
                            '',
                            concat(' (', replace(json_value(found, '$.kind'), '_', ' '), ')')
                        )
                    ),
                    ', '
                    order by json_value(found, '$.path')
                )
            from unnest(json_query_array(if(starts_with(drift, '['), drift, null))) as found
        ) as drift_fields,

        -- numbers
        landed as landed_count,
        refined as refined_count,
        quarantined as quarantined_count,
        inserted as inserted_count,
        updated as updated_count,
        unchanged as unchanged_count,
        revived as revived_count,
        stale as stale_count,
        duplicates as duplicate_count,
        deleted as deleted_count,
        null_changes as null_change_count,
        future_changes as future_change_count,
        raw_bytes,
        processed_bytes,
        coalesce(land_seconds, 0) + coalesce(refine_seconds, 0) + coalesce(merge_seconds, 0) as load_seconds,

        -- times
        window_start as window_start_at,
        window_end as window_end_at,
        extracted_at,
        committed_at

    from ledger

)

select * from renamed
