{#-
  A post-hook of incremental models, because dbt's merge never deletes: rows whose key its input no longer holds go.
  It looks at what is there rather than at what was deleted since when, so it also repairs.
-#}
{% macro delete_vanished(key, input) -%}
    delete from {{ this }} as built
    where not exists (select 1 from {{ input }} as input where input.{{ key }} = built.{{ key }})
{%- endmacro %}
