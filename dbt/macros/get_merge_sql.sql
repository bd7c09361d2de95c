{#-
  dbt's MERGE, told which rows it may look at. With `meta: {replaces: months}` a model writes all rows of the months that it
  touched (`touched`): what lies in them goes and the new rows come, in one statement. With `replaces: all` it writes all
  of its rows. Others are merged by key, in the partitions of the touched months if the model knows them.
-#}
{% macro bigquery__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
    {%- set replaces = config.get('meta', {}).get('replaces') -%}
    {%- set noted = noted_months() -%}
    {%- set within_touched = 'true' -%}
    {%- if noted is not none and replaces != 'all' -%}
        {%- set partition = adapter.parse_partition_by(config.get('partition_by')) -%}
        {%- set column = 'DBT_INTERNAL_DEST.' ~ partition.field -%}
        {%- set months = none if 'all' in noted else noted -%}
        {%- set within_touched = within(column, months, 'month', partition.data_type, or_null=true) -%}
    {%- endif -%}
    {%- if replaces -%}
        {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
        merge into {{ target }} as DBT_INTERNAL_DEST
        using {{ source }} as DBT_INTERNAL_SOURCE
        on false
        when not matched by source and {{ within_touched }} then delete
        when not matched then insert ({{ columns }}) values ({{ columns }})
    {%- else -%}
        {%- set predicates = (incremental_predicates or []) + [within_touched] -%}
        {{ default__get_merge_sql(target, source, unique_key, dest_columns, predicates) }}
    {%- endif -%}
{%- endmacro %}
