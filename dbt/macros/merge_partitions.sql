{#-
  dbt's MERGE, told which partitions it may look at. BigQuery leaves a partition of the target unread only where it can
  compare the partition column with a constant, so one narrow query finds the dates at which the rows to be replaced
  lie now, and they are written out. Asking the target rather than the new rows keeps it right when a row's date changes.
  Where it never does (`meta: {partition_is_fixed: true}`), the new rows know it, and nobody searches the target for them.
-#}
{% macro bigquery__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
    {%- set partition = adapter.parse_partition_by(config.get('partition_by')) -%}
    {%- set predicates = [] + (incremental_predicates or []) -%}
    {%- if execute and partition and partition.data_type == 'date' and unique_key is string -%}
        {%- do predicates.append(merge_partitions(target, source, unique_key, partition.field)) -%}
    {%- endif -%}
    {{ default__get_merge_sql(target, source, unique_key, dest_columns, predicates) }}
{%- endmacro %}

{% macro merge_partitions(target, source, unique_key, field) -%}
    {%- if config.get('meta', {}).get('partition_is_fixed') -%}
        {%- set asked = "select distinct " ~ field ~ " from " ~ source ~ " order by 1" -%}
    {%- else -%}
        {%- set asked = "select distinct built." ~ field ~ " from " ~ target ~ " as built"
            ~ " where built." ~ unique_key ~ " in (select " ~ unique_key ~ " from " ~ source ~ ") order by 1" -%}
    {%- endif -%}
    {%- set found = run_query(asked).columns[0].values() | list -%}
    {%- set dates = found | reject('none') | list -%}
    {%- set column = 'DBT_INTERNAL_DEST.' ~ field -%}
    {%- set terms = [] -%}
    {%- if none in found -%}{%- do terms.append(column ~ ' is null') -%}{%- endif -%}
    {%- if dates | length > 400 -%}
        {%- do terms.append(column ~ " between date '" ~ dates[0] ~ "' and date '" ~ dates[-1] ~ "'") -%}
    {%- elif dates -%}
        {%- do terms.append(column ~ " in (date '" ~ dates | join("', date '") ~ "')") -%}
    {%- endif -%}
    {{ return(terms | join(' or ') or 'false') }}
{%- endmacro %}
