{#-
  What a data test looks at: what its `where` says and, where the rows lie in partitions by date, the newest of them, so that an
  hour's tests read as much in ten years as they do now. Tests with the tag nightly look at all; `tested_days` says how far
  the others look back. A view says itself by which column its table's rows lie (`meta: {lies_by: …}`).
-#}
{% macro get_where_subquery(relation) -%}
    {%- set terms = [config.get('where')] if config.get('where') else [] -%}
    {%- set tested = graph.nodes.get(model.attached_node) if execute -%}
    {%- if tested and 'nightly' not in config.get('tags', []) -%}
        {%- set column = tested.config.meta.get('lies_by') or (tested.config.partition_by or {}).get('field') -%}
        {%- if column -%}
            {%- set first = "date_sub(current_date(), interval " ~ var('tested_days') ~ " day)" -%}
            {%- if column.endswith('_at') -%}{%- set first = "timestamp(" ~ first ~ ")" -%}{%- endif -%}
            {%- do terms.append("(" ~ column ~ " >= " ~ first ~ " or " ~ column ~ " is null)") -%}
        {%- endif -%}
    {%- endif -%}
    {%- if terms -%}
        {{ return("(select * from " ~ relation ~ " where " ~ terms | join(' and ') ~ ") as tested") }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro %}
