{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='customer_version_id',
        on_schema_change='append_new_columns',
        full_refresh=false,
        partition_by={'field': 'customer_since', 'data_type': 'date', 'granularity': 'month'},
        cluster_by=['customer_id'],
    )
}}
-- after it, so that what reports say of their age is true of what is read here
-- depends_on: {{ ref('rpt_freshness') }}
-- raw holds one version of each row: what was seen before is nowhere else, so a full refresh leaves this table alone
{%- set changes = touched(
    loads={'shop_mongodb.customers': {'table': source('shop_mongodb', 'customers'), 'column': 'created_at'}},
) %}
{{ changes.note }}

with

customers as (

    select
        *,
        {{ surrogate_key([
            'email', 'gender', 'delivery_city', 'delivery_state', 'delivery_postal_code', 'country_code', 'is_marketing_opted_in'
        ]) }} as attributes_hash,
        coalesce(least(updated_at, _extracted_at), _extracted_at) as version_at
    from {{ ref('stg_shop_mongodb__customers') }}
    where {{ within('created_at', changes.months, 'month', kind='timestamp', or_null=true) }}

),

{% if is_incremental() %}

    newest as (

        select *
        from {{ this }}
        where {{ within('customer_since', changes.months, 'month', or_null=true) }}
        qualify row_number() over (partition by customer_id order by valid_from desc) = 1

    ),

    opened as (

        select
            customers.*,
            newest.customer_version_id as previous_version_id,
            -- a version never begins before the one it follows, whatever the clocks of the source say
            case
                when newest.customer_id is null
                    then coalesce(least(customers.created_at, customers.version_at), customers.version_at)
                when newest.is_current
                    then greatest(customers.version_at, timestamp_add(newest.valid_from, interval 1 microsecond))
                else greatest(customers.version_at, newest.valid_to)
            end as opened_at
        from customers
        left join newest on customers.customer_id = newest.customer_id
        where
            newest.customer_id is null
            or not newest.is_current
            or newest.attributes_hash != customers.attributes_hash

    ),

    replaced as (

        select
            newest.*,
            opened.opened_at as closed_at,
            date(opened.created_at) as signed_up_on
        from newest
        inner join opened on newest.customer_version_id = opened.previous_version_id
        where newest.is_current

    ),

    vanished as (

        select
            newest.*,
            greatest(current_timestamp(), timestamp_add(newest.valid_from, interval 1 microsecond)) as closed_at,
            cast(null as date) as signed_up_on
        from newest
        left join customers on newest.customer_id = customers.customer_id
        where newest.is_current and customers.customer_id is null

    ),

    closed as (

        select * from replaced
        union all
        select * from vanished

    ),

    -- written before the table had the column by which it lies
    undated as (

        select
            newest.*,
            cast(null as timestamp) as closed_at,
            date(customers.created_at) as signed_up_on
        from newest
        inner join customers on newest.customer_id = customers.customer_id
        where
            newest.customer_since is null
            and customers.created_at is not null
            and newest.customer_version_id not in (select closed.customer_version_id from closed)

    ),

    rewritten as (

        select * from closed
        union all
        select * from undated

    ),

{% else %}

    -- what was before the first time it was seen is not known: the first version stands for it
    opened as (

        select
            *,
            coalesce(least(created_at, version_at), version_at) as opened_at
        from customers

    ),

{% endif %}

final as (

    select
        -- ids
        {{ surrogate_key(['customer_id', 'opened_at']) }} as customer_version_id,
        customer_id,

        -- text
        email,
        gender,
        delivery_city,
        delivery_state,
        delivery_postal_code,
        country_code,
        attributes_hash,

        -- booleans
        is_marketing_opted_in,
        true as is_current,

        -- times
        date(created_at) as customer_since,
        opened_at as valid_from,
        cast(null as timestamp) as valid_to,

        -- metadata
        _merged_at

    from opened

    {% if is_incremental() %}

        union all

        select
            customer_version_id,
            customer_id,
            email,
            gender,
            delivery_city,
            delivery_state,
            delivery_postal_code,
            country_code,
            attributes_hash,
            is_marketing_opted_in,
            is_current and closed_at is null as is_current,
            coalesce(customer_since, signed_up_on) as customer_since,
            valid_from,
            coalesce(closed_at, valid_to) as valid_to,
            _merged_at
        from rewritten

    {% endif %}

)

select * from final
