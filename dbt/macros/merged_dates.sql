{#-
  A condition with constants: the dates in which rows of a raw table were merged since this model was last built, those that
  became tombstones too. Only the partitions that it names are read and billed. One narrow query finds them; true where
  nothing can be left out, which is when all is built anew, or more was merged than a statement should name.
-#}
{% macro merged_dates(raw, column) -%}
    {%- if not (execute and is_incremental()) -%}{{ return('true') }}{%- endif -%}
    {%- set found = run_query(
        "select distinct " ~ column ~ " from " ~ raw ~ " where _merged_at >= " ~ merged_since(this) ~ " order by 1"
    ).columns[0].values() | reject('none') | list -%}
    {{ return(dates_in(column, found) if found | length <= 250 else 'true') }}
{%- endmacro %}

{% macro dates_in(column, dates) -%}
    {{ return(column ~ " in (date '" ~ (dates or ['0001-01-01']) | join("', date '") ~ "')") }}
{%- endmacro %}

{#- The condition that `merged_dates` has written into the model, for a hook to look no further than it did. -#}
{% macro named_dates(column) -%}
    {%- set found = modules.re.search("\\b" ~ column ~ " in (\\(date '[^)]*\\))", compiled_code or '') -%}
    {{ return(column ~ ' in ' ~ found.group(1) if found else column ~ ' is not null') }}
{%- endmacro %}
